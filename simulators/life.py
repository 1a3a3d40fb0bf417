"""What other people do at a vendor while somebody tries the gateway: every few seconds a message appears, as another client would cause it.

    resting ──pause──▶ a chat with room is chosen, and a short talk ──line, pause, line, …──▶ resting
                          ╰─ none has room ─▶ a chat is begun; the oldest that was begun here is deleted when there are too many

A talk fits into any chat, and is held in the chats that were there at the beginning or were begun here, never in one that somebody
else begins. The same seed gives the same talks. Only what the vendor's own clients could do is done: a chat is full when it has
`MOST_MESSAGES`, and nothing is taken out of it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from simulators.control import EmitError, Simulator

MOST_MESSAGES = 500
MOST_BEGUN = 20
"""Chats that were begun here, beside those that were there before."""

_log = logging.getLogger(__name__)


class Rooms(Protocol):
    """Where somebody can talk: the chats of one account. What is not possible at the moment raises `EmitError`."""

    async def list(self) -> Mapping[str, int]:
        """The chats of the account, each with how many messages it has."""
        ...

    async def begin(self, title: str) -> str:
        """A new chat of the account; its id. The title is left out where the vendor has none."""
        ...

    async def end(self, chat_id: str) -> None:
        """The account deletes a chat."""
        ...

    async def say(self, chat_id: str, role: str, text: str) -> None:
        """A message of the role `user` or `assistant` appears."""
        ...


class RoomsOf:
    """The chats that a simulator shows to the account of the demo."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def list(self) -> Mapping[str, int]:
        return self._simulator.rooms()

    async def begin(self, title: str) -> str:
        return self._simulator.begin(title)

    async def end(self, chat_id: str) -> None:
        self._simulator.end(chat_id)

    async def say(self, chat_id: str, role: str, text: str) -> None:
        self._simulator.emit(chat_id, text, role)


@dataclass(frozen=True, slots=True)
class Line:
    """Something that is said. `is_first`: with it a talk begins, in a chat of its own choosing."""

    role: str
    text: str
    is_first: bool


def lines(chance: Random) -> Iterator[Line]:
    """Talk after talk without an end, none twice before all had their turn."""
    while True:
        for talk in chance.sample(TALKS, len(TALKS)):
            for place, text in enumerate(talk):
                yield Line(("user", "assistant")[place % 2], text, place == 0)


class Life:
    """One account's part in it. `step` says the next line."""

    def __init__(self, rooms: Rooms, seed: str) -> None:
        self._rooms = rooms
        self._chance = Random(seed)
        self._lines = lines(self._chance)
        self._at: str | None = None
        self._known: frozenset[str] = frozenset()
        self._begun: deque[str] = deque()

    async def settle_in(self) -> None:
        """Take note of the chats that there are: those that others begin later are theirs."""
        self._known = frozenset(await self._rooms.list())

    async def step(self) -> None:
        """Say one line. What is not possible now is left out, with the rest of its talk."""
        line = next(self._lines)
        try:
            if line.is_first:
                self._at = await self._somewhere()
            if self._at is not None:
                await self._rooms.say(self._at, line.role, line.text)
        except EmitError:
            self._at = None

    def pause(self, seconds: float) -> float:
        """Until the next step: around `seconds`, never as regular as a machine."""
        return seconds * self._chance.uniform(0.5, 1.5)

    async def _somewhere(self) -> str:
        ours = {*self._known, *self._begun}
        rooms = {chat_id: messages for chat_id, messages in (await self._rooms.list()).items() if chat_id in ours}
        free = sorted(chat_id for chat_id, messages in rooms.items() if messages + LONGEST <= MOST_MESSAGES)
        if free:
            return self._chance.choice(free)
        while len(self._begun) >= MOST_BEGUN:
            oldest = self._begun.popleft()
            if oldest in rooms:
                await self._rooms.end(oldest)
        begun = await self._rooms.begin(self._chance.choice(TITLES))
        self._begun.append(begun)
        return begun


async def live(rooms: Rooms, seed: str, seconds: float) -> None:
    """Live until cancelled. A fault of ours ends it and nothing else: it is there to be looked at."""
    life = Life(rooms, seed)
    try:
        await life.settle_in()
        while True:
            await asyncio.sleep(life.pause(seconds))
            await life.step()
    except Exception:
        _log.exception("the life of %s has ended", seed)


TITLES: Sequence[str] = (
    "Next steps",
    "Loose ends",
    "Questions that are left",
    "This week",
    "A second look",
    "Odds and ends",
)

TALKS: Sequence[tuple[str, ...]] = (
    ("Is there anything new on this?", "Not since yesterday. I will look again this afternoon."),
    ("Can you sum this up in one sentence?", "We agree on what to do, and only the date is open."),
    ("Who else has to know about it?", "Maria and the people at the desk; I would tell them today.", "Then please do.", "Done. Both have read it."),
    ("I have read all of it now.", "Good. Did anything surprise you?", "The last point did.", "It surprised me too; that is why it stands at the end."),
    ("What would you do first?", "The smallest part: it shows soonest whether we are right."),
    ("Is it safe to wait until Monday?", "Yes. Nothing depends on it before Tuesday noon."),
    ("Please remind me tomorrow at nine.", "I will. Shall I add the numbers of today?", "Only if they changed.", "Then it will be a short reminder."),
    ("Something does not add up here.", "You are right, one line was counted twice. It is corrected."),
    ("Could you put that more simply?", "It works, it costs a little more, and nobody has to do anything."),
    ("Are we still in time?", "By two days. One of them is for mistakes."),
    ("I would like a second opinion.", "Here is one against it: the old way is slower, and everybody knows it.", "Fair. And for it?", "Nobody has to know it any more."),
    ("Did they answer?", "Half an hour ago, with a yes and a question.", "What is the question?", "Whether Thursday suits us as well."),
    ("Thursday suits us.", "I have told them so."),
    ("How sure are you?", "Nine in ten. The tenth is the weather."),
    ("Let us leave it for today.", "Agreed. I keep a note of where we stopped."),
    ("Where did we stop?", "At the list of open ends; three are left.", "Which one is the shortest?", "The second. Ten minutes, I would say."),
    ("The second one is finished.", "Then two are left. Well done!"),
    ("Why was it so slow this morning?", "Two large files came at once. The queue is empty again."),
    ("Can this be shared with the others?", "All but the last paragraph; it names somebody."),
    ("Take the paragraph out, please.", "It is out. The rest reads well without it."),
)  # fmt: skip
"""Turns of a user and an assistant."""

LONGEST = max(len(talk) for talk in TALKS)
