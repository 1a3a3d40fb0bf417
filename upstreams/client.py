"""One source's view of the shared HTTP client: every rule of how a vendor is called, in the order in which it applies."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import httpx
import orjson

from domain.errors import (
    CircuitOpen,
    GatewayError,
    NotFound,
    UnexpectedAnswer,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)
from domain.records import Health, Source
from domain.source import Skipped
from upstreams.breaker import Breaker
from upstreams.clock import Clock
from upstreams.failures import Failures
from upstreams.flights import SingleFlight
from upstreams.health import HealthRecord
from upstreams.json_reading import WrongShape, loads
from upstreams.lines import lines_of
from upstreams.policy import Answer, Call, UpstreamSettings, VendorPolicy
from upstreams.quota import Quota, longest_wait, retry_after_seconds
from upstreams.redaction import Redactor
from upstreams.requests import Request
from upstreams.sockets import Socket, SocketRefused, opened
from upstreams.transport import ACCOUNT, AddressRefused, certainly_not_sent, is_broken_connection
from upstreams.truth import Refusal, error_of

T = TypeVar("T")
_log = logging.getLogger("switchboard.upstreams")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the clients of all sources share. `generations` counts, per credential, the writes that ended."""

    settings: UpstreamSettings
    clock: Clock
    observe: Callable[[Call], None]
    http: Callable[[], httpx.AsyncClient]
    flights: SingleFlight[Answer]
    generations: MutableMapping[str, int]


@dataclass(slots=True)
class _Course:
    """How far one call is. `is_out`: an attempt is under way. `perhaps_executed`: an earlier or this attempt may have reached the vendor's logic."""

    deadline: float
    started_at: datetime
    made: int = 0
    is_out: bool = False
    perhaps_executed: bool = False
    has_replaced_connection: bool = False


