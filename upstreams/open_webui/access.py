"""What must be known before anything else: the release of the server, and whose credentials these are."""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from domain.errors import NotFound, UnexpectedAnswer, UpstreamRejected
from domain.records import Source
from upstreams.client import UpstreamClient
from upstreams.json_reading import Json, WrongShape, as_list, as_object
from upstreams.open_webui import requests
from upstreams.policy import Answer
from upstreams.requests import Request

T = TypeVar("T")
OLDEST = (0, 9)
_REMEMBERED_CHATS = 10_000


class Access:
    """The way to one server: probes its release once, and tells own chats from those of others.

    An administrator's credentials read everybody's chats, so ownership is compared here. The account's own id is learnt once: from the
    session with a token; with an API key, which may not ask for its session, from the owner of a chat that the account's list shows.
    """

    def __init__(
        self, client: UpstreamClient, source: Source, *, prefix: str, has_session: bool, all_users: bool
    ) -> None:
        self._client = client
        self._source = source
        self._prefix = prefix
        self._has_session = has_session
        self._all_users = all_users
        self._version: str | None = None
        self._own_id: str | None = None
        self._own_chats: OrderedDict[str, None] = OrderedDict()

    async def send(self, request: Request) -> Answer:
        """Send a request, after the release was found to be recent enough."""
        await self.version()
        return await self._client.send(request)

    async def version(self) -> str:
        """The release, e.g. `0.12.4`. Raises `UpstreamRejected` for one that is too old."""
        if self._version is None:
            try:
                found = await self._client.json(requests.version(), _version_from_json)
            except NotFound as error:
                raise UnexpectedAnswer(
                    f"{self._source.key}: there is no Open WebUI at this address (`/api/version` does not exist). Check `base_url`.",
                    source_id=self._source.id,
                    operation="read_version",
                ) from error
            if _numbers(found) < OLDEST:
                raise UpstreamRejected(
                    f"{self._source.key}: Open WebUI {found} answered, and {OLDEST[0]}.{OLDEST[1]} is the oldest release that works with the gateway. Update Open WebUI.",
                    source_id=self._source.id,
                    operation="read_version",
                )
            self._version = found
        return self._version

    def remember(self, chat_ids: Iterable[str]) -> None:
        """These chats are the account's own: its list shows them, or it made them."""
        for chat_id in chat_ids:
            self._own_chats[chat_id] = None
            self._own_chats.move_to_end(chat_id)
        while len(self._own_chats) > _REMEMBERED_CHATS:
            self._own_chats.popitem(last=False)

    def forget(self, chat_id: str) -> None:
        """The chat is gone."""
        self._own_chats.pop(chat_id, None)

    def is_known(self, chat_id: str) -> bool:
        """Whether the chat may be written to without looking at it first."""
        return self._all_users or chat_id in self._own_chats

    async def may_show(self, chat_id: str, owner_id: str) -> bool:
        """Whether a chat that was read belongs to the account, or may be shown all the same."""
        if chat_id in self._own_chats:
            self._own_id = owner_id
        if self._own_id is None and not self._all_users:
            self._own_id = await self._learn_own_id()
        is_own = owner_id == self._own_id
        if is_own:
            self.remember([chat_id])
        return is_own or self._all_users

    async def _learn_own_id(self) -> str | None:
        """None when the account has no chat at all: then none can be its own."""
        if self._has_session:
            return await self._read(requests.session(self._prefix), lambda body: as_object(body).identifier("id"))
        for request in (requests.list_chats(self._prefix, 1), requests.list_archived(self._prefix, 1)):
            chat_ids = await self._read(request, _first_ids)
            for chat_id in chat_ids:
                try:
                    return await self._read(requests.get_chat(self._prefix, chat_id), _owner_id)
                except NotFound:
                    continue  # deleted since the list was read
        return None

    async def _read(self, request: Request, read: Callable[[Any], T]) -> T:
        return self._client.understood(await self.send(request), read)


def _first_ids(body: Any) -> list[str]:
    return [as_object(row, f"$[{index}]").identifier("id") for index, row in enumerate(as_list(body)[:3])]


def _owner_id(body: Any) -> str:
    return as_object(body).identifier("user_id")


def _version_from_json(body: Any) -> str:
    shape: Json = as_object(body)
    found = shape.text("version")
    if not re.match(r"v?\d+\.\d+", found):
        raise WrongShape(shape.at("version"), "a release like 0.12.4")
    return found


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.removeprefix("v").split(".")[:2]
    return int(major), int(re.match(r"\d+", minor).group())  # type: ignore[union-attr]  # matched by `_version_from_json`
