"""Reading an Open WebUI: whole chats, pages of rows, everything at once."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

import orjson

from domain.errors import NotFound, UpstreamError
from domain.records import Chat, Message, Source
from domain.source import NOTHING_SKIPPED, Skipped, SourcePage
from upstreams.client import UpstreamClient
from upstreams.clock import Clock
from upstreams.json_reading import Json, WrongShape, as_list, as_object, left_out, rows
from upstreams.open_webui import requests
from upstreams.open_webui.access import Access
from upstreams.open_webui.capabilities import PAGE_ROWS, ROW_FIELDS
from upstreams.open_webui.chats import chat_from_json, row_from_json
from upstreams.open_webui.messages import Tree, tree_from_json
from upstreams.open_webui.writing import INTENT
from upstreams.policy import Answer
from upstreams.requests import Request

T = TypeVar("T")
_DRAINED_ROWS = ROW_FIELDS | {"archived"}
_MOST_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class FullChat:
    """A chat with all its messages, as one answer showed them. `intent` is the gateway's id of the write that made it."""

    chat: Chat
    tree: Tree
    started_at: datetime
    intent: str | None = None
    skipped: Skipped = NOTHING_SKIPPED

    @property
    def messages(self) -> dict[str, Message]:
        """Native id to message."""
        return {message.native_id: message for message in self.tree.messages}


class Reader:
    """Reads one source."""

    def __init__(self, client: UpstreamClient, access: Access, source: Source, clock: Clock, prefix: str) -> None:
        self._client = client
        self._access = access
        self._source = source
        self._clock = clock
        self._prefix = prefix

    async def ask(self, request: Request, read: Callable[[Any], T]) -> T:
        """Send and map."""
        return self._client.understood(await self._access.send(request), read)

    async def chat(self, chat_id: str) -> FullChat:
        """A chat in full. Raises `NotFound` also for the chats of others."""
        full = self.full(await self._access.send(requests.get_chat(self._prefix, chat_id)))
        owner = full.chat.owner
        if owner is None or not await self._access.may_show(chat_id, owner.native_id or ""):
            # In no other words than for a chat that does not exist: that it exists is not for everybody to know.
            raise NotFound(
                f"{self._source.key}: the account has no such chat. Read the list again; it may have been deleted."
            )
        return full

    def full(self, answer: Answer) -> FullChat:
        """The chat that an answer shows."""
        full = self._client.understood(answer, lambda body: self._full(as_object(body), answer.started_at))
        return replace(full, skipped=self._client.skipped(answer.request, full.tree.skipped))

    async def page(
        self, number: int, *, archived: bool = False, tells_archived: bool = False
    ) -> tuple[SourcePage[Chat], bool]:
        """One page of a list, and whether another may follow."""
        request = (
            requests.list_archived(self._prefix, number) if archived else requests.list_chats(self._prefix, number)
        )
        answer = await self._access.send(request)
        told = archived if tells_archived else None
        found, skipped, total = self._client.understood(answer, lambda body: self._rows(body, told))
        self._access.remember(chat.native_id for chat in found)
        goes_on = total >= PAGE_ROWS
        page = SourcePage(
            found,
            answer.started_at,
            next=str(number + 1) if goes_on else None,
            previous=str(number - 1) if number > 1 else None,
            skipped=self._client.skipped(request, skipped),
        )
        return page, goes_on

    async def drain(self, needs: frozenset[str]) -> AsyncIterator[SourcePage[Chat]]:
        """Every chat once: by rows where they tell enough, else by the export, which reads each chat whole."""
        if needs <= _DRAINED_ROWS:
            for archived in (False, True):
                async for page in self._pages(archived=archived):
                    yield page
        else:
            async for page in self._export():
                yield page

    async def _pages(self, *, archived: bool) -> AsyncIterator[SourcePage[Chat]]:
        seen: set[str] = set()
        for number in range(1, _MOST_PAGES):
            page, goes_on = await self.page(number, archived=archived, tells_archived=True)
            # A chat that changes meanwhile moves to the front and pushes others onto the next page, where they are shown again.
            fresh = [chat for chat in page.rows if chat.native_id not in seen]
            seen.update(chat.native_id for chat in fresh)
            breaks_off = goes_on and not (fresh or page.skipped)
            yield SourcePage(fresh, page.started_at, skipped=page.skipped, breaks_off=breaks_off)
            if not goes_on or breaks_off:
                return

    async def _export(self) -> AsyncIterator[SourcePage[Chat]]:
        await self._access.version()
        started_at = self._clock.now()
        found: list[Chat] = []
        skipped = NOTHING_SKIPPED
        request = requests.all_chats(self._prefix)
        async for line in self._client.lines(request):
            try:
                found.append(self._full(as_object(orjson.loads(line)), started_at).chat)
            except WrongShape as wrong:
                skipped += left_out(wrong)
            except ValueError:  # an empty line is one that was too long
                skipped += left_out(WrongShape("$", "one chat as JSON on each line"))
            if len(found) + skipped.count >= PAGE_ROWS:
                yield self._batch(request, found, skipped, started_at)
                found, skipped = [], NOTHING_SKIPPED
        yield self._batch(request, found, skipped, started_at)

    def _batch(self, request: Request, found: list[Chat], skipped: Skipped, started_at: datetime) -> SourcePage[Chat]:
        self._access.remember(chat.native_id for chat in found)
        return SourcePage(found, started_at, skipped=self._client.skipped(request, skipped))

    def _rows(self, body: Any, archived: bool | None) -> tuple[list[Chat], Skipped, int]:
        values = as_list(body)
        found, skipped = rows(values, "$", lambda row: row_from_json(self._source, row, archived=archived))
        return found, skipped, len(values)

    def _full(self, body: Json, started_at: datetime) -> FullChat:
        tree = tree_from_json(self._source, body)
        intent = body.object("chat").fields.get(INTENT)
        return FullChat(
            chat_from_json(self._source, body, tree), tree, started_at, intent if isinstance(intent, str) else None
        )


@contextmanager
def after_a_write() -> Iterator[None]:
    """Marks a failure as one behind which something was written already."""
    try:
        yield
    except UpstreamError as error:
        error.perhaps_executed = True
        raise


def page_number(token: str | None) -> int:
    """The page that a token names; the first one for a token that is none of ours."""
    return int(token) if token is not None and token.isdecimal() and len(token) < 8 else 1


def accepted(body: Any) -> None:
    """Check that a completion runs in the background: `{"status": true, …}`."""
    if as_object(body).fields.get("status") is not True:
        raise WrongShape("$.status", "true")


def task_ids(body: Any) -> list[str]:
    """The ids of the tasks under way."""
    shape = as_object(body)
    return [task for task in shape.list("task_ids") if isinstance(task, str)]
