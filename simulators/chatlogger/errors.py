"""How ChatLogger says no: `{"error": …}`; an unknown path is the framework's own text."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response


class ChatLoggerError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status, self.message = status, message


def bad_request(message: str = "Invalid request data") -> ChatLoggerError:
    return ChatLoggerError(400, message)


def unauthorized(message: str) -> ChatLoggerError:
    return ChatLoggerError(401, message)


async def no_route(_: Request, refused: Exception) -> Response:
    """Also for a known path with another method."""
    return PlainTextResponse("404 page not found", status_code=404)
