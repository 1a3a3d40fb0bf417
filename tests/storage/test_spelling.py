"""Records as bytes."""

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from domain.records import CHAT_FIELDS, Agent, FolderRef, Person
from storage.spelling import spelled
from tests.builders import a_chat, a_message, at

CHANGES: dict[str, Any] = {
    "told": CHAT_FIELDS - {"raw"},
    "title": "Another",
    "owner": Person("p1", "Ada"),
    "agent": Agent("a1", "Bot", None),
    "metadata": {"a": 1},
    "tags": ("a",),
    "pinned": True,
    "archived": False,
    "folder": FolderRef(1, "f"),
    "share_url": "https://chat.example.com/s/1",
    "created_at": at(0.000001),
    "updated_at": at(1),
    "last_message_at": at(2),
    "message_count": 3,
    "raw": {"x": None},
}


def test_every_field_of_a_chat_makes_a_difference() -> None:
    assert CHANGES.keys() == CHAT_FIELDS | {"told"}
    words = {spelled(a_chat()), *(spelled(a_chat(**{name: value})) for name, value in CHANGES.items())}
    assert len(words) == 1 + len(CHANGES)


def test_equal_records_are_equal_bytes() -> None:
    assert spelled(a_chat(metadata={"a": [1, None]})) == spelled(a_chat(metadata=MappingProxyType({"a": [1, None]})))
    assert spelled([a_message(), a_message("m2")]) == spelled((a_message(), replace(a_message(), native_id="m2")))


@pytest.mark.parametrize("value", ["\ud800", 2**70, object()])
def test_what_json_has_no_words_for_cannot_be_spelled(value: object) -> None:
    assert spelled(a_chat(raw={"x": value})) is None
