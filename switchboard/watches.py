"""Looks again and again whether the credentials of open sessions are still good: one task for all of them, one look per credential.

    every `auth.check_seconds`, when one expires, and when told of a change ──▶ look ──▶ good, perhaps with another role
                                                                                  └──▶ ended

Whoever tells something to many asks `settled` before: it waits while a change is being looked at, so that nothing more is told to
somebody whose key was revoked, or to whom it may not be shown any more.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from switchboard.auth import Authenticator, Identity
from switchboard.http.session import Ended


class Watched(Protocol):
    """An open session."""

    @property
    def identity(self) -> Identity:
        """Who it is, as last looked at."""

    def looked(self, identity: Identity) -> None:
        """It was looked at and is good."""


class Watches:
    """The sessions that are watched now. The task that looks lives as long as there is one."""

    def __init__(self, authenticator: Authenticator, *, check_seconds: float, clock: Callable[[], datetime]) -> None:
        self._authenticator = authenticator
        self._check_seconds = check_seconds
        self._clock = clock
        self._watched: dict[Watched, Ended] = {}
        self._changes = 0
        """How many changes were told of."""
        self._looked_at = 0
        """How many of them have been looked at."""
        self._epoch = 0
        self._next_expiry: datetime | None = None
        self._bell = asyncio.Event()
        self._settled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._watched)

    @property
    def changes(self) -> int:
        """How many changes were told of so far."""
        return self._changes

    def add(self, session: Watched, ended: Ended, *, since: int) -> None:
        """Watch a session. `since`: `changes` when it was found good."""
        self._watched[session] = ended
        self._expect(session.identity)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look_on())
        if since != self._changes:
            self.look_now()

    def discard(self, session: Watched) -> None:
        """Watch it no more."""
        if self._watched.pop(session, None) is not None and not self._watched:
            self._end()

    def changed(self) -> None:
        """Somebody's rights may be others than a moment ago, and are known already."""
        self._epoch += 1
        for session in self._watched:
            self._expect(session.identity)

    def look_now(self) -> None:
        """A key or membership was changed."""
        self._changes += 1
        self._settled.clear()
        self._bell.set()
        if self._task is None:
            self._looked_at = self._changes  # nobody is there whom it could concern

    async def settled(self) -> int:
        """Wait while a change is being looked at. What it returns is another number after every change of somebody's rights."""
        while self._watched and (self._looked_at != self._changes or self._is_expiry_due()):
            self._settled.clear()
            self._bell.set()
            await self._settled.wait()
        return self._epoch

    async def next_look(self) -> None:
        """Until the sessions are to be looked at again."""
        seconds = self._check_seconds
        if self._next_expiry is not None:
            left = (self._next_expiry - self._clock()).total_seconds()
            seconds = min(seconds, max(left, 0.0) + 0.001)
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            return

    def _end(self) -> None:
        assert self._task is not None
        self._task.cancel()
        self._task = None
        self._next_expiry = None
        self._looked_at = self._changes
        self._settled.set()

    def _is_expiry_due(self) -> bool:
        return self._next_expiry is not None and self._next_expiry <= self._clock()

    def _expect(self, identity: Identity) -> None:
        at = identity.expires_at
        if at is not None and (self._next_expiry is None or at < self._next_expiry):
            self._next_expiry = at

    async def _look_on(self) -> None:
        while True:
            await self.next_look()
            self._bell.clear()
            changes = self._changes
            await self._look()
            self._looked_at = changes
            if changes == self._changes:
                self._settled.set()

    async def _look(self) -> None:
        """One look for all sessions with one credential."""
        of_proof: dict[object, list[Watched]] = {}
        for session in self._watched:
            of_proof.setdefault((session.identity.proof, session.identity.organization.id), []).append(session)
        for sessions in of_proof.values():
            await self._look_at(sessions)
        self._next_expiry = None
        for session in self._watched:
            self._expect(session.identity)

    async def _look_at(self, sessions: list[Watched]) -> None:
        looked_at = sessions[0].identity
        try:
            now = await self._authenticator.look_again(looked_at)
        except Exception as error:  # whoever cannot be looked at any more is not let on
            self._ended(sessions, error)
            return
        # Those that were renewed meanwhile have another proof by now.
        sessions = [session for session in sessions if session.identity.proof == looked_at.proof]
        if now is None:
            self._ended(sessions, None)
            return
        if any(session.identity != now for session in sessions):
            self._epoch += 1
        for session in sessions:
            session.looked(now)

    def _ended(self, sessions: list[Watched], error: Exception | None) -> None:
        self._epoch += 1
        for session in sessions:
            ended = self._watched.pop(session, None)
            if ended is not None:
                ended(error)
        if not self._watched and self._task is not None:
            self._end()
