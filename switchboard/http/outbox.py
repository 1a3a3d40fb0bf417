"""The frames that wait for one socket, bounded in bytes. One reader, many writers."""

import asyncio
from collections import deque


class Outbox:
    """A writer waits while the box is full, so that a slow reader holds up its own operations and nobody else's.

    One frame larger than the whole box is taken when the box is empty.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._frames: deque[str] = deque()
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.waiting_bytes = 0
        """Bytes that were put and not yet written to the socket."""

    def put_now(self, frame: str) -> None:
        """Put regardless of the limit: answers to what the client sent, which are small and bounded by its own sending."""
        self._frames.append(frame)
        self.waiting_bytes += _size(frame)
        self._filled.set()
        if self.waiting_bytes >= self._limit_bytes:
            self._room.clear()

    async def has_room(self, timeout_seconds: float) -> bool:
        """Wait until a frame may be put; False when that takes longer than `timeout_seconds`."""
        if self._room.is_set():
            return True
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._room.wait()
        except TimeoutError:
            return False
        return True

    async def first(self) -> str:
        """The oldest frame. It counts as waiting until `written`."""
        while not self._frames:
            self._filled.clear()
            await self._filled.wait()
        return self._frames[0]

    def written(self) -> None:
        """The oldest frame has left."""
        self.waiting_bytes -= _size(self._frames.popleft())
        if self.waiting_bytes < self._limit_bytes:
            self._room.set()


def _size(frame: str) -> int:
    return len(frame) if frame.isascii() else len(frame.encode("utf-8", "surrogatepass"))
