"""The sentences in which calls fail without an answer that a truth table could judge: what was attempted, what happened, what to do."""

import httpx

from domain.errors import (
    CircuitOpen,
    UnexpectedAnswer,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnauthorized,
    UpstreamUnavailable,
)
from domain.records import Source
from upstreams.requests import Request
from upstreams.transport import AddressRefused, certainly_not_sent


class Failures:
    """The failures of one source."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def _attempted(self, request: Request) -> str:
        return f"{self._source.key}: {request.operation.replace('_', ' ')}"

    def timed_out(self, request: Request, seconds: float, *, perhaps_executed: bool) -> UpstreamTimeout:
        """The deadline passed."""
        return UpstreamTimeout(
            f"{self._attempted(request)} was not answered within {seconds:g} s. Try again later.",
            source_id=self._source.id,
            operation=request.operation,
            perhaps_executed=perhaps_executed,
        )

    def broken(self, request: Request, error: httpx.RequestError, *, perhaps_executed: bool) -> UpstreamUnavailable:
        """There is no connection, or none any more."""
        if isinstance(error, AddressRefused):
            happened = str(error)
        elif certainly_not_sent(error):
            happened = "no connection could be made"
        else:
            happened = "the connection broke before the answer was complete"
        return UpstreamUnavailable(
            f"{self._attempted(request)} failed: {happened}. Check `base_url` and whether the vendor is up, then try again.",
            source_id=self._source.id,
            operation=request.operation,
            perhaps_executed=perhaps_executed,
        )

    def closed(self, request: Request, code: int, reason: str) -> UpstreamUnavailable:
        """A socket was closed, or broke. `reason` is the vendor's, without secrets."""
        said = f' "{reason}"' if reason else ""
        return UpstreamUnavailable(
            f"{self._attempted(request)}: the socket was closed with {code}{said}. Try again later.",
            source_id=self._source.id,
            operation=request.operation,
        )

    def rejected(self, request: Request, words: str) -> UpstreamRejected:
        """The vendor said no over a socket; `words` are its own, without secrets."""
        said = f': "{words}"' if words else ""
        return UpstreamRejected(
            f"{self._attempted(request)} was refused{said}. Check the vendor's version and the options of the source.",
            source_id=self._source.id,
            operation=request.operation,
        )

    def unauthorized(self, request: Request, what: str) -> UpstreamUnauthorized:
        """The vendor does not know whose credentials these are; `what` says what happened and what to do."""
        return UpstreamUnauthorized(
            f"{self._attempted(request)}: {what}.", source_id=self._source.id, operation=request.operation
        )

    def unexpected(self, request: Request, what: str, json_path: str = "$") -> UnexpectedAnswer:
        """The answer is not as documented; `what` says how."""
        return UnexpectedAnswer(
            f"{self._attempted(request)}: the answer of {self._source.vendor} {what}. Check `base_url`, the options of the source and the vendor's version.",
            source_id=self._source.id,
            operation=request.operation,
            json_path=json_path,
            perhaps_executed=request.writes,
        )

    def too_large(self, request: Request, limit: int) -> UpstreamTooLarge:
        """The answer passed the limit."""
        return UpstreamTooLarge(
            f"{self._attempted(request)}: the answer is larger than {limit} bytes and was not read. Ask for less.",
            source_id=self._source.id,
            operation=request.operation,
            perhaps_executed=request.writes,
        )

    def circuit_open(self, request: Request, wait: float) -> CircuitOpen:
        """The source is left alone."""
        return CircuitOpen(
            f"{self._attempted(request)} was not sent: the source failed several times in a row and is left alone. Try again in {wait:.0f} s.",
            source_id=self._source.id,
            operation=request.operation,
            retry_after_seconds=wait,
        )

    def quota_used_up(self, request: Request, wait: float) -> UpstreamRateLimited:
        """Waiting for the quota would take longer than the call may."""
        return UpstreamRateLimited(
            f"{self._attempted(request)} was not sent: the quota of its credentials is used up. Try again in {wait:.0f} s.",
            source_id=self._source.id,
            operation=request.operation,
            retry_after_seconds=wait,
        )
