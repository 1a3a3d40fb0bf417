"""Subscriptions: each event from a line of the log, and each kind chosen by its own name."""

from typing import Any

import graphql
import pytest
from graphql import ExecutionResult, GraphQLEnumType, GraphQLInterfaceType

from domain import records
from domain.errors import SourceStatusCode
from domain.ids import chat_id, folder_id, message_id
from domain.records import GATEWAY, EventKind, MessageState
from resolvers.chats import load_unread_counts
from resolvers.context import Context
from resolvers.live_events import CaughtUp, DeltaCame, Gap, GapReason, Happened, LiveEvent, line_told
from resolvers.statuses import SourceStatus
from schema.events import event_of
from schema.root import public_schema
from tests.builders import T0, a_chat, a_message, a_source
from tests.schema.contexts import a_context, know

pytestmark = pytest.mark.anyio

CHAT = chat_id(1, "c1")
MESSAGE = message_id(1, "c1", "m1")
FIELDS = """
  __typename cursor occurredAt
  ... on MessageCreated { chatId message { id state } clientMutationId }
  ... on MessageUpdated { chatId message { id } }
  ... on MessageDeleted { chatId messageId }
  ... on MessageDelta { chatId messageId offset text }
  ... on ChatCreated { chatId chat { id title } }
  ... on ChatUpdated { chatId chat { id } }
  ... on ChatDeleted { chatId }
  ... on FolderChanged { folderId folder { name } }
  ... on ReadStateChanged { chatId readUpToMessageId unreadCount }
  ... on SourceHealthChanged { source { key } }
  ... on StreamGap { onlyChatId from to reason }
  ... on CaughtUp { incomplete { code source { key } } }
"""


def a_line(
    kind: EventKind, native_id: str = "", *, of_source: int = 1, of_chat: str = "c1", detail: Any = None, **rows: Any
) -> Happened:
    """A line of the log with its rows."""
    event = records.Event(
        organization_id=1,
        seq=5,
        kind=kind,
        source_id=of_source,
        chat_id=of_chat,
        native_id=native_id,
        revision=1,
        occurred_at=T0,
        detail=detail or {},
    )
    return Happened(cursor="k5", event=event, **rows)


async def told(event: LiveEvent, context: Context | None = None, field: str = "chatEvents") -> dict[str, Any]:
    """What a subscriber receives of one event, as the engine executes it."""
    selection = FIELDS if field == "chatEvents" else FIELDS.split("... on MessageUpdated")[0]
    document = graphql.parse(f"subscription {{ {field} {{ {selection} }} }}")
    assert graphql.validate(public_schema, document) == []
    result = graphql.execute(public_schema, document, event, context or a_context(a_source()))
    answer = result if isinstance(result, ExecutionResult) else await result
    assert isinstance(answer, ExecutionResult)
    assert answer.errors is None, answer.errors
    assert answer.data is not None
    shown: dict[str, Any] = answer.data[field]
    assert (shown.pop("cursor"), shown.pop("occurredAt")) == ("k5", "2026-11-20T12:00:00Z")
    return shown


LINES: list[tuple[Happened, dict[str, Any]]] = [
    (
        a_line(
            EventKind.MESSAGE_CREATED,
            "m1",
            message=a_message(state=MessageState.STREAMING),
            client_mutation_id="bubble",
        ),
        {
            "__typename": "MessageCreated",
            "chatId": CHAT,
            "message": {"id": MESSAGE, "state": "STREAMING"},
            "clientMutationId": "bubble",
        },
    ),
    (
        a_line(EventKind.MESSAGE_UPDATED, "m1", message=a_message()),
        {"__typename": "MessageUpdated", "chatId": CHAT, "message": {"id": MESSAGE}},
    ),
    (
        a_line(EventKind.MESSAGE_DELETED, "m1"),
        {"__typename": "MessageDeleted", "chatId": CHAT, "messageId": MESSAGE},
    ),
    (
        a_line(EventKind.CHAT_CREATED, "c1", chat=a_chat()),
        {"__typename": "ChatCreated", "chatId": CHAT, "chat": {"id": CHAT, "title": "A chat"}},
    ),
    (
        a_line(EventKind.CHAT_UPDATED, "c1", chat=a_chat()),
        {"__typename": "ChatUpdated", "chatId": CHAT, "chat": {"id": CHAT}},
    ),
    (a_line(EventKind.CHAT_DELETED, "c1"), {"__typename": "ChatDeleted", "chatId": CHAT}),
    (
        a_line(
            EventKind.FOLDER_CHANGED,
            "f1",
            of_source=GATEWAY,
            of_chat="",
            folder=records.Folder(organization_id=1, source_id=GATEWAY, native_id="f1", name="Work"),
        ),
        {"__typename": "FolderChanged", "folderId": folder_id(GATEWAY, "f1"), "folder": {"name": "Work"}},
    ),
    (
        a_line(EventKind.SOURCE_HEALTH_CHANGED, of_chat="", source=a_source()),
        {"__typename": "SourceHealthChanged", "source": {"key": "here"}},
    ),
]


