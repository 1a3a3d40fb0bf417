"""Open WebUI's chats, folders, models and search hits as records, strictly."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.records import Agent, AgentKind, Chat, Folder, FolderRef, Message, Person, SearchHit, Source
from domain.source import Skipped
from domain.tree import branch_path, by_id
from upstreams.json_reading import Json, WrongShape, as_list, as_object, rows
from upstreams.open_webui.capabilities import FULL_FIELDS, ROW_FIELDS
from upstreams.open_webui.messages import Tree, tree_from_json

# Share ids open a chat to the public, and `user_id` leads to a person: neither is here.
_RAW_FIELDS = ("id", "title", "created_at", "updated_at", "archived", "pinned", "folder_id", "current_message_id")
_RAW_META = ("tags",)


def row_from_json(source: Source, row: Json, *, archived: bool | None = None) -> Chat:
    """A row of a list. `archived` is what the list is about, because the row's own field is always false; None: not told."""
    told = ROW_FIELDS if archived is None else ROW_FIELDS | {"archived"}
    return Chat(
        organization_id=source.organization_id,
        source_id=source.id,
        native_id=row.identifier("id"),
        told=told,
        title=row.text("title"),
        archived=archived,
        created_at=row.epoch_seconds("created_at"),
        updated_at=row.epoch_seconds("updated_at"),
    )


def chat_from_json(source: Source, body: Json, tree: Tree | None = None) -> Chat:
    """A chat in full. `tree` spares reading the messages a second time."""
    if tree is None:
        tree = tree_from_json(source, body)
    path = branch_path(by_id(tree.messages), None, tree.active_leaf)
    share_id = body.text_or_none("share_id")
    return Chat(
        organization_id=source.organization_id,
        source_id=source.id,
        native_id=body.identifier("id"),
        told=FULL_FIELDS,
        title=body.text("title"),
        owner=Person(body.identifier("user_id")),
        agent=_agent(body.object("chat")),
        metadata=_metadata(body.object("chat")),
        tags=_tags(body),
        # Documented as "boolean or null": null is a chat that was never pinned.
        pinned=body.fields.get("pinned") is True,
        archived=body.flag("archived"),
        folder=_folder(source, body.text_or_none("folder_id")),
        share_url=f"{(source.base_url or '').rstrip('/')}/s/{share_id}" if share_id else None,
        created_at=body.epoch_seconds("created_at"),
        updated_at=body.epoch_seconds("updated_at"),
        last_message_at=_newest(tree.messages),
        message_count=len(path),
        raw=_raw(body),
    )


def folder_from_json(source: Source, row: Json) -> Folder:
    """A folder."""
    return Folder(
        organization_id=source.organization_id,
        source_id=source.id,
        native_id=row.identifier("id"),
        name=row.text("name"),
        parent_id=row.text_or_none("parent_id"),
        created_at=row.epoch_seconds_or_none("created_at"),
        updated_at=row.epoch_seconds_or_none("updated_at"),
    )


def agents_from_json(body: Any) -> tuple[list[Agent], Skipped]:
    """The models, and the entries that could not be read."""
    models = as_object(body)
    return rows(models.list("data"), models.at("data"), _agent_from_json)


def hits_from_json(source: Source, body: Any, *, text: str, first_rank: int) -> tuple[list[SearchHit], Skipped]:
    """Chats found, best first as the server ranks them. Open WebUI has no score: the rank makes one."""
    found, skipped = rows(as_list(body), "$", lambda row: (row_from_json(source, row), row.text_or_none("snippet")))
    hits = [
        SearchHit(chat, 1 / (1 + first_rank + index), snippet, highlights(snippet, text))
        for index, (chat, snippet) in enumerate(found)
    ]
    return hits, skipped


def highlights(snippet: str | None, text: str) -> list[tuple[int, int]]:
    """Where the searched words stand in a snippet, in UTF-16 code units: the whole text where it occurs, else each word."""
    if not snippet:
        return []
    haystack = snippet.lower()
    # A letter whose lower case is longer would shift what follows it; then nothing is marked.
    if len(haystack) != len(snippet):
        return []
    whole = text.lower().strip()
    needles = [whole] if whole and whole in haystack else [word for word in whole.split() if ":" not in word]
    found: list[tuple[int, int]] = []
    for needle in needles:
        at = haystack.find(needle)
        while at >= 0:
            found.append((_utf16(snippet[:at]), _utf16(snippet[: at + len(needle)])))
            at = haystack.find(needle, at + len(needle))
    return _merged(sorted(found))


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in ranges:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _agent_from_json(row: Json) -> Agent:
    return Agent(row.text("id"), row.text_or_none("name"), AgentKind.MODEL)


def _agent(chat: Json) -> Agent | None:
    models = chat.fields.get("models")
    name = models[0] if isinstance(models, list) and models else None
    return Agent(name, kind=AgentKind.MODEL) if isinstance(name, str) and name else None


def _metadata(chat: Json) -> Mapping[str, Any] | None:
    value = chat.fields.get("metadata")
    return value if isinstance(value, dict) else None


def _tags(body: Json) -> tuple[str, ...]:
    meta = body.fields.get("meta")
    tags = meta.get("tags") if isinstance(meta, dict) else None
    if tags is None:
        return ()
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise WrongShape(f"{body.at('meta')}.tags", "a list of texts")
    return tuple(sorted(set(tags)))


def _folder(source: Source, folder_id: str | None) -> FolderRef | None:
    return FolderRef(source.id, folder_id) if folder_id else None


def _newest(messages: list[Message]) -> datetime | None:
    return max((message.created_at for message in messages if message.created_at is not None), default=None)


def _raw(body: Json) -> dict[str, Any]:
    raw = {name: body.fields[name] for name in _RAW_FIELDS if name in body.fields}
    meta = body.fields.get("meta")
    if isinstance(meta, dict):
        raw["meta"] = {name: meta[name] for name in _RAW_META if name in meta}
    return raw
