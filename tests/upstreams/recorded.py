"""Answers that vendors gave, or that their documents show, replayed to the requests that they belong to.

`answers/<vendor>/<name>.json` holds `origin`, `request` (method, path, query, body), `status`, `headers`, `body`; `answers/<vendor>/options.toml`, where there
is one, the options of the source that they belong to.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx

FOLDER = Path(__file__).parent / "answers"


@dataclass(frozen=True)
class Recorded:
    """One recorded answer, and the request that it answered."""

    name: str
    method: str
    path: str
    query: Mapping[str, str]
    sent: Any
    status: int
    headers: Mapping[str, str]
    body: Any

    def response(self) -> httpx.Response:
        """The answer as it comes over the wire."""
        is_text = isinstance(self.body, str) and "json" not in self.headers.get("content-type", "")
        content = self.body.encode() if is_text else json.dumps(self.body).encode()
        return httpx.Response(self.status, headers=dict(self.headers), content=b"" if self.status == 204 else content)

    def answers(self, request: httpx.Request) -> bool:
        """Whether this is the answer to a request: method, path and query are the same."""
        path, _, query = request.url.raw_path.decode().partition("?")
        return (request.method, path, dict(parse_qsl(query))) == (self.method, self.path, dict(self.query))


def load(vendor: str) -> dict[str, Recorded]:
    """Name to recorded answer, of one vendor."""
    return {path.stem: _load(path) for path in sorted((FOLDER / vendor).glob("*.json"))}


def options_of(vendor: str) -> dict[str, Any]:
    """The options with which a vendor's answers were recorded."""
    path = FOLDER / vendor / "options.toml"
    return tomllib.loads(path.read_text()) if path.exists() else {}


def _load(path: Path) -> Recorded:
    told = json.loads(path.read_text())
    request = told["request"]
    return Recorded(
        name=path.stem,
        method=request["method"],
        path=request["path"],
        query=dict(parse_qsl(request["query"], keep_blank_values=True)),
        sent=request["body"],
        status=told["status"],
        headers={name.lower(): value for name, value in told["headers"].items()},
        body=told["body"],
    )


class Replay(httpx.AsyncBaseTransport):
    """Gives each request the recorded answer that belongs to it, in the order of `names`; of several for one request, each once and
    the last one for all that follow. A request without an answer fails the test: then its path or query is not the recorded one."""

    def __init__(self, answers: Mapping[str, Recorded], names: Iterable[str]) -> None:
        self._answers = [answers[name] for name in names]
        self._used: set[str] = set()
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        fitting = [answer for answer in self._answers if answer.answers(request)]
        assert fitting, f"nothing is recorded for {request.method} {request.url.raw_path.decode()}"
        answer = next((answer for answer in fitting if answer.name not in self._used), fitting[-1])
        self._used.add(answer.name)
        return answer.response()

    @property
    def bodies(self) -> list[Any]:
        """What was sent, of the requests that had a body."""
        return [json.loads(request.content) for request in self.requests if request.content]
