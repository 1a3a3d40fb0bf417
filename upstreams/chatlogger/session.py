"""A login at ChatLogger: the cookie that it gives, renewed before it ends and once after it was refused.

    none ──login──▶ valid ──its time is nearly over, or 401──▶ login ──▶ valid
                      ╰──401 to a fresh cookie──▶ `UpstreamUnauthorized`

The cookie travels in the header of single requests and never in the pool's jar: two sources may log in to the same host.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from domain.errors import UpstreamError, UpstreamUnauthorized
from upstreams.chatlogger import requests
from upstreams.client import UpstreamClient
from upstreams.clock import Clock
from upstreams.flights import SingleFlight
from upstreams.json_reading import WrongShape
from upstreams.policy import Answer
from upstreams.requests import Request

COOKIE = "auth_token"
_DAY_SECONDS = 24 * 3600.0
_EARLY_SECONDS = 300.0
_EARLY_SHARE = 0.1


@dataclass(frozen=True, slots=True, repr=False)
class Cookie:
    """A session's cookie. `renew_at` is a moment of the monotonic clock."""

    value: str
    renew_at: float


class Session:
    """The session of one user at one server."""

    def __init__(self, client: UpstreamClient, clock: Clock, *, email: str, password: str) -> None:
        self._client = client
        self._clock = clock
        self._email = email
        self._password = password
        self._cookie: Cookie | None = None
        self._flights: SingleFlight[Cookie] = SingleFlight()

    async def send(self, request: Request) -> Answer:
        """The answer to a request that is signed with the session's cookie. A refused cookie is replaced once."""
        cookie = await self._valid()
        try:
            return await self._client.send(_signed(request, cookie))
        except UpstreamUnauthorized as error:
            # The cookie is looked at before anything is done, so nothing was, and the request may be made again.
            if error.vendor_status != 401:
                raise
        return await self._client.send(_signed(request, await self._valid(instead_of=cookie)))

    async def _valid(self, *, instead_of: Cookie | None = None) -> Cookie:
        cookie = self._cookie
        if cookie is None or cookie is instead_of or self._clock.monotonic() >= cookie.renew_at:
            return await self._flights.run(COOKIE, self._log_in)
        return cookie

    async def _log_in(self) -> Cookie:
        now, asked_at = self._clock.now(), self._clock.monotonic()
        try:
            answer = await self._client.send(requests.login(self._email, self._password))
            value, seconds = self._client.understood(answer, lambda body: cookie_of(answer.headers, now))
        except UpstreamError as error:
            error.perhaps_executed = False  # what the session was wanted for was not even sent
            raise
        early = min(_EARLY_SECONDS, seconds * _EARLY_SHARE)
        before = [self._cookie.value] if self._cookie is not None else []
        self._client.keep_secret(value, *before)
        self._cookie = Cookie(value, asked_at + seconds - early)
        return self._cookie


def cookie_of(headers: httpx.Headers, now: datetime) -> tuple[str, float]:
    """The value of the session's cookie, and for how many seconds it is good: a day where the answer does not tell."""
    for line in headers.get_list("set-cookie"):
        first, *attributes = (part.strip() for part in line.split(";"))
        name, _, value = first.partition("=")
        value = value.strip('"')
        if name == COOKIE and re.fullmatch(r"[!-~]+", value):
            return value, _lifetime(attributes, now)
    raise WrongShape("$", f"a cookie `{COOKIE}` beside the answer")


def _lifetime(attributes: list[str], now: datetime) -> float:
    named = {name.strip().lower(): text.strip() for name, _, text in (part.partition("=") for part in attributes)}
    if re.fullmatch(r"-?\d{1,12}", named.get("max-age", "")):
        return max(0.0, float(named["max-age"]))
    try:
        expires = parsedate_to_datetime(named["expires"])
    except (KeyError, ValueError):
        return _DAY_SECONDS
    return max(0.0, (expires.replace(tzinfo=expires.tzinfo or UTC) - now).total_seconds())


def _signed(request: Request, cookie: Cookie) -> Request:
    return replace(request, headers={"Cookie": f"{COOKIE}={cookie.value}"})
