"""What `createChat` takes for one source: its vendor's form, with what the source's options and the gateway's own rules add to it.

It is published as `Source.createChatSchema` and checked by `createChat`, so a form that is built from it asks for what is accepted.
"""

from collections.abc import Mapping
from typing import Any

from domain.records import Principal, Source
from domain.source import Connector
from resolvers.chat_rules import MAX_TAG, MAX_TAGS, MAX_TITLE

_WORDS = r"\S"
_OWN: Mapping[str, Mapping[str, Any]] = {
    "title": {"type": "string", "title": "Title", "minLength": 1, "maxLength": MAX_TITLE, "pattern": _WORDS},
    "tags": {
        "type": "array",
        "title": "Tags",
        "maxItems": MAX_TAGS,
        "items": {"type": "string", "minLength": 1, "maxLength": MAX_TAG, "pattern": _WORDS},
    },
    "metadata": {"type": "object", "title": "Metadata"},
    "folderId": {"type": "string", "title": "Folder", "description": "A folder of the gateway."},
    "messages": {
        "type": "array",
        "title": "First messages",
        "items": {
            "type": "object",
            "properties": {"text": {"type": "string", "pattern": _WORDS}},
            "required": ["text"],
        },
    },
}
"""What the gateway takes, or keeps, for every source."""


def form_of_new_chat(connector: Connector, source: Source, principal: Principal) -> Mapping[str, Any]:
    """A JSON Schema of the input without `sourceId` and `idempotencyKey`, as `principal` may fill it in."""
    vendors = connector.create_chat_schema
    is_closed = vendors.get("additionalProperties") is False
    properties: dict[str, Any] = {**vendors.get("properties", {})}
    for name, own in _OWN.items():
        if name in properties or not is_closed:
            properties[name] = _both(own, properties.get(name, {}))
    form = {**vendors, "properties": properties}
    required = {*vendors.get("required", ()), *connector.demands(source)}
    if "user_ids" in connector.options_schema.get("properties", {}):
        _narrow_users(form, required, source, principal)
    return {**form, "required": sorted(required)} if required else form


def users_of(source: Source, principal: Principal) -> list[str] | None:
    """Whom `userId` may name, by the options `user_ids` and `user_id`; None where they say nothing of users."""
    options = source.options
    if "user_ids" not in options and "user_id" not in options:
        return None
    own = principal.subject if options.get("user_id") == "viewer" else options.get("user_id")
    return list(dict.fromkeys([*options.get("user_ids", ()), *([own] if own is not None else [])]))


def _narrow_users(form: dict[str, Any], required: set[str], source: Source, principal: Principal) -> None:
    properties = form["properties"]
    users = users_of(source, principal)
    if users:
        properties["userId"] = {**properties.get("userId", {"type": "string"}), "enum": users}
    else:
        properties.pop("userId", None)
        form["not"] = {"required": ["userId"]}
    if source.options.get("user_id") == "viewer" and principal.subject is not None:
        required.discard("userId")  # whoever asks is the user


def _both(own: Mapping[str, Any], vendors: Mapping[str, Any]) -> Mapping[str, Any]:
    """A field that both have rules for. Where they agree on its type, both count, the vendor's first."""
    if vendors.get("type", own["type"]) != own["type"]:
        return vendors
    return _merged(own, vendors)


def _merged(own: Mapping[str, Any], vendors: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**own, **vendors}
    for name in own.keys() & vendors.keys():
        if isinstance(own[name], Mapping) and isinstance(vendors[name], Mapping):
            merged[name] = _merged(own[name], vendors[name])
    return merged