class _Failed(Exception):
    """An attempt failed; `again`: the same request may be tried once more, `at_once` without waiting."""

    def __init__(self, error: GatewayError, *, again: bool = False, at_once: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.at_once = at_once


class UpstreamClient:
    """Calls one source. Made by `UpstreamClients.client`; it lives as long as its `ChatSource`."""

    def __init__(
        self,
        shared: Shared,
        source: Source,
        *,
        headers: Mapping[str, str],
        redact: Redactor,
        policy: VendorPolicy,
        quota: Quota,
        quotas: Mapping[str, Quota],
        scope: str,
    ) -> None:
        self._shared = shared
        self._settings = shared.settings
        self._clock = shared.clock
        self._source = source
        self._headers = dict(headers)
        self._redact = self._redact_always = redact
        self._policy = policy
        self._quota = quota
        self._quotas = quotas
        self._scope = scope
        self._base = (source.base_url or "").rstrip("/")
        self._breaker = Breaker(
            shared.clock.monotonic,
            threshold=shared.settings.breaker_threshold,
            open_seconds=shared.settings.breaker_seconds,
        )
        self._places = asyncio.Semaphore(shared.settings.concurrency)
        self._health = HealthRecord(shared.clock.now)
        self._failures = Failures(source)

    def health(self) -> Health:
        """How the source has been answering."""
        return self._health.read(self._breaker.state)

    def keep_secret(self, *secrets: str) -> None:
        """Keep these out of every sentence too, in place of those that were named so before: a session's cookie, which is renewed."""
        self._redact = self._redact_always.also(secrets)

    def skipped(self, request: Request, rows: Skipped) -> Skipped:
        """Count and log rows of the answer to a request that could not be understood; gives them back with what was asked."""
        if not rows:
            return rows
        self._health.drifted(rows.count)
        # A path may lead through names that the vendor chose, such as ids of messages.
        told = Skipped(rows.count, request.operation, self._redact.quote(rows.place))
        _log.warning(
            "%s: %s: rows left out: %d, the first for %s", self._source.key, told.operation, told.count, told.place
        )
        return told

    def garbled(self, frames: int) -> None:
        """Count frames of a stream that could not be understood."""
        if frames:
            self._health.drifted(frames)

    async def send(self, request: Request) -> Answer:
        """The vendor's success, whole. Raises an error of `domain.errors` for everything else."""
        if request.method != "GET":
            try:
                return await self._call(request, self._whole)
            finally:
                self.wrote()
        generation = self._shared.generations.get(self._scope, 0)
        signed = tuple(request.headers.items())
        key = (self._source.id, self._scope, generation, request.target, request.timeout_seconds, signed)
        return await self._shared.flights.run(key, lambda: self._call(request, self._whole))

    def wrote(self) -> None:
        """Something was changed, or may have been: what is read from now on must not be an answer that was under way before."""
        self._shared.generations[self._scope] = self._shared.generations.get(self._scope, 0) + 1

    async def json(self, request: Request, read: Callable[[Any], T]) -> T:
        """The vendor's success as `read` understands its JSON; `WrongShape` becomes `UnexpectedAnswer`."""
        return self.understood(await self.send(request), read)

    def understood(self, answer: Answer, read: Callable[[Any], T]) -> T:
        """What `read` makes of an answer's JSON."""
        try:
            return read(loads(answer.body))
        except WrongShape as wrong:
            place = self._redact.quote(str(wrong))
            raise self._drifted(
                answer.request, f"did not have the documented shape ({place})", self._redact.quote(wrong.json_path)
            ) from None
        except ValueError as error:
            raise self._drifted(answer.request, "was not JSON") from error

    async def lines(self, request: Request, opened: asyncio.Event | None = None) -> AsyncGenerator[bytes, None]:
        """The lines of a streamed answer. `opened` is set once the vendor has begun to answer: what happens there from now on is in the stream."""
        async with self.stream(request) as lines:
            if opened is not None:
                opened.set()
            async for line in lines:
                yield line

    @asynccontextmanager
    async def stream(
        self, request: Request, *, silence_seconds: float | None = None
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """A streamed answer that has begun: its lines, see `lines_of`. It is left when the block ends.

        `silence_seconds` is how long it may be silent, where that is less than the setting.
        """
        response = await self._call(request, self._opened)
        most = self._settings.read_seconds
        chunks = self._chunks(response, request, min(silence_seconds or most, most))
        lines = lines_of(chunks, most_bytes=self._settings.max_answer_bytes)
        try:
            yield lines
        finally:
            await lines.aclose()
            await chunks.aclose()
            await response.aclose()

    @asynccontextmanager
    async def socket(self, request: Request, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
        """A WebSocket at the target of `request`, closed when the block ends. `headers` are added to those of the source.

        What goes wrong until it is open raises an error of `domain.errors`, and certainly nothing was done; afterwards the socket
        raises `SocketClosed`, and who uses it knows what that means.
        """
        wait = self._quota.wait_seconds()
        if wait > 0:
            raise self._failures.quota_used_up(request, wait)
        self._admit(request)
        self._quota.take()
        course = _Course(deadline=0.0, started_at=self._clock.now(), made=1, is_out=True)
        started = self._clock.monotonic()
        status: int | None = None
        try:
            socket = await self._opened_socket(request, headers, course)
            status = 101
        except GatewayError as error:
            self._finish(request, course, error)
            raise
        except BaseException:
            self._breaker.abandon()
            raise
        finally:
            self._report(request, status, self._clock.monotonic() - started, course)
        self._settle(course, succeeded=True)
        self._health.succeeded(self._clock.monotonic() - started)
        try:
            yield socket
        finally:
            await socket.aclose()

    async def _opened_socket(self, request: Request, headers: Mapping[str, str], course: _Course) -> Socket:
        seconds = request.timeout_seconds or self._settings.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await opened(
                    self._base + request.target, {**self._headers, **headers}, self._settings, redact=self._redact
                )
        except TimeoutError as error:
            self._settle(course, succeeded=False)
            raise self._failures.timed_out(request, seconds, perhaps_executed=False) from error
        except SocketRefused as refused:
            answer = httpx.Response(refused.status, headers=refused.headers, content=refused.body)
            raise (await self._refused(request, answer, course)).error from None
        except httpx.RequestError as error:
            self._settle(course, succeeded=isinstance(error, AddressRefused))
            raise self._failures.broken(request, error, perhaps_executed=False) from error

    async def _chunks(
        self, response: httpx.Response, request: Request, silence_seconds: float
    ) -> AsyncGenerator[bytes, None]:
        chunks = response.aiter_bytes()
        while True:
            try:
                async with asyncio.timeout(silence_seconds):
                    chunk = await anext(chunks, None)
            except TimeoutError as error:
                raise self._failures.timed_out(request, silence_seconds, perhaps_executed=False) from error
            except httpx.RequestError as error:
                raise self._failures.broken(request, error, perhaps_executed=False) from error
            if chunk is None:
                return
            yield chunk

    # One call: deadline around attempts

    async def _call(self, request: Request, read: "_Read[T]") -> T:
        seconds = request.timeout_seconds or self._settings.timeout_seconds
        course = _Course(deadline=self._clock.monotonic() + seconds, started_at=self._clock.now())
        try:
            async with asyncio.timeout(seconds):
                return await self._try_until_done(request, read, course)
        except TimeoutError as timeout:
            if course.is_out:
                self._breaker.fail()
            unsure = request.writes and (course.is_out or course.perhaps_executed)
            error = self._failures.timed_out(request, seconds, perhaps_executed=unsure)
            self._health.failed(error.message)
            raise error from timeout
        except GatewayError as error:
            self._finish(request, course, error)
            raise
        except BaseException:
            # Cancelled, or a fault of ours: either tells nothing about the source.
            if course.is_out:
                self._breaker.abandon()
            raise

    async def _try_until_done(self, request: Request, read: "_Read[T]", course: _Course) -> T:
        before: GatewayError | None = None
        while True:
            try:
                await self._wait_for_quota(request, course)
                async with self._places:
                    if self._clock.monotonic() >= course.deadline:  # the place became free when the time was over
                        raise TimeoutError
                    return await self._attempt(request, read, course)
            except CircuitOpen as closed:
                # It opened under this very call: what went wrong says more than that it did.
                raise before or closed from closed
            except _Failed as failed:
                before = failed.error
                if not failed.again:
                    if self._was_done_before(request, course, failed.error):
                        return await read(request, httpx.Response(204), course)
                    raise failed.error from None  # the cause may quote what must not be seen
                if not failed.at_once:
                    await self._back_off(failed.error, course)

    def _was_done_before(self, request: Request, course: _Course, error: GatewayError) -> bool:
        """Whether a retried deletion finds nothing because an earlier attempt, whose answer was lost, did it."""
        return request.method == "DELETE" and course.perhaps_executed and isinstance(error, NotFound)

    def _finish(self, request: Request, course: _Course, error: GatewayError) -> None:
        """What every error of a call goes through: an earlier attempt may have been executed, and the source's health is told."""
        if not isinstance(error, UpstreamError):
            return
        error.perhaps_executed |= course.perhaps_executed and request.writes
        # A rejection is the input's fault, and an open circuit was not asked.
        if not isinstance(error, UpstreamRejected | CircuitOpen):
            self._health.failed(error.message)

    async def _back_off(self, error: GatewayError, course: _Course) -> None:
        """Full jitter: any time up to the bound, so that many who failed together do not come back together."""
        bound = self._settings.backoff_seconds * 2 ** (course.made - 1)
        wait = self._clock.random() * min(bound, self._settings.longest_backoff_seconds)
        asked = error.retry_after_seconds if isinstance(error, UpstreamError) else None
        if asked is not None:
            wait = max(wait, asked)
        if self._clock.monotonic() + wait >= course.deadline:
            raise error
        await self._clock.sleep(wait)

    async def _wait_for_quota(self, request: Request, course: _Course) -> None:
        quota = self._quota_of(request)
        while (wait := quota.wait_seconds()) > 0:
            if self._clock.monotonic() + wait >= course.deadline:
                raise self._failures.quota_used_up(request, wait)
            await self._clock.sleep(wait)

    def _quota_of(self, request: Request) -> Quota:
        """The operation's own, where it has one."""
        return self._quotas.get(request.operation, self._quota)

    # One attempt

    async def _attempt(self, request: Request, read: "_Read[T]", course: _Course) -> T:
        self._admit(request)
        quota = self._quota_of(request)
        quota.take()
        course.made += 1
        course.is_out = True
        course.started_at = self._clock.now()
        started = self._clock.monotonic()
        status: int | None = None
        try:
            response = await self._shared.http().send(self._built(request), stream=True)
            status = response.status_code
            quota.obey(response.headers, self._clock.now())
            await self._check(request, response, course)
            result = await read(request, response, course)
        except httpx.RequestError as error:
            raise self._no_answer(request, error, course) from error
        except httpx.InvalidURL as error:
            refused = AddressRefused("`base_url` is not an address")
            raise self._no_answer(request, refused, course) from error
        finally:
            seconds = self._clock.monotonic() - started
            self._report(request, status, seconds, course)
        self._settle(course, succeeded=True)
        self._health.succeeded(seconds)
        return result

    def _admit(self, request: Request) -> None:
        wait = self._breaker.admit()
        if wait is not None:
            raise self._failures.circuit_open(request, wait)

    def _built(self, request: Request) -> httpx.Request:
        headers = {"Accept": request.accept, **self._headers, **request.headers}
        content: bytes | None = None
        if request.body is not None:
            content = orjson.dumps(request.body)
            headers["Content-Type"] = "application/json"
        return self._shared.http().build_request(
            request.method,
            self._base + request.target,
            headers=headers,
            content=content,
            extensions={ACCOUNT: f"{self._source.id} {self._scope}"},
        )

    async def _whole(self, request: Request, response: httpx.Response, course: _Course) -> Answer:
        body = await self._body(request, response)
        return Answer(request, response.status_code, body, course.started_at, response.headers)

    async def _opened(self, request: Request, response: httpx.Response, course: _Course) -> httpx.Response:
        return response

    async def _body(self, request: Request, response: httpx.Response) -> bytes:
        limit = self._settings.max_answer_bytes
        body = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > limit:
                    raise _Failed(self._failures.too_large(request, limit))
        finally:
            await response.aclose()
        return bytes(body)

    async def _check(self, request: Request, response: httpx.Response, course: _Course) -> None:
        """Raise what a refusal means, or a web page in place of an answer."""
        if not 200 <= response.status_code < 300:
            raise await self._refused(request, response, course)
        if response.headers.get("content-type", "").startswith("text/html"):
            await response.aclose()
            self._settle(course, succeeded=True)
            raise _Failed(self._drifted(request, "was a web page"))

    async def _refused(self, request: Request, response: httpx.Response, course: _Course) -> _Failed:
        status = response.status_code
        body = await self._error_body(request, response)
        course.perhaps_executed |= status >= 500
        self._settle(course, succeeded=status < 500)
        wait = retry_after_seconds(response.headers, self._clock.now())
        if wait is None and body is not None:
            wait = longest_wait(self._policy.retry_after(body))
        if status == 429 and wait is not None:
            self._quota_of(request).block_for(wait)
        error = error_of(
            self._policy.truths,
            Refusal(
                source_id=self._source.id,
                source_key=self._source.key,
                operation=request.operation,
                status=status,
                words=self._redact.quote(self._policy.words(body)) if body is not None else "",
                retry_after_seconds=wait,
                perhaps_executed=status >= 500 and request.writes,
                has_json=body is not None,
            ),
        )
        again = isinstance(error, UpstreamRateLimited | UpstreamUnavailable) and self._may_try_again(request, course)
        return _Failed(error, again=again)

    async def _error_body(self, request: Request, response: httpx.Response) -> Any:
        """The JSON of an error, None when it is none: a broken error is still that error."""
        try:
            return loads(await self._body(request, response))
        except (ValueError, httpx.RequestError, _Failed):
            return None

    def _no_answer(self, request: Request, error: httpx.RequestError, course: _Course) -> _Failed:
        unsent = certainly_not_sent(error)
        failure = self._failures.broken(request, error, perhaps_executed=not unsent and request.writes)
        if isinstance(error, AddressRefused):
            course.is_out = False
            self._breaker.abandon()
            return _Failed(failure)
        course.perhaps_executed |= not unsent
        if is_broken_connection(error) and request.idempotent and not course.has_replaced_connection:
            # A vendor that dropped an idle connection (Open WebUI does after each 500) has not failed: only the connection was old.
            course.has_replaced_connection = True
            course.is_out = False
            self._breaker.abandon()
            return _Failed(failure, again=True, at_once=True)
        self._settle(course, succeeded=False)
        return _Failed(failure, again=self._may_try_again(request, course, unsent=unsent))

    def _may_try_again(self, request: Request, course: _Course, *, unsent: bool = False) -> bool:
        return course.made < self._settings.attempts and (
            request.idempotent or (unsent and not course.perhaps_executed)
        )

    def _settle(self, course: _Course, *, succeeded: bool) -> None:
        course.is_out = False
        if succeeded:
            self._breaker.succeed()
        else:
            self._breaker.fail()

    def _report(self, request: Request, status: int | None, seconds: float, course: _Course) -> None:
        if status is None or status >= 400:
            _log.info("%s: %s attempt %d: %s", self._source.key, request.operation, course.made, status or "no answer")
        self._shared.observe(
            Call(
                source_id=self._source.id,
                vendor=self._source.vendor,
                operation=request.operation,
                status=status,
                seconds=seconds,
                attempt=course.made,
            )
        )

    def _drifted(self, request: Request, what: str, json_path: str = "$") -> UnexpectedAnswer:
        error = self._failures.unexpected(request, what, json_path)
        self._health.drifted()
        self._health.failed(error.message)
        return error


_Read = Callable[[Request, httpx.Response, _Course], Awaitable[T]]
