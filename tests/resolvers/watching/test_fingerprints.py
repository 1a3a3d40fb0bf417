"""Equal for what the store would take for equal, different for everything that it would write."""

from typing import Any

import pytest

from domain.records import Agent, Attachment, Chat, FolderRef, MessageRole, MessageState, Part, PartKind, Person
from domain.source import MessagesRead
from resolvers.watching.fingerprints import fingerprint_of_chats, fingerprint_of_messages
from tests.builders import a_chat, a_message, at


def read(*changes: dict[str, Any], **of_read: Any) -> MessagesRead:
    messages = [a_message(f"m{place}", **fields) for place, fields in enumerate(changes or ({}, {}))]
    return MessagesRead(**{"messages": messages, "started_at": at(0), "is_complete": True, **of_read})


def test_same_messages_read_later_are_the_same() -> None:
    assert fingerprint_of_messages(read()) == fingerprint_of_messages(read(started_at=at(99)))
    rich = {"metadata": {"a": [1]}, "parts": (Part(kind=PartKind.TOOL_CALL, arguments={"x": 1}),)}
    assert fingerprint_of_messages(read(rich)) == fingerprint_of_messages(read(rich))


@pytest.mark.parametrize(
    "change",
    [
        {"text": "other"},
        {"role": MessageRole.SYSTEM},
        {"state": MessageState.STREAMING},
        {"parent_id": "x"},
        {"model": "m"},
        {"author": Person("p")},
        {"created_at": at(1)},
        {"edited_at": at(1)},
        {"deleted_at": at(1)},
        {"attachments": (Attachment(name="a"),)},
        {"parts": (Part(kind=PartKind.TOOL_CALL, arguments={"x": 1}),)},
        {"metadata": {"a": 1}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_change_of_a_message_shows(change: dict[str, Any]) -> None:
    assert fingerprint_of_messages(read({}, change)) != fingerprint_of_messages(read())


@pytest.mark.parametrize(
    "change",
    [
        {"is_complete": False},
        {"active_leaf": "m1"},
        {"has_before": True},
        {"has_after": True},
        {"skipped": 1},
        {"chat": a_chat()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_change_of_a_reading_shows(change: dict[str, Any]) -> None:
    assert fingerprint_of_messages(read(**change)) != fingerprint_of_messages(read())
    assert fingerprint_of_messages(read({}, {}, {})) != fingerprint_of_messages(read())


CHANGES: list[dict[str, Any]] = [
    {"title": "other"},
    {"owner": Person("p")},
    {"agent": Agent("a")},
    {"metadata": {"a": 1}},
    {"tags": ("a",)},
    {"pinned": True},
    {"archived": True},
    {"folder": FolderRef(1, "f")},
    {"share_url": "https://example.com"},
    {"created_at": at(1)},
    {"updated_at": at(1)},
    {"last_message_at": at(1)},
    {"message_count": 1},
    {"raw": {"status": "closed"}},
    {"told": frozenset({"title"})},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_every_change_of_a_row_shows(change: dict[str, Any]) -> None:
    assert fingerprint_of_chats([a_chat(), a_chat("c2", **change)]) != fingerprint_of_chats([a_chat(), a_chat("c2")])


def test_no_field_of_a_chat_is_forgotten() -> None:
    constant = {"organization_id", "source_id", "native_id", "as_of"}
    assert {name for change in CHANGES for name in change} == set(Chat.__slots__) - constant
