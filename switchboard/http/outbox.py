"""What is on its way to one client: written at once where its connection takes it, else kept in order, bounded in bytes."""

import asyncio
from collections import deque
from collections.abc import Callable

Frame = tuple[bytes, ...]
"""The parts of one message, joined when it is written: what many clients are sent is kept once for all of them."""


def _never(frame: Frame) -> bool:
    return False


class Outbox:
    """Nobody waits here for a slow reader: a full box takes no more (`put`), and whoever wants to put then waits for room, or goes.

    One frame larger than the whole box is taken when the box is not full yet.
    """

    __slots__ = ("_filled", "_frames", "_limit_bytes", "_room", "_write_now", "waiting_bytes")

    def __init__(
        self,
        limit_bytes: int,
        *,
        filled: Callable[[], None] = lambda: None,
        write_now: Callable[[Frame], bool] = _never,
    ) -> None:
        """`write_now` writes a frame, or says that it cannot be written at once. `filled` is called when the first frame has to wait:
        whoever owns the box then writes `first`, says `written`, and so on until nothing waits.
        """
        self._limit_bytes = limit_bytes
        self._filled = filled
        self._write_now = write_now
        self._frames: deque[Frame] | None = None  # most boxes are never needed, and there are many
        self._room: asyncio.Future[None] | None = None
        self.waiting_bytes = 0
        """Bytes that were put and not yet written."""

    @property
    def is_full(self) -> bool:
        """Whether nothing more is taken."""
        return self.waiting_bytes >= self._limit_bytes

    def put(self, frame: Frame) -> bool:
        """Write or keep a frame. False when the box is full: it was not taken."""
        if not self._frames and self._write_now(frame):
            return True
        if self.is_full:
            return False
        self._keep(frame)
        return True

    def put_now(self, frame: Frame) -> None:
        """Put regardless of the limit: answers to what the client sent, which are small and bounded by its own sending."""
        if self._frames or not self._write_now(frame):
            self._keep(frame)

    async def has_room(self, timeout_seconds: float) -> bool:
        """Wait until a frame may be put; False when that takes longer than `timeout_seconds`. A full box is half empty before it has."""
        if not self.is_full and self._room is None:
            return True
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_seconds):
                await asyncio.shield(self._room)
        except TimeoutError:
            return False
        return True

    def first(self) -> Frame | None:
        """The oldest frame that waits, which counts as waiting until `written`; None when nothing does."""
        return self._frames[0] if self._frames else None

    def written(self) -> None:
        """The oldest frame has left."""
        assert self._frames
        self.waiting_bytes -= _size(self._frames.popleft())
        if self._room is not None and self.waiting_bytes <= self._limit_bytes // 2:
            self._room.set_result(None)
            self._room = None

    def clear(self) -> None:
        """Forget what waits."""
        while self._frames:
            self.written()

    def _keep(self, frame: Frame) -> None:
        if self._frames is None:
            self._frames = deque()
        self._frames.append(frame)
        self.waiting_bytes += _size(frame)
        if len(self._frames) == 1:
            self._filled()


def _size(frame: Frame) -> int:
    return sum(map(len, frame))
