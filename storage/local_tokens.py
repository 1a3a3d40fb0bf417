"""Tokens of the local list of chats: a key and a direction, so a page continues at its place whatever is written around it."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from domain.capabilities import ChatOrder
from domain.errors import BadCursor
from domain.paging import ChatKey, chat_key
from domain.records import Chat


@dataclass(frozen=True, slots=True)
class ListToken:
    """Where a page begins (`after`) or ends (`before`); neither is the first page."""

    after: ChatKey | None = None
    before: ChatKey | None = None

    @property
    def is_backwards(self) -> bool:
        """Whether the page is counted from its end."""
        return self.before is not None


def read_token(text: str | None) -> ListToken:
    """The place that a token names. `BadCursor` for anything that this module has not written."""
    if text is None:
        return ListToken()
    try:
        match orjson.loads(text):
            case ["after", bool() as unknown, int() | str() as value, int() as source_id, str() as native_id]:
                return ListToken(after=(unknown, value, source_id, native_id))
            case ["before", bool() as unknown, int() | str() as value, int() as source_id, str() as native_id]:
                return ListToken(before=(unknown, value, source_id, native_id))
    except orjson.JSONDecodeError:
        pass  # said below, like any other token that is not ours
    raise BadCursor("The list of chats was to continue at a place that it does not have. Start again without a cursor.")


def token_after(rows: Sequence[Chat], order: ChatOrder, place: ListToken) -> str:
    """The page behind these rows; behind the place itself when there are none."""
    return _write("after", chat_key(rows[-1], order.field) if rows else place.before or place.after)


def token_before(rows: Sequence[Chat], order: ChatOrder, place: ListToken) -> str:
    """The page ahead of these rows; ahead of the place itself when there are none."""
    return _write("before", chat_key(rows[0], order.field) if rows else place.after or place.before)


def _write(direction: str, key: ChatKey | None) -> str:
    if key is None:
        raise ValueError("a page without rows and without a place has no neighbours")
    return orjson.dumps([direction, *key]).decode()
