"""Reading a ChatLogger: single chats, the list in pages that do not lose rows, all messages."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from domain.records import Chat, Message, Source
from domain.source import MessagesRead, SourcePage
from upstreams.chatlogger import requests
from upstreams.chatlogger.access import Access
from upstreams.chatlogger.mapping import chat_from_json, messages_from_json, row_from_json
from upstreams.client import UpstreamClient
from upstreams.json_reading import as_list, as_object, rows
from upstreams.requests import Request

T = TypeVar("T")
_DRAINED_ROWS = 200
_MOST_PAGES = 10_000
_BARREN_PAGES = 5
"""After so many pages without a row that is new, a list is taken to have no end."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: `first` is the id of the row that stood there when the page before was read, None where nobody knows."""

    offset: int = 0
    first: str | None = None

    @property
    def token(self) -> str:
        """As text, for a cursor."""
        return f"{self.offset}.{self.first}" if self.first is not None else str(self.offset)

    @staticmethod
    def of(token: str | None) -> "Place":
        """The place that a token names; the beginning for a token that is none of ours."""
        offset, _, first = (token or "").partition(".")
        if not (offset.isascii() and offset.isdecimal() and len(offset) < 10):
            return Place()
        return Place(int(offset), first or None)


class Reader:
    """Reads one source."""

    def __init__(self, client: UpstreamClient, access: Access, source: Source) -> None:
        self._client = client
        self._access = access
        self._source = source

    async def ask(self, request: Request, read: Callable[[Any], T]) -> T:
        """Send as the user who is logged in, and map."""
        return self._client.understood(await self._access.as_user(request), read)

    async def chat(self, chat_id: str) -> Chat:
        """One chat. Raises `NotFound`."""
        return await self.ask(requests.get_chat(await self._access.prefix(), chat_id), self.chat_of)

    def chat_of(self, body: Any) -> Chat:
        """The chat that an answer shows."""
        return chat_from_json(self._source, as_object(body))

    async def page(self, place: Place, *, limit: int) -> SourcePage[Chat]:
        """One page of the list. When rows before it were deleted meanwhile, it begins a page earlier, so that none is left out."""
        page, first_ids = await self._page_at(place.offset, limit)
        if place.first is None or place.first in first_ids or place.offset == 0:
            return page
        earlier, _ = await self._page_at(max(0, place.offset - limit), limit)
        return earlier

    async def drain(self) -> AsyncIterator[SourcePage[Chat]]:
        """Every chat once. One that is created meanwhile pushes others onto the next page, where they are shown again."""
        seen: set[str] = set()
        token: str | None = Place().token
        barren = 0
        for _ in range(_MOST_PAGES):
            page = await self.page(Place.of(token), limit=_DRAINED_ROWS)
            fresh = [chat for chat in page.rows if chat.native_id not in seen]
            seen.update(chat.native_id for chat in fresh)
            token = page.next
            barren = 0 if fresh else barren + 1
            breaks_off = token is not None and barren >= _BARREN_PAGES
            yield SourcePage(fresh, page.started_at, skipped=page.skipped, breaks_off=breaks_off)
            if token is None or breaks_off:
                return

    async def messages(self, chat_id: str) -> MessagesRead:
        """All messages of a chat. Raises `NotFound`."""
        answer = await self._access.as_user(requests.list_messages(await self._access.prefix(), chat_id))
        found, skipped = self._client.understood(
            answer, lambda body: messages_from_json(self._source, chat_id, as_list(body))
        )
        return MessagesRead(
            messages=found,
            started_at=answer.started_at,
            is_complete=True,
            active_leaf=found[-1].native_id if found else None,
            total=None if skipped else len(found),
            skipped=self._client.skipped(answer.request, skipped),
        )

    async def message(self, chat_id: str, message_id: str) -> Message | None:
        """Found among all messages. Raises `NotFound` when there is no such chat."""
        read = await self.messages(chat_id)
        return next((message for message in read.messages if message.native_id == message_id), None)

    async def _page_at(self, offset: int, limit: int) -> tuple[SourcePage[Chat], frozenset[str]]:
        """The page, and the ids of all that was shown. One row more than the page is asked for: it tells whether and with what the next begins."""
        prefix = await self._access.prefix()
        answer = await self._access.as_user(requests.list_chats(prefix, limit=limit + 1, offset=offset))
        values = self._client.understood(answer, as_list)
        found, skipped = rows(values[:limit], "$", lambda row: row_from_json(self._source, row))
        following = _id_of(values[limit]) if len(values) > limit else None
        page = SourcePage(
            list({chat.native_id: chat for chat in found}.values()),
            answer.started_at,
            next=Place(offset + limit, following).token if len(values) > limit else None,
            previous=Place(max(0, offset - limit)).token if offset > 0 else None,
            skipped=self._client.skipped(answer.request, skipped),
        )
        return page, frozenset(_id_of(value) or "" for value in values)


def _id_of(value: Any) -> str | None:
    """The id of a row that may not be readable otherwise."""
    found = value.get("id") if isinstance(value, dict) else None
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else None
