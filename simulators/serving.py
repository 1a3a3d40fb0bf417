"""Starting simulators: one uvicorn server for each, on the loop that runs, or on a thread of its own."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from simulators.connection import DroppableProtocol, DroppableSocketProtocol

_START_SECONDS = 10.0


class Server(uvicorn.Server):
    """A server that leaves signals to its owner and says when it accepts connections."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=DroppableProtocol,
                ws=DroppableSocketProtocol,
                lifespan="on",
                log_config=None,
                timeout_graceful_shutdown=1,
            )
        )
        self.accepting = asyncio.Event()
        self._told_to_stop = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self._told_to_stop.set()

    async def main_loop(self) -> None:
        """uvicorn's, except that it does not finish its tick before it stops: a test waits for that."""
        counter = 0
        while not await self.on_tick(counter):
            counter = (counter + 1) % 864_000
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told_to_stop.wait(), 0.1)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Who still waits for an answer is left at once, as by a vendor that goes down: a delay may last a minute."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, DroppableProtocol):
                connection.transport.close()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepting.set()


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A bound socket; port 0 means a free one."""
    # Without the protocol's number asyncio does not switch Nagle's algorithm off, and each answer takes 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening


def base_url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{host}:{port}"


@asynccontextmanager
async def serve(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve `app` on the running loop; gives its base URL once it accepts connections."""
    listening = listen(host, port)
    server = Server(app)
    task = asyncio.create_task(server.serve([listening]))
    accepting = asyncio.create_task(server.accepting.wait())
    try:
        await asyncio.wait({task, accepting}, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not server.accepting.is_set():
            raise RuntimeError(f"the simulator on {base_url(listening)} did not start")
        yield base_url(listening)
    finally:
        accepting.cancel()
        server.stop()
        await task
        listening.close()


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """Serve `app` on a thread of its own, for callers without a loop; gives its base URL."""
    listening = listen()
    ready = threading.Event()
    stops: list[Callable[[], object]] = []

    async def run() -> None:
        server = Server(app)
        loop = asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(server.stop))
        serving = asyncio.create_task(server.serve([listening]))
        await asyncio.wait({serving, asyncio.create_task(server.accepting.wait())}, return_when=asyncio.FIRST_COMPLETED)
        ready.set()
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    if not ready.wait(_START_SECONDS):
        raise RuntimeError(f"the simulator on {base_url(listening)} did not start")
    try:
        yield base_url(listening)
    finally:
        stops[0]()
        thread.join(_START_SECONDS)
        listening.close()
