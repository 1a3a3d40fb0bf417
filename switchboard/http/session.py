"""What the protocols need to know of whoever asks; `switchboard.sessions` implements it."""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from typing import Any, Protocol


class Refused(Exception):
    """The credential, or the lack of one, is not accepted. `status` is HTTP's; on a WebSocket it becomes a close code."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 401,
        code: str = "UNAUTHENTICATED",
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        """`extensions` join `code` and `requestId` in the error, e.g. the organizations to choose from."""
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})


Ended = Callable[[Exception | None], None]
"""Called with None when a credential was revoked or has expired, or with what watching it broke with."""


class Session(Protocol):
    """One credential that was accepted, for one request or for the life of one socket."""

    @property
    def address(self) -> Hashable:
        """Who it is, for what is told to one alone; the same for all sessions of one principal."""

    @property
    def expires_at(self) -> datetime | None:
        """When the credential ends by itself, aware; None: never. `renew` may move it."""

    def context(self, *, request_id: str, client_left: asyncio.Event | None = None) -> Any:
        """A fresh GraphQL context; called for each operation and for each event of a subscription.

        `client_left` is set when the client goes before a mutation has ended; it runs to its end all the same.
        """

    def watch(self, ended: Ended) -> None:
        """Call `ended` once when the credential is no longer good, until `close`."""

    async def renew(self, payload: Mapping[str, Any]) -> bool:
        """Take a newer credential of the same principal from the payload of a `ping`, shaped as `connection_init`'s.

        False: the payload holds none. Raises `Refused` for one that is not good; the present one stays then.
        """

    async def close(self) -> None:
        """Nothing more is asked with it."""


class Sessions(Protocol):
    """Opens sessions."""

    async def open(
        self,
        headers: Mapping[str, str],
        init_payload: Mapping[str, Any] | None,
        *,
        request_id: str,
        transport: str,
        last_event_id: str | None,
    ) -> Session:
        """The session of a request or socket. Raises `Refused`.

        `headers` have lower-case names. `init_payload` is what `connection_init` carried, None outside WebSockets.
        `transport` is `http`, `sse` or `websocket`. `last_event_id` is what an SSE client saw last; it wins over `after`.
        """
