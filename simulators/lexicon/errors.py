"""How Lexicon says no: the statuses are documented, the bodies are not."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from simulators.lexicon.switches import Switches


class LexiconError(Exception):
    """`code` is told on the socket only."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, message)
        self.status, self.code, self.message = status, code, message


def bad_request(message: str) -> LexiconError:
    return LexiconError(400, "INVALID_REQUEST", message)


def unauthorized() -> LexiconError:
    return LexiconError(401, "INVALID_API_KEY", "Invalid or missing API key")


def no_chat() -> LexiconError:
    return LexiconError(404, "CHAT_NOT_FOUND", "Chat not found")


def answer_error(switches: Switches, refused: LexiconError) -> Response:
    """The answer over HTTP, with the body that is switched on."""
    status = switches.bad_request_status if refused.status == 400 else refused.status
    said = refused.message
    bodies: dict[str, Any] = {
        "detail": {"detail": said},
        "detail_list": {"detail": [{"type": refused.code.lower(), "loc": ["body"], "msg": said, "input": None}]},
        "error": {"error": said},
        "message": {"message": said},
    }
    if switches.error_body in bodies:
        return JSONResponse(bodies[switches.error_body], status_code=status)
    return PlainTextResponse(said if switches.error_body == "text" else "", status_code=status)


def error_fields(switches: Switches, refused: LexiconError) -> dict[str, Any]:
    """The fields of an `error` event beside its type."""
    if switches.error_fields == "code_message":
        return {"code": refused.code, "message": refused.message}
    if switches.error_fields == "error_code_message":
        return {"error_code": refused.code, "error_message": refused.message}
    if switches.error_fields == "error_object":
        return {"error": {"code": refused.code, "message": refused.message}}
    return {"message": refused.message}


async def no_route(_: Request, refused: Exception) -> Response:
    """What the vendor says on an unknown path is not documented."""
    assert isinstance(refused, HTTPException)
    return JSONResponse({"detail": refused.detail}, status_code=refused.status_code)
