"""What is wrong with a request before GraphQL comes into play, as JSON in the shape of GraphQL errors."""

from collections.abc import Mapping
from typing import Any

from domain.errors import ErrorCode
from engine.encoding import encode


class Problem(Exception):
    """Answered with this status and one error. The message says what was attempted, what happened and what to do."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = ErrorCode.INVALID_ARGUMENT,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = str(code)
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})


def error_body(message: str, code: str, request_id: str, extensions: Mapping[str, Any] | None = None) -> bytes:
    """One error and no `data`."""
    return encode(
        {"errors": [{"message": message, "extensions": {**(extensions or {}), "code": code, "requestId": request_id}}]}
    )
