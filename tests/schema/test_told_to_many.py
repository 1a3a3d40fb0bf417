"""Every field that an event of a subscription can show is resolved here for several principals at once: none may ask who they are."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import graphql
import pytest
from graphql import (
    ExecutionResult,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from domain import records
from domain.errors import SourceStatusCode
from domain.ids import IdType, parse_id_of
from domain.records import GATEWAY, EventKind, PartKind
from engine.selections import selected_fields
from resolvers.audience import ViewerUnknown, audience_of, context_of
from resolvers.context import Context
from resolvers.live_events import CaughtUp, DeltaCame, Gap, GapReason, Happened, LiveEvent
from resolvers.statuses import SourceStatus
from schema.events import event_of
from schema.root import public_schema
from schema.viewer import TOLD_TO_ONE, VIEWER_DEPENDENT
from tests.builders import T0
from tests.schema.conftest import Desk

pytestmark = pytest.mark.anyio

FieldName = tuple[str, str]
PARTS = (
    records.Part(kind=PartKind.TEXT, text="Hi"),
    records.Part(kind=PartKind.REASONING, text="Hm"),
    records.Part(kind=PartKind.TOOL_CALL, name="search", call_id="1", arguments={"q": 1}, result={"found": 2}),
    records.Part(kind=PartKind.CITATION, name="Title", url="https://example.com"),
    records.Part(kind=PartKind.ATTACHMENT, attachment=records.Attachment(name="a.png")),
    records.Part(kind=PartKind.OTHER, name="odd", raw={"a": 1}),
)
NOWHERE_HERE = {
    "SourceAccount": "the local store has no account",
    "AgentConnection": "nor a list of agents",
    "AgentEdge": "nor a list of agents",
    "AuditEntry": "nothing was administered",
    "AuditEntryEdge": "nothing was administered",
    "ApiKey": "and no key was made",
    "ApiKeyEdge": "and no key was made",
}
"""Types of which this world has nothing to show, and why."""


def selection(type_: GraphQLNamedType, expanded: set[str]) -> str:
    """Every unmarked field of a type, and of those behind it; a type that was shown already shows its name alone."""
    if isinstance(type_, GraphQLUnionType | GraphQLInterfaceType):
        parts = [
            f"... on {one.name} {{ {selection(one, expanded)} }}" for one in public_schema.get_possible_types(type_)
        ]
        return " ".join(["__typename", *parts])
    assert isinstance(type_, GraphQLObjectType)
    if not all(is_leaf_type(get_named_type(field.type)) for field in type_.fields.values()):
        if type_.name in expanded:
            return "__typename"
        expanded.add(type_.name)
    shown = [_field(name, field, expanded) for name, field in _unmarked(type_)]
    return " ".join(["__typename", *shown])


def _unmarked(type_: GraphQLObjectType) -> Iterator[tuple[str, GraphQLField]]:
    marked = VIEWER_DEPENDENT | TOLD_TO_ONE
    return ((name, field) for name, field in type_.fields.items() if (type_.name, name) not in marked)


def _field(name: str, field: GraphQLField, expanded: set[str]) -> str:
    assert not any(is_required_argument(argument) for argument in field.args.values()), name
    arguments = "(last: 3)" if name == "messages" else "(first: 3)" if "first" in field.args else ""
    # An alias, because fields of one name under one interface may differ in their arguments.
    type_ = get_named_type(field.type)
    return f"{name}{arguments}" + ("" if is_leaf_type(type_) else f" {{ {selection(type_, expanded)} }}")


class Watch:
    """A middleware that notes what was resolved."""

    def __init__(self) -> None:
        self.resolved: set[FieldName] = set()

    def resolve(self, next_: Any, root: Any, info: Any, **arguments: Any) -> Any:
        self.resolved.add((info.parent_type.name, info.field_name))
        return next_(root, info, **arguments)


async def the_world(desk: Desk) -> list[LiveEvent]:
    """One event of each kind that is told to many, each with everything that it can show."""
    folder = (await desk.do("createFolder", "folder { id parent { id } }", name="Work"))["folder"]
    chat_id = (
        await desk.do(
            "createChat",
            "chat { id }",
            sourceId=desk.source,
            title="Hello",
            folderId=folder["id"],
            tags=["a"],
            metadata={"a": 1},
            messages=[{"text": "One"}, {"text": "Two"}],
        )
    )["chat"]["id"]
    inner = (await desk.do("createFolder", "folder { id }", name="Inner", parentId=folder["id"]))["folder"]["id"]
    parsed, inside = parse_id_of(chat_id, IdType.CHAT), parse_id_of(inner, IdType.FOLDER)
    assert parsed is not None
    assert inside is not None
    key = (parsed.short, parsed.parts[0])
    store, organization_id = desk.gateway.store, desk.organization.id
    chat = (await store.chats.get_many(organization_id, [key]))[key]
    lines = await store.events.after(organization_id, 0, 100)
    written = [(one.source_id, one.chat_id, one.native_id) for one in lines if one.kind is EventKind.MESSAGE_CREATED]
    message = (await store.messages.get_many(organization_id, written))[written[-1]]
    message = replace(
        message,
        parts=PARTS,
        author=records.Agent(native_id="a", display_name="A"),
        attachments=(records.Attachment(name="a.png", size_bytes=7, url="https://example.com/a"),),
    )
    chat = replace(chat, owner=records.Person(native_id="p", display_name="P"), agent=records.Agent(native_id="a"))
    ref = records.FolderRef(GATEWAY, inside.parts[0])
    shown = (await store.folders.get_many(organization_id, [ref]))[ref]
    (source,) = await desk.gateway.sources.of(organization_id)
    delta = records.Delta(
        organization_id=organization_id,
        source_id=key[0],
        chat_id=key[1],
        message_id="m",
        after_seq=1,
        offset=0,
        text="words",
        occurred_at=T0,
    )
    status = SourceStatus(source=source, code=SourceStatusCode.TIMEOUT)
    rows = {"chat": chat, "message": message, "folder": shown, "source": source}
    return [
        *(_line(kind, key, rows) for kind in EventKind if kind is not EventKind.READ_STATE_CHANGED),
        DeltaCame(cursor="k", delta=delta),
        Gap(cursor="k", occurred_at=T0, gap_from="a", gap_to="b", reason=GapReason.EXPIRED, only_chat=key),
        CaughtUp(cursor="k", occurred_at=T0, incomplete=[status]),
    ]


def _line(kind: EventKind, key: tuple[int, str], rows: Any) -> Happened:
    event = records.Event(
        organization_id=1,
        seq=1,
        kind=kind,
        source_id=key[0],
        chat_id=key[1],
        native_id="x",
        revision=1,
        occurred_at=T0,
    )
    return Happened(cursor="k", event=event, **rows)


async def tell(event: LiveEvent, context: Context, document: str, watch: Watch) -> ExecutionResult:
    result = graphql.execute(public_schema, graphql.parse(document), event, context, middleware=[watch])
    return result if isinstance(result, ExecutionResult) else await result


async def for_many(desk: Desk) -> Context:
    """The context of an event for all who are told the same as Ada."""
    audience = await audience_of(desk.context(), is_viewers_own=False)
    assert audience.principal is None
    return context_of(desk.gateway, audience, request_id="many")


@cache
def documents() -> dict[str, str]:
    """Everything that each type of event can show."""
    events = public_schema.type_map["ChatEvent"]
    assert isinstance(events, GraphQLInterfaceType)
    return {
        type_.name: f"subscription {{ chatEvents {{ ... on {type_.name} {{ {selection(type_, set())} }} }} }}"
        for type_ in public_schema.get_possible_types(events)
    }


async def test_no_unmarked_field_asks_who_it_is_for(desk: Desk) -> None:
    watch = Watch()
    for event in await the_world(desk):
        document = documents()[type(event_of(event)).__name__]
        result = await tell(event, await for_many(desk), document, watch)
        assert result.errors is None, [(error.path, error.original_error) for error in result.errors]
    shown = _shown_types()
    expected = {
        (type_.name, name)
        for type_ in public_schema.type_map.values()
        if isinstance(type_, GraphQLObjectType) and type_.name in shown
        for name, _ in _unmarked(type_)
    }
    missed = {one for one in expected - watch.resolved if one[0] not in NOWHERE_HERE}
    assert missed == set(), "these were not resolved, so nothing is known of them"


def _shown_types() -> set[str]:
    """The types of objects that an event can lead to."""
    fields = [
        selected_fields(public_schema, document, document.definitions[0])  # type: ignore[arg-type]
        for document in map(graphql.parse, documents().values())
    ]
    return {type_name for each in fields for type_name, _ in each} - {"Subscription", "ReadStateChanged"}


async def test_marked_field_that_is_told_to_many_all_the_same_is_an_error_and_no_answer(desk: Desk) -> None:
    event = next(
        one for one in await the_world(desk) if isinstance(one, Happened) and one.event.kind is EventKind.CHAT_CREATED
    )
    document = "subscription { chatEvents { ... on ChatCreated { chat { title unreadCount } } } }"
    result = await tell(event, await for_many(desk), document, Watch())
    assert result.data == {"chatEvents": {"chat": {"title": "Hello", "unreadCount": None}}}
    assert result.errors is not None
    assert isinstance(result.errors[0].original_error, ViewerUnknown)
    assert "schema.viewer.VIEWER_DEPENDENT" in str(result.errors[0].original_error)


async def test_marked_fields_are_shown_to_an_audience_of_one(desk: Desk) -> None:
    audience = await audience_of(desk.context(), is_viewers_own=True)
    event = next(
        one for one in await the_world(desk) if isinstance(one, Happened) and one.event.kind is EventKind.CHAT_CREATED
    )
    document = "subscription { chatEvents { ... on ChatCreated { chat { unreadCount viewerCan source { createChatSchema } } } } }"
    result = await tell(event, context_of(desk.gateway, audience, request_id="one"), document, Watch())
    assert result.errors is None
    assert result.data is not None
    assert "SEND_MESSAGE" in result.data["chatEvents"]["chat"]["viewerCan"]
