"""One execution for many: what a source tells is executed and serialised once and handed to all who listen.

    source ──▶ executed once per form ──▶ ring of the last ones ──▶ `take` of every receiver
                                              ▲                         │ no room, or another audience
                              joins at its position               falls out at its position

Positions make the seams exact: a receiver is handed what stands behind its own position, whenever it joins. Nothing is awaited per
receiver, so one that stalls costs the others nothing; and a broadcast ends with its last receiver.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from engine.execution import Execution
from engine.sharing import Audiences, Receiver, Rendered, Shareable, Telling

_AT_ONCE = 32
"""Most tellings that are executed before they are handed out, so that a receiver can write them in one go."""
_TURN = 1000
"""Most deliveries before others get a turn of the loop."""
_RING_LENGTH = 256
_RING_BYTES = 1024 * 1024
_GROWING = 1000
"""Most growing things that are remembered; whoever listens gets a forgotten one whole."""


@dataclass(slots=True)
class _Ready:
    """A telling in the forms that somebody needs; the others are None."""

    telling: Telling
    common: Rendered | None = None
    own: Rendered | None = None
    whole: Rendered | None = None
    previous: int = 0
    """When the piece before it was told."""

    @property
    def is_for_all(self) -> bool:
        """Whether everybody gets it, in one form."""
        return self.telling.to is None and self.telling.part_of is None

    def suits(self, receiver: Receiver) -> bool:
        """Whether it is at hand in the form for this receiver. It may have joined while the forms were being made."""
        telling = self.telling
        if telling.part_of is not None:
            return (self.common if self.previous > receiver.since else self.whole) is not None
        return self.own is not None or telling.own is None or telling.to != receiver.address

    def form(self, receiver: Receiver) -> Rendered | None:
        """What this receiver is handed; None: nothing."""
        telling = self.telling
        if telling.part_of is not None:
            return self.common if self.previous > receiver.since else self.whole
        return self.own if telling.to is not None and telling.to == receiver.address else self.common


class _Ring:
    """The last tellings, for whoever joins a little behind. It holds all of them behind `start`."""

    def __init__(self, start: int) -> None:
        self.start = start
        self._kept: deque[_Ready] = deque()
        self._bytes = 0

    def add(self, ready: _Ready) -> None:
        self._kept.append(ready)
        self._bytes += _size(ready)
        while len(self._kept) > _RING_LENGTH or self._bytes > _RING_BYTES:
            oldest = self._kept.popleft()
            self._bytes -= _size(oldest)
            self.start = oldest.telling.position

    def behind(self, position: int) -> list[_Ready] | None:
        """All behind a position; None when they are not all kept."""
        if position < self.start:
            return None
        return [ready for ready in self._kept if ready.telling.position > position]


class Broadcast:
    """What one source tells to one audience by one operation."""

    def __init__(
        self,
        source: Shareable,
        execution: Execution,
        audience: Hashable,
        position: int,
        *,
        audiences: Audiences,
        name: str,
        ended: Callable[[], None],
    ) -> None:
        """`name` stands in errors as the request id, because an event for many belongs to no request. `ended` is called once."""
        self.source = source
        self.execution = execution
        self.audience = audience
        self.position = position
        self._done = position
        self._audiences = audiences
        self._name = name
        self._ended: Callable[[], None] | None = ended
        self._receivers: dict[Receiver, None] = {}
        self._ring = _Ring(position)
        self._pieces = 0
        self._growing: OrderedDict[Hashable, int] = OrderedDict()
        self._epoch: Hashable = None
        self._reading = self._context()
        self.task = asyncio.get_running_loop().create_task(self._run())

    def __len__(self) -> int:
        return len(self._receivers)

    def join(self, receiver: Receiver) -> bool:
        """Listen from the receiver's position on. False: what it has missed meanwhile is not kept here, or it has no room for it."""
        missed = self._ring.behind(receiver.position)
        if missed is None or not all(ready.suits(receiver) for ready in missed):
            return False
        for ready in missed:
            form = ready.form(receiver)
            if form is not None and not receiver.take(form):
                return False
            receiver.position = ready.telling.position
        receiver.position = max(receiver.position, self.position)
        receiver.since = self._pieces
        self._receivers[receiver] = None
        return True

    def leave(self, receiver: Receiver) -> None:
        """Listen no more. With the last one the broadcast ends."""
        if receiver not in self._receivers:
            return
        del self._receivers[receiver]
        receiver.position = max(receiver.position, self._done)
        if not self._receivers:
            self.end()

    def end(self) -> None:
        """Tell nothing more."""
        # Cancelled where it waits; where it is itself at work here, it finds nobody left and ends with its next wait.
        self.task.cancel()
        if self._ended is not None:
            ended, self._ended = self._ended, None
            ended()

    # Telling

    async def _run(self) -> None:
        try:
            async with aclosing(self.source.told(self._reading, self.position)) as batches:
                async for batch in batches:
                    for start in range(0, len(batch.told), _AT_ONCE):
                        await self._tell([await self._ready(one) for one in batch.told[start : start + _AT_ONCE]])
                    self.position = self._done = max(self.position, batch.position)
            for receiver in tuple(self._receivers):
                self._drop(receiver)
        except Exception as error:
            response = self.execution.broken(error, self._context())
            for receiver in tuple(self._receivers):
                self.leave(receiver)
                receiver.broke(response)

    def _context(self) -> Any:
        return self._audiences.context(self.audience, request_id=self._name)

    async def _ready(self, telling: Telling) -> _Ready:
        """The telling in the forms that are needed now."""
        ready = _Ready(telling)
        if telling.part_of is None:
            ready.common = await self._rendered(telling.event, self._context)
            for receiver in tuple(self._receivers) if telling.to is not None else ():
                if receiver.address == telling.to:
                    ready.own = await self._rendered(telling.own, receiver.context)
                    break
            return ready
        ready.previous = self._note_piece(telling.part_of)
        if any(receiver.since < ready.previous for receiver in self._receivers):
            ready.common = await self._rendered(telling.event, self._context)
        if any(receiver.since >= ready.previous for receiver in self._receivers):
            ready.whole = await self._rendered(telling.whole, self._context)
        return ready

    def _note_piece(self, thing: Hashable) -> int:
        """When the piece before this one was told; 0: there was none."""
        previous = self._growing.pop(thing, 0)
        self._pieces += 1
        self._growing[thing] = self._pieces
        if len(self._growing) > _GROWING:
            self._growing.popitem(last=False)
        return previous

    async def _rendered(self, event: Any, context: Callable[[], Any]) -> Rendered | None:
        if event is None:
            return None
        return Rendered((await self.execution.response(event, context())).json, event)

    async def _tell(self, chunk: Sequence[_Ready]) -> None:
        """Hand a few tellings to everybody, each receiver all of them at once."""
        await self._look()
        self.position = chunk[-1].telling.position
        for ready in chunk:
            if ready.telling.part_of is None:
                self._ring.add(ready)
        plain = [(ready.telling.position, ready.common) for ready in chunk if ready.is_for_all]
        waiting, in_turn = list(self._receivers), max(1, _TURN // len(chunk))
        for start in range(0, len(waiting), in_turn):
            if start:
                await asyncio.sleep(0)
                await self._look()
            receivers = [one for one in waiting[start : start + in_turn] if not start or one in self._receivers]
            if len(plain) == len(chunk):
                self._hand_plain(receivers, plain)
            else:
                for receiver in receivers:
                    self._hand(receiver, chunk)
        self._done = self.position

    def _hand_plain(self, receivers: Sequence[Receiver], chunk: Sequence[tuple[int, Rendered | None]]) -> None:
        """What is the same for everybody, which is nearly everything: this is done a thousand times for each message."""
        for receiver in receivers:
            for position, rendered in chunk:
                if position <= receiver.position or rendered is None:
                    continue
                if not receiver.take(rendered):
                    self._drop(receiver)
                    break
                receiver.position = position

    def _hand(self, receiver: Receiver, chunk: Sequence[_Ready]) -> None:
        for ready in chunk:
            position, is_piece = ready.telling.position, ready.telling.part_of is not None
            if position < receiver.position or (position == receiver.position and not is_piece):
                if is_piece:  # it is ahead, and may know the end already of what grows here
                    receiver.since = self._pieces
                continue
            if not ready.suits(receiver):
                if not is_piece:
                    self._drop(receiver)
                    return
                receiver.since = self._pieces
                continue
            form = ready.form(receiver)
            if form is not None and not receiver.take(form):
                self._drop(receiver)
                return
            receiver.position = position

    def _drop(self, receiver: Receiver) -> None:
        self.leave(receiver)
        receiver.fell_out()

    async def _look(self) -> None:
        """Whoever belongs to another audience by now falls out before it is handed anything more."""
        while (epoch := await self._audiences.epoch(self._reading)) != self._epoch:
            self._epoch = epoch
            for receiver in tuple(self._receivers):
                now = await self._audiences.of(receiver.context(), is_viewers_own=self.execution.is_viewers_own)
                if receiver in self._receivers and now != self.audience:
                    self._drop(receiver)


def _size(ready: _Ready) -> int:
    return sum(len(form.json) for form in (ready.common, ready.own) if form is not None)
