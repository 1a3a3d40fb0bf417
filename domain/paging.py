"""Pages of a connection, and the order of chats that the gateway itself keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from domain.capabilities import ChatOrder, ChatOrderField
from domain.errors import InvalidArgument
from domain.records import Chat

T = TypeVar("T")
MAX_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """One page: forwards (`first` after `after`) or backwards (`last` before `before`). Cursors are still the client's text."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    @property
    def size(self) -> int:
        """How many rows are wanted."""
        return self.first if self.first is not None else self.last or 0

    @property
    def is_backwards(self) -> bool:
        """Whether the page is counted from the end."""
        return self.first is None


def page_request(first: int | None, after: str | None, last: int | None, before: str | None) -> PageRequest:
    """Check the four arguments of a connection. Raises `InvalidArgument` with the argument as `path`."""
    for name, value in (("first", first), ("last", last)):
        if value is not None and not 1 <= value <= MAX_PAGE:
            raise InvalidArgument(
                f"A page of {value} rows was asked for. `{name}` takes 1 to {MAX_PAGE}.", path=(name,)
            )
    if first is None and last is None:
        raise InvalidArgument(
            "The list has no size. Give `first` (with `after`) or `last` (with `before`).", path=("first",)
        )
    if first is not None and last is not None:
        raise InvalidArgument("Both `first` and `last` were given. Give one of them.", path=("last",))
    if first is None and after is not None:
        raise InvalidArgument("`after` goes with `first`. With `last` use `before`.", path=("after",))
    if last is None and before is not None:
        raise InvalidArgument("`before` goes with `last`. With `first` use `after`.", path=("before",))
    return PageRequest(first=first, after=after, last=last, before=before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Rows with the cursor of each, in the order of the list, whichever way was paged."""

    rows: Sequence[T]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool
    total: int | None = None
    """The exact number of rows of the whole list, None when it is not known."""


SortValue = int | str
ChatKey = tuple[bool, SortValue, int, str]
"""(value is unknown, value, source id, native id). Unknown values come last in both directions; compare with `chat_key_order`."""

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970 in UTC: how the store keeps times and orders compare them, exactly."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def chat_key(chat: Chat, order: ChatOrderField) -> ChatKey:
    """Where a chat stands in an order."""
    value: SortValue | None
    if order is ChatOrderField.TITLE:
        value = chat.title.casefold() if chat.title is not None else None
        return (value is None, value or "", chat.source_id, chat.native_id)
    moment = chat.created_at if order is ChatOrderField.CREATED_AT else updated_at_of(chat)
    return (moment is None, micros(moment) if moment is not None else 0, chat.source_id, chat.native_id)


def updated_at_of(chat: Chat) -> datetime | None:
    """What `UPDATED_AT` orders by: the last change, else the newest message, else the creation."""
    return chat.updated_at or chat.last_message_at or chat.created_at


def comes_before(a: ChatKey, b: ChatKey, order: ChatOrder) -> bool:
    """Whether `a` stands before `b` in `order`. Ties go by source id and native id, ascending in both directions."""
    if a[0] != b[0]:
        return b[0]
    if a[1] != b[1]:
        return (a[1] < b[1]) is not order.descending  # type: ignore[operator]  # one order has values of one type
    return a[2:] < b[2:]


def sorted_chats(chats: Sequence[Chat], order: ChatOrder) -> list[Chat]:
    """In the gateway's order: by value, unknown ones last, ties by source id and native id, ascending in both directions."""
    rows = sorted(chats, key=lambda chat: chat.key)
    rows.sort(key=lambda chat: chat_key(chat, order.field)[1], reverse=order.descending)
    rows.sort(key=lambda chat: chat_key(chat, order.field)[0])
    return rows
