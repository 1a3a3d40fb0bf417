"""How Open WebUI says no: statuses and sentences measured on 0.12.4; there is no machine-readable code beside them."""

from typing import Any

NOT_FOUND = "We could not find what you're looking for :/"
FORBIDDEN = "You do not have permission to access this resource. Please contact your administrator for assistance."
WENT_WRONG = "Something went wrong :/"
SESSION_EXPIRED = "Your session has expired or the token is invalid. Please sign in again."
NOT_AUTHENTICATED = "Not authenticated"
MESSAGE_ID_TAKEN = "Message already exists or has an invalid ID."


class DetailError(Exception):
    """Answered as `{"detail": …}`; a list where the request's shape is wrong (422), else a sentence."""

    def __init__(self, status: int, detail: str | list[dict[str, Any]]) -> None:
        super().__init__(status, detail)
        self.status, self.detail = status, detail


class UnhandledError(Exception):
    """An exception the server does not expect: 500, text/plain, and the connection is dropped unannounced."""


def not_found_as_401() -> DetailError:
    """A chat that is unknown, somebody else's, or no id at all."""
    return DetailError(401, NOT_FOUND)


def forbidden() -> DetailError:
    return DetailError(401, FORBIDDEN)


def went_wrong(status: int = 401) -> DetailError:
    return DetailError(status, WENT_WRONG)


def not_found() -> DetailError:
    return DetailError(404, NOT_FOUND)
