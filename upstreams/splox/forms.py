"""What connecting a Splox account and creating a chat in it take: the options as a record, and JSON Schemas for forms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.records import Source
from upstreams.watching import POLLS_PER_MINUTE

CREATED_TYPE = "api"
"""The type with which chats are created."""
RESOURCE_TYPES = ("workflow", "api", "agent", "gui")


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that chats belong to. What answers in them is None where it is to be looked up."""

    id: str
    types: tuple[str, ...]
    """Under which types its chats are listed."""
    workflow_version_id: str | None = None
    entry_nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a source, with their defaults."""

    resources: tuple[Resource, ...] = ()
    """Empty: the account's workflows are looked up."""
    workflow_version_id: str | None = None
    entry_nodes: tuple[str, ...] = ()
    reply_timeout_seconds: float = 600.0
    runs_per_minute: int = 20

    @staticmethod
    def of(source: Source) -> "Options":
        """Read from a source's record."""
        given = source.options
        return Options(
            resources=tuple(_resource(entry) for entry in given.get("resources", ())),
            workflow_version_id=given.get("workflow_version_id"),
            entry_nodes=tuple(given.get("entry_nodes", ())),
            reply_timeout_seconds=float(given.get("reply_timeout_seconds", 600)),
            runs_per_minute=int(given.get("runs_per_minute", 20)),
        )

    def resource(self, resource_id: str) -> Resource | None:
        """The configured resource of an id."""
        return next((resource for resource in self.resources if resource.id == resource_id), None)


def _resource(entry: Mapping[str, Any]) -> Resource:
    kind = entry.get("type")
    # Chats that the gateway makes are of the type `api`, and may or may not be listed as such.
    types = tuple(dict.fromkeys([kind, CREATED_TYPE])) if isinstance(kind, str) else RESOURCE_TYPES
    return Resource(
        id=str(entry["id"]),
        types=types,
        workflow_version_id=entry.get("workflow_version_id"),
        entry_nodes=tuple(entry.get("entry_nodes", ())),
    )


_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_VERSION: Mapping[str, Any] = {
    "type": "string",
    "minLength": 1,
    "title": "Workflow version",
    "description": "The version of the workflow that answers. Left out: the latest one of the chat's workflow.",
}
_ENTRY_NODES: Mapping[str, Any] = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "title": "Entry nodes",
    "description": "The nodes that get the message. Left out: the version's only one; needed where it has several.",
}
CREDENTIALS_SCHEMA: Mapping[str, Any] = {
    "$schema": _DRAFT,
    "type": "object",
    "properties": {
        "api_key": {
            "type": "string",
            "title": "API token",
            "description": "A token from the account's settings at Splox. It may do all that the account may, and lives an hour unless it was made for longer.",
            "minLength": 1,
            "format": "password",
        }
    },
    "required": ["api_key"],
    "additionalProperties": False,
}
OPTIONS_SCHEMA: Mapping[str, Any] = {
    "$schema": _DRAFT,
    "type": "object",
    "properties": {
        "resources": {
            "type": "array",
            "title": "Resources",
            "description": "Whose chats are shown: Splox lists chats per resource. Left out: every workflow of the account.",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string", "minLength": 1, "description": "The id of the workflow or agent."},
                    "type": {
                        "type": "string",
                        "enum": list(RESOURCE_TYPES),
                        "description": "Its type. Left out: chats of every type are shown.",
                    },
                    "workflow_version_id": _VERSION,
                    "entry_nodes": _ENTRY_NODES,
                },
                "required": ["id"],
                "additionalProperties": False,
            },
        },
        "workflow_version_id": _VERSION,
        "entry_nodes": _ENTRY_NODES,
        "reply_timeout_seconds": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 86400,
            "default": 600,
            "title": "Patience with a run",
            "description": "How long a reply is followed, in seconds.",
        },
        "runs_per_minute": {
            "type": "integer",
            "minimum": 1,
            "default": 20,
            "title": "Quota",
            "description": "How many messages may be sent in a minute.",
        },
        "polls_per_minute": POLLS_PER_MINUTE,
    },
    "additionalProperties": False,
}
CREATE_CHAT_SCHEMA: Mapping[str, Any] = {
    "$schema": _DRAFT,
    "type": "object",
    "properties": {
        "title": {
            "type": "string",
            "title": "Title",
            "description": "The chat's name at Splox. Left out: `New chat`, because Splox demands a name.",
            "minLength": 1,
        },
        "agent": {
            "type": "string",
            "title": "Workflow or agent",
            "description": "The id of the resource that the chat belongs to. It can be left out where the source has one resource only.",
            "minLength": 1,
        },
        "metadata": {
            "type": "object",
            "title": "Metadata",
            "description": "Given to Splox once; later changes are kept by the gateway.",
        },
        "messages": {
            "type": "array",
            "maxItems": 0,
            "description": "Splox answers each message, so a chat cannot begin with some.",
        },
        "options": {"type": "object", "maxProperties": 0},
    },
    "not": {"required": ["userId"]},
}


def demands(source: Source) -> tuple[str, ...]:
    """With one resource a chat can belong to no other."""
    return () if len(Options.of(source).resources) == 1 else ("agent",)
