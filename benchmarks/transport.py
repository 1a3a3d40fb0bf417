"""CPU of the server process for one `{ __typename }` over HTTP: the endpoint beside Strawberry's own router, in one run.

    python -m benchmarks.transport [requests]

Both serve one schema by uvicorn with uvloop and httptools in a process of its own; one client of bare sockets keeps a few
connections busy. The unit is CPU µs of the server process per request (user + system from /proc), as rates say little on
a shared machine. Bounded: some seconds, loopback only.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_CONNECTIONS = 8
_BODY = b'{"query":"{ __typename }"}'
_REQUEST = (
    b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)
_ANSWER = b'{"data":{"__typename":"Query"}}'


def application(name: str) -> Any:
    """`floor` answers without looking, `router` is Strawberry's for FastAPI, `endpoint` is the gateway's."""
    import strawberry
    from fastapi import FastAPI
    from strawberry.fastapi import GraphQLRouter

    from engine.broadcasts import Broadcasts
    from engine.execution import Engine
    from switchboard.http.endpoint import GraphQLEndpoint

    @strawberry.type
    class Query:
        hello: str = "world"

    schema = strawberry.Schema(Query)
    if name == "router":
        app = FastAPI()
        app.include_router(GraphQLRouter(schema), prefix="/graphql")
        return app
    if name == "endpoint":
        engine = Engine(schema._schema, format_error=lambda error, context: error.formatted)
        return GraphQLEndpoint(engine, _Open(), broadcasts=Broadcasts(_Open()))
    return _floor


async def _floor(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _ANSWER})


class _Open:
    """Sessions that let everybody in; nothing is shared between them."""

    expires_at = None
    address = None

    async def open(self, *_: Any, **__: Any) -> "_Open":
        return self

    async def of(self, *_: Any, **__: Any) -> None:
        return None

    async def epoch(self, *_: Any) -> int:
        return 0

    def context(self, *_: Any, **__: Any) -> None:
        return None

    def watch(self, ended: Any) -> None: ...

    async def renew(self, payload: Any) -> bool:
        return False

    async def close(self) -> None: ...


def serve(name: str) -> None:
    """Serve on a free port and print it."""
    import uvicorn

    from switchboard.http.connection import GuardedConnection

    config = uvicorn.Config(
        application(name),
        host="127.0.0.1",
        port=0,
        loop="uvloop",
        http=GuardedConnection if name == "endpoint" else "httptools",
        lifespan="off",
        log_level="critical",
        access_log=False,
    )
    server = uvicorn.Server(config)
    started = server.startup

    async def startup(sockets: Any = None) -> None:
        await started(sockets)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)  # noqa: T201  read by the parent

    server.startup = startup  # type: ignore[method-assign]
    server.run()


def cpu_seconds(pid: int) -> float:
    """User and system time of the process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def ask(port: int, times: int) -> None:
    """Send the request again and again on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(times):
        writer.write(_REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        assert (await reader.readexactly(size)).replace(b" ", b"") == _ANSWER
    writer.close()
    await writer.wait_closed()


async def load(port: int, requests: int) -> None:
    await asyncio.gather(*(ask(port, requests // _CONNECTIONS) for _ in range(_CONNECTIONS)))


def measure(name: str, requests: int) -> float:
    """CPU µs per request."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.transport", "--serve", name], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        asyncio.run(load(port, requests // 10))
        before = cpu_seconds(process.pid)
        asyncio.run(load(port, requests))
        return (cpu_seconds(process.pid) - before) / requests * 1e6
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
        return
    requests = int(sys.argv[1]) if sys.argv[1:] else 20_000
    for name in ("floor", "endpoint", "router"):
        print(f"{name:10} {measure(name, requests):8.1f} µs CPU per request")  # noqa: T201  this is its output


if __name__ == "__main__":
    main()
