"""How v1 of Splox says no: a status and `{"error": text}` (vendor notes 1.7). The texts are not documented."""

from typing import Any


class SploxError(Exception):
    """An answer of the vendor that refuses."""

    def __init__(self, status: int, text: str, *, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(status, text)
        self.status, self.headers = status, headers
        self.body = {"error": text, **more}


def bad_request(text: str) -> SploxError:
    return SploxError(400, text)


def not_found(what: str) -> SploxError:
    return SploxError(404, f"{what} not found")