@pytest.mark.parametrize(("line", "expected"), LINES, ids=[line.event.kind.value for line, _ in LINES])
async def test_a_line_of_the_log_is_told_as_its_type(line: Happened, expected: dict[str, Any]) -> None:
    assert await told(line) == expected


async def test_a_read_marker_is_told_with_what_is_unread_now() -> None:
    context = a_context(a_source())
    know(context, load_unread_counts, (1, "c1"), 0)
    line = a_line(EventKind.READ_STATE_CHANGED, "c1", detail={"message_id": "m1"})
    assert await told(line, context) == {
        "__typename": "ReadStateChanged",
        "chatId": CHAT,
        "readUpToMessageId": MESSAGE,
        "unreadCount": 0,
    }


def test_every_kind_of_the_log_is_tested_here() -> None:
    # A gap is a line of the log that resolvers tell as `Gap`.
    assert {line.event.kind for line, _ in LINES} | {EventKind.READ_STATE_CHANGED, EventKind.STREAM_GAP} == set(
        EventKind
    )


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (a_line(EventKind.MESSAGE_CREATED, "m1"), "MessageDeleted"),
        (a_line(EventKind.MESSAGE_UPDATED, "m1"), "MessageDeleted"),
        (a_line(EventKind.CHAT_CREATED, "c1"), "ChatDeleted"),
        (a_line(EventKind.CHAT_UPDATED, "c1"), "ChatDeleted"),
    ],
)
async def test_what_is_gone_by_the_time_it_is_told_is_told_as_gone(line: Happened, name: str) -> None:
    """A client that replays the log gets no row that it could not show."""
    assert (await told(line))["__typename"] == name


async def test_a_folder_that_is_gone_has_no_row() -> None:
    line = a_line(EventKind.FOLDER_CHANGED, "f1", of_source=GATEWAY, of_chat="")
    assert (await told(line))["folder"] is None


def test_the_health_of_a_source_that_is_gone_is_not_told() -> None:
    assert line_told(a_line(EventKind.SOURCE_HEALTH_CHANGED, of_chat="")) is None
    assert line_told(a_line(EventKind.SOURCE_HEALTH_CHANGED, of_chat="", source=a_source()))
    assert line_told(a_line(EventKind.MESSAGE_DELETED, "m1"))


async def test_words_of_a_reply() -> None:
    delta = records.Delta(
        organization_id=1,
        source_id=1,
        chat_id="c1",
        message_id="m1",
        after_seq=4,
        offset=7,
        text="more",
        occurred_at=T0,
    )
    assert await told(DeltaCame(cursor="k5", delta=delta)) == {
        "__typename": "MessageDelta",
        "chatId": CHAT,
        "messageId": MESSAGE,
        "offset": 7,
        "text": "more",
    }


@pytest.mark.parametrize("reason", GapReason)
async def test_a_gap(reason: GapReason) -> None:
    gap = Gap(cursor="k5", occurred_at=T0, gap_from="a", gap_to="b", reason=reason, only_chat=(1, "c1"))
    assert await told(gap) == {
        "__typename": "StreamGap",
        "onlyChatId": CHAT,
        "from": "a",
        "to": "b",
        "reason": reason.value,
    }


async def test_caught_up_names_what_could_not_be_read() -> None:
    status = SourceStatus(source=a_source(), code=SourceStatusCode.TIMEOUT)
    assert await told(CaughtUp(cursor="k5", occurred_at=T0, incomplete=[status])) == {
        "__typename": "CaughtUp",
        "incomplete": [{"code": "TIMEOUT", "source": {"key": "here"}}],
    }


async def test_message_added_is_of_one_type() -> None:
    line = a_line(EventKind.MESSAGE_CREATED, "m1", message=a_message())
    assert (await told(line, field="messageAdded"))["__typename"] == "MessageCreated"


def test_every_kind_that_can_be_chosen_is_the_name_of_a_type() -> None:
    kinds, events = public_schema.type_map["ChatEventKind"], public_schema.type_map["ChatEvent"]
    assert isinstance(kinds, GraphQLEnumType)
    assert isinstance(events, GraphQLInterfaceType)
    types = {type_.name for type_ in public_schema.get_possible_types(events)}
    assert {kind.replace("_", " ").title().replace(" ", "") for kind in kinds.values} == types - {
        "StreamGap",
        "CaughtUp",
    }


def test_an_event_has_the_cursor_that_the_transport_prints() -> None:
    line = a_line(EventKind.MESSAGE_CREATED, "m1", message=a_message())
    assert event_of(line).cursor == line.cursor
