"""Splox's chats and workflows as records, strictly."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.records import Agent, AgentKind, Chat, MessageState, Person, Source
from domain.source import NOTHING_SKIPPED, Skipped
from upstreams.json_reading import Json, as_object, rows
from upstreams.splox.capabilities import CHAT_FIELDS_TOLD

_RAW_FIELDS = ("id", "name", "user_id", "resource_type", "resource_id", "is_public", "created_at", "updated_at")
_KINDS = {"workflow": AgentKind.WORKFLOW, "agent": AgentKind.AGENT}
ENDINGS: Mapping[str, MessageState] = {
    "completed": MessageState.COMPLETE,
    "failed": MessageState.FAILED,
    "stopped": MessageState.CANCELLED,
}
"""How a run can end, by its status; any other status goes on (`pending`, `in_progress`, `waiting`)."""


def chat_from_json(source: Source, body: Json) -> Chat:
    """A chat, alike in lists and alone. `metadata` may be missing; the share token is not shown to anybody."""
    metadata = body.fields.get("metadata")
    return Chat(
        organization_id=source.organization_id,
        source_id=source.id,
        native_id=body.identifier("id"),
        told=CHAT_FIELDS_TOLD,
        title=body.text("name") or None,
        owner=Person(body.identifier("user_id")),
        agent=Agent(body.identifier("resource_id"), kind=_KINDS.get(body.text("resource_type"))),
        metadata=as_object(metadata, body.at("metadata")).fields if metadata is not None else None,
        created_at=body.instant("created_at"),
        updated_at=body.instant("updated_at"),
        raw={name: body.fields[name] for name in _RAW_FIELDS if name in body.fields},
    )


def chats_from_json(source: Source, body: Any) -> tuple[list[Chat], Skipped]:
    """The chats of a resource, and the rows that were left out. A resource without chats may have `null` for a list, as Go writes it."""
    shape = as_object(body)
    if "chats" in shape.fields and shape.fields["chats"] is None:
        return [], NOTHING_SKIPPED
    return rows(shape.list("chats"), shape.at("chats"), lambda row: chat_from_json(source, row))


def workflows_from_json(body: Any) -> tuple[list[Agent], str | None]:
    """A page of workflows, and the cursor of the next one. A workflow that cannot be read is left out; its name may be missing."""
    shape = as_object(body)
    found, _ = rows(shape.list("workflows"), shape.at("workflows"), _workflow)
    pagination = shape.object("pagination")
    cursor = pagination.text_or_none("next_cursor")
    return found, cursor if pagination.fields.get("has_more") is True else None


def version_from_json(body: Any) -> str:
    """The id of a workflow's version."""
    return as_object(body).identifier("id")


def entry_nodes_from_json(body: Any) -> list[str]:
    """The ids of a version's entry nodes."""
    shape = as_object(body)
    nodes = enumerate(shape.list("nodes"))
    return [as_object(node, f"{shape.at('nodes')}[{index}]").identifier("id") for index, node in nodes]


def run_id_from_json(body: Any) -> str:
    """The id of the run that was begun."""
    return as_object(body).identifier("workflow_request_id")


def ending_from_json(body: Any) -> MessageState | None:
    """How a run ended, None while it goes on."""
    return ENDINGS.get(as_object(body).object("execution_tree").text("status"))


def instant_or_none(body: Json, name: str) -> datetime | None:
    """A time that may be null or absent."""
    return body.instant(name) if body.fields.get(name) is not None else None


def _workflow(row: Json) -> Agent:
    version = row.fields.get("latest_version")
    name = version.get("name") if isinstance(version, dict) else None
    return Agent(row.identifier("id"), name if isinstance(name, str) and name else None, AgentKind.WORKFLOW)
