"""Searching (observed on 0.12.4): filter words, then one phrase or all of its words, in titles and messages."""

import re
from dataclasses import dataclass
from typing import Any

from simulators.open_webui import tree
from simulators.open_webui.chats import CHATS, page_of
from simulators.open_webui.errors import UnhandledError
from simulators.open_webui.routing import Call, Entry
from simulators.open_webui.store import Chat
from simulators.open_webui.validation import query_int, query_text

_FILTERS = ("tag:", "folder:", "pinned:", "archived:", "shared:")
_SNIPPET = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """`terms`: the words of the phrase, letters and digits only. A filter that was not given is empty or None."""

    phrase: str
    terms: tuple[str, ...]
    tags: tuple[str, ...]
    folders: tuple[str, ...]
    pinned: bool | None
    archived: bool | None
    shared: bool | None


def parse(text: str) -> Asked:
    words = text.lower().split()
    phrase = " ".join(word for word in words if not word.startswith(_FILTERS))
    return Asked(
        phrase=phrase,
        terms=tuple(dict.fromkeys(re.findall(r"[a-z0-9]+", phrase))),
        tags=tuple(word[4:] for word in words if word.startswith("tag:")),
        folders=tuple(word[7:] for word in words if word.startswith("folder:")),
        pinned=_flag(words, "pinned"),
        archived=_flag(words, "archived"),
        shared=_flag(words, "shared"),
    )


def _flag(words: list[str], name: str) -> bool | None:
    if f"{name}:true" in words:
        return True
    return False if f"{name}:false" in words else None


def _like(pattern: str, title: str) -> bool:
    """SQL's LIKE around a title: `%` and `_` in the search text are wildcards there, in messages they are not."""
    parts = [{"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern]
    return re.search("".join(parts), title.lower(), re.DOTALL) is not None


def contents(chat: Chat) -> list[str]:
    texts = [message.get("content") for message in tree.messages_of(chat.body).values()]
    return [text for text in texts if isinstance(text, str)]


def matches(asked: Asked, chat: Chat, folder_ids: set[str]) -> bool:
    if chat.archived != bool(asked.archived):
        return False
    if asked.pinned not in (None, chat.pinned) or asked.shared not in (None, chat.share_id is not None):
        return False
    if asked.folders and chat.folder_id not in folder_ids:
        return False
    if "none" in asked.tags:
        if chat.tags:
            return False
    elif not set(asked.tags) <= set(chat.tags):
        return False
    return not asked.phrase or _found(asked, chat)


def _found(asked: Asked, chat: Chat) -> bool:
    texts = [text.lower() for text in contents(chat)]

    def somewhere(piece: str) -> bool:
        return _like(piece, chat.title) or any(piece in text for text in texts)

    return somewhere(asked.phrase) or (bool(asked.terms) and all(somewhere(term) for term in asked.terms))


def snippet(asked: Asked, chat: Chat) -> str | None:
    """200 characters around the phrase, else around the first of its words that a message has."""
    for needle in dict.fromkeys([asked.phrase, *asked.terms] if asked.phrase else []):
        for content in contents(chat):
            place = content.lower().find(needle)
            if place >= 0:
                start = max(place - _SNIPPET // 2, 0)
                end = min(start + _SNIPPET, len(content))
                words = " ".join(content[start:end].split())
                return ("..." if start else "") + words + ("..." if end < len(content) else "")
    return None


async def search_chats(call: Call) -> Any:
    text, page = query_text(call.request, "text"), query_int(call.request, "page")
    if not text.strip():
        raise UnhandledError
    asked = parse(text)
    folder_ids = _folder_ids(call, asked.folders)
    found = [chat for chat in call.store.chats_of(call.user.id) if matches(asked, chat, folder_ids)]
    rows = page_of(call, found, page or 1, call.store.switches.page_size)
    return [call.store.row(chat, snippet=snippet(asked, chat), archived=chat.archived) for chat in rows]


def _folder_ids(call: Call, names: tuple[str, ...]) -> set[str]:
    """By name, with spaces as `_`, and including what is below."""
    mine = [folder for folder in call.store.folders.values() if folder.user_id == call.user.id]
    named = [folder.id for folder in mine if folder.name.lower().replace(" ", "_") in names]
    return {one for folder_id in named for one in call.store.subtree(folder_id)}


FIRST = [Entry("GET", f"{CHATS}/search", search_chats)]
