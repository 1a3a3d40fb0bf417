"""Reading the chats of one tenant's users: pages, all of them, single ones, and whose each is."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any

from domain.errors import NotFound
from domain.records import Chat, Source
from domain.source import Skipped, SourcePage
from upstreams.client import UpstreamClient
from upstreams.clock import Clock
from upstreams.json_reading import as_object, rows
from upstreams.lexicon.capabilities import CHAT_ROWS
from upstreams.lexicon.forms import Options
from upstreams.lexicon.mapping import PageEnd, chat_from_json, page_from_json, tenant_id_of
from upstreams.lexicon.requests import get_chat_request, list_chats_request

_REMEMBERED_CHATS = 10_000
_MOST_PAGES = 2_000


class Chats:
    """The chats of one source. Whose a chat is never changes, so it is remembered; no call is needed to know it again."""

    def __init__(self, client: UpstreamClient, source: Source, options: Options, clock: Clock) -> None:
        self._client = client
        self._source = source
        self._clock = clock
        self._options = options
        self._users: OrderedDict[str, str] = OrderedDict()
        self.tenant_id: str | None = None

    async def get(self, chat_id: str) -> Chat:
        """A chat. Raises `NotFound` also for the chats of users that are not the source's."""
        chat = await self._client.json(get_chat_request(chat_id), lambda body: self.seen(self._read(body)))
        if not self._options.may_show(_user_of(chat)):
            # In no other words than for a chat that does not exist: that it exists is not for everybody to know.
            raise NotFound(
                f"{self._source.key}: the source's users have no such chat. Read the list again; it may have been deleted."
            )
        return chat

    async def user_of(self, chat_id: str) -> str:
        """Whose chat it is. Raises `NotFound` like `get`."""
        user_id = self._users.get(chat_id)
        if user_id is None or not self._options.may_show(user_id):
            user_id = _user_of(await self.get(chat_id))
        return user_id

    async def page(self, user_id: str, *, offset: int, newest_first: bool) -> SourcePage[Chat]:
        """A page of one user's chats; the tokens are offsets. A user without chats is unknown to Lexicon."""
        started_at = self._clock.now()
        try:
            answer = await self._client.send(list_chats_request(user_id, offset=offset, newest_first=newest_first))
        except NotFound:
            return SourcePage([], started_at, previous=_before(offset))
        found, skipped, end = self._client.understood(answer, self._rows)
        return SourcePage(
            [self.seen(chat) for chat in found],
            answer.started_at,
            next=str(offset + end.count) if end.goes_on(offset) else None,
            previous=_before(offset),
            skipped=self._client.skipped(answer.request, skipped),
        )

    async def all(self) -> AsyncIterator[SourcePage[Chat]]:
        """Every chat of every user once, oldest first: what is created meanwhile comes at the end and moves nothing."""
        seen: set[str] = set()
        for user_id in self._options.user_ids:
            offset: int | None = 0
            for _ in range(_MOST_PAGES):
                if offset is None:
                    break
                page = await self.page(user_id, offset=offset, newest_first=False)
                fresh = [chat for chat in page.rows if chat.native_id not in seen]
                seen.update(chat.native_id for chat in fresh)
                # A page without anything new, although it says that it goes on, would go on for ever.
                breaks_off = page.next is not None and not (fresh or page.skipped)
                yield SourcePage(fresh, page.started_at, skipped=page.skipped, breaks_off=breaks_off)
                offset = int(page.next) if page.next is not None and not breaks_off else None

    def seen(self, chat: Chat) -> Chat:
        """Remember whose the chat is, and the tenant."""
        self._users[chat.native_id] = _user_of(chat)
        self._users.move_to_end(chat.native_id)
        while len(self._users) > _REMEMBERED_CHATS:
            self._users.popitem(last=False)
        self.tenant_id = tenant_id_of(chat) or self.tenant_id
        return chat

    def forget(self, chat_id: str) -> None:
        """The chat is gone."""
        self._users.pop(chat_id, None)

    def _read(self, body: Any) -> Chat:
        return chat_from_json(self._source, as_object(body))

    def _rows(self, body: Any) -> tuple[list[Chat], Skipped, PageEnd]:
        values, path, end = page_from_json(body, "chats")
        found, skipped = rows(values, path, lambda row: chat_from_json(self._source, row))
        return found, skipped, end


def offset_of(token: str | None) -> int:
    """The row that a token names; the first one for a token that is none of ours."""
    return int(token) if token is not None and token.isdecimal() and len(token) < 10 else 0


def _before(offset: int) -> str | None:
    return str(max(0, offset - CHAT_ROWS)) if offset > 0 else None


def _user_of(chat: Chat) -> str:
    assert chat.owner is not None, "every chat of Lexicon has a user"
    return chat.owner.native_id or ""
