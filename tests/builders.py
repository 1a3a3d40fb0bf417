"""Records with defaults: a test spells out only what it is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.records import Chat, Message, MessageRole, Organization, Principal, Role, Scope, Source

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
"""The instant that tests count from."""


def at(seconds: float) -> datetime:
    """So many seconds after `T0`."""
    return T0 + timedelta(seconds=seconds)


def an_organization(**changes: Any) -> Organization:
    """The organization `acme`."""
    return Organization(**{"id": 1, "slug": "acme", "name": "Acme", "created_at": T0, **changes})


def a_source(**changes: Any) -> Source:
    """A source of `acme`."""
    fields: dict[str, Any] = {
        "id": 1,
        "organization_id": 1,
        "key": "here",
        "vendor": "local",
        "display_name": "Here",
        "base_url": None,
        "created_at": T0,
    }
    return Source(**{**fields, **changes})


def a_chat(native_id: str = "c1", **changes: Any) -> Chat:
    """A chat of source 1."""
    fields: dict[str, Any] = {
        "organization_id": 1,
        "source_id": 1,
        "title": "A chat",
        "created_at": T0,
        "updated_at": T0,
    }
    return Chat(native_id=native_id, **{**fields, **changes})


def a_message(native_id: str = "m1", **changes: Any) -> Message:
    """A message of chat c1 of source 1."""
    fields: dict[str, Any] = {
        "organization_id": 1,
        "source_id": 1,
        "chat_id": "c1",
        "role": MessageRole.USER,
        "text": "Hello",
        "created_at": T0,
    }
    return Message(native_id=native_id, **{**fields, **changes})


def a_principal(**changes: Any) -> Principal:
    """An API key."""
    return Principal(**{"key": "key:1", "subject": None, "display_name": "Tests", **changes})


ALL_SCOPES = frozenset(Scope)
ADMIN = Role.ADMIN
