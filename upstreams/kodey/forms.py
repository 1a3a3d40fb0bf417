"""What connecting a Kodey team and creating a chat in it take, as JSON Schemas for forms."""

from collections.abc import Mapping
from typing import Any

from upstreams.watching import POLLS_PER_MINUTE

CREDENTIALS_SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "api_key": {
            "type": "string",
            "title": "API key",
            "description": "A team's secret key (`sk_live_…`). A publishable key (`pk_live_…`) may be refused when chats are listed or deleted.",
            "minLength": 1,
            "format": "password",
        }
    },
    "required": ["api_key"],
    "additionalProperties": False,
}
OPTIONS_SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "user_ids": {
            "type": "array",
            "items": {"type": "string"},
            "title": "User ids",
            "description": "The user ids that `createChat.userId` may name.",
        },
        "user_id": {
            "type": "string",
            "title": "User id",
            "description": "The user id of new chats that name none; `viewer` takes the subject of whoever asks.",
        },
        "reply_timeout_seconds": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 3600,
            "default": 120,
            "title": "Patience with an agent",
            "description": "How long a reply may take, in seconds. Kodey answers a message only when the agent has.",
        },
        "requests_per_minute": {
            "type": "number",
            "exclusiveMinimum": 0,
            "title": "Quota",
            "description": "Requests a minute. Left out: 100 for a publishable key, 1000 for others.",
        },
        "polls_per_minute": POLLS_PER_MINUTE,
    },
    "additionalProperties": False,
}
CREATE_CHAT_SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "agent": {
            "type": "string",
            "title": "Agent",
            "description": "The id of the agent that answers in the chat.",
            "minLength": 1,
        },
        "userId": {
            "type": "string",
            "title": "User id",
            "description": "Whose chat it is; one of the source's `user_ids`.",
        },
        "metadata": {
            "type": "object",
            "title": "Metadata",
            "description": "Given to Kodey once; the gateway remembers it, because Kodey does not show it.",
        },
        "messages": {
            "type": "array",
            "maxItems": 0,
            "description": "Kodey answers each message, so a chat cannot begin with some.",
        },
        "options": {"type": "object", "maxProperties": 0},
    },
    "required": ["agent"],
}
