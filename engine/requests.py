"""What goes into the engine and what comes out: one operation asked, one response, and one delivery of a subscription."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.encoding import encode


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRequest:
    """One operation as a client sends it, by whatever protocol. The types of its parts are already checked."""

    query: str
    operation_name: str | None = None
    """None: the document holds one operation only."""
    variables: Mapping[str, Any] | None = None
    extensions: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Response:
    """The response of one operation, as the GraphQL specification draws it: `data`, `errors`, `extensions`."""

    body: dict[str, Any]
    _json: bytes | None = field(default=None, repr=False)

    @property
    def is_request_error(self) -> bool:
        """Whether nothing was executed: such a response has no `data`, not even null (specification section 7.1)."""
        return "data" not in self.body

    @property
    def json(self) -> bytes:
        """The body as JSON in UTF-8, serialised once."""
        if self._json is None:
            self._json = encode(self.body)
        return self._json


@dataclass(slots=True)
class Delivery:
    """One response of a subscription and the event of the source stream that caused it.

    `ends`: the source stream broke with an error; this is the last delivery and `event` is None.
    """

    response: Response
    event: Any = None
    ends: bool = False
