"""One look for all sessions of a credential, and nothing told while a change is looked at."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from domain.records import Role, Scope
from switchboard.auth import Authenticator, Identity
from switchboard.sessions import GatewaySession, GatewaySessions
from tests.resolvers.gateways import a_gateway
from tests.switchboard.access import Access, open_access

pytestmark = pytest.mark.anyio


class Looking(Authenticator):
    """Counts the looks, and lets them wait or fail."""

    looks = 0
    hold: asyncio.Event | None = None
    fault: Exception | None = None

    async def look_again(self, identity: Identity) -> Identity | None:
        self.looks += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.fault is not None:
            raise self.fault
        return await super().look_again(identity)


class Watching:
    """Sessions with one authenticator; `ended` says which ended, in order, and with what."""

    def __init__(self, access: Access, *, check_seconds: float) -> None:
        self.authenticator = Looking(access.store, verifier=None, check_seconds=0.0, now=access.clock)
        gateway = a_gateway(access.store, clock=access.clock)
        self.sessions = GatewaySessions(gateway, self.authenticator, check_seconds=check_seconds)
        self.ended: list[tuple[GatewaySession, Exception | None]] = []
        self.came_to_an_end = asyncio.Event()

    async def open(self, secret: str) -> GatewaySession:
        session = await self.sessions.open(
            {"authorization": f"Bearer {secret}"}, None, request_id="r", transport="websocket", last_event_id=None
        )

        def over(error: Exception | None) -> None:
            self.ended.append((session, error))
            self.came_to_an_end.set()

        session.watch(over)
        return session

    async def until_ended(self, number: int) -> None:
        async with asyncio.timeout(10):
            while len(self.ended) < number:
                self.came_to_an_end.clear()
                await self.came_to_an_end.wait()


@pytest.fixture
async def access(tmp_path: Path) -> AsyncIterator[Access]:
    async with open_access(tmp_path) as opened:
        yield opened


@pytest.fixture
async def watching(access: Access) -> AsyncIterator[Watching]:
    """Looks only when told; afterwards no task of it may remain once all sessions are closed."""
    made = Watching(access, check_seconds=3600)
    yield made
    assert made.sessions.watches._task is None
    assert len(made.sessions.watches) == 0
    await made.authenticator.aclose()


async def close(*sessions: GatewaySession) -> None:
    for session in sessions:
        await session.close()


async def test_a_credential_is_looked_at_once_for_all_its_sessions(access: Access, watching: Watching) -> None:
    _, first = await access.key()
    _, second = await access.key()
    sessions = [await watching.open(secret) for secret in (first, second) for _ in range(20)]
    watching.sessions.access_changed()
    await watching.sessions.watches.settled()
    assert watching.authenticator.looks == 2
    await close(*sessions)


async def test_a_revoked_key_ends_its_sessions_before_settled_returns(access: Access, watching: Watching) -> None:
    key, secret = await access.key()
    _, other = await access.key()
    mine = [await watching.open(secret) for _ in range(3)]
    theirs = await watching.open(other)
    await access.revoke(key)
    watching.sessions.access_changed()
    before = watching.sessions.watches._epoch
    assert await watching.sessions.watches.settled() > before
    assert [session for session, _ in watching.ended] == mine
    await close(theirs)


async def test_nothing_changed_is_the_same_number(access: Access, watching: Watching) -> None:
    _, secret = await access.key()
    session = await watching.open(secret)
    before = await watching.sessions.watches.settled()
    watching.sessions.access_changed()
    assert await watching.sessions.watches.settled() == before
    await close(session)


async def test_settled_waits_for_a_change_that_comes_while_another_is_looked_at(
    access: Access, watching: Watching
) -> None:
    key, secret = await access.key()
    await watching.open(secret)
    hold = watching.authenticator.hold = asyncio.Event()
    watching.sessions.access_changed()
    settling = asyncio.create_task(watching.sessions.watches.settled())
    while not watching.authenticator.looks:  # noqa: ASYNC110  turns of the loop
        await asyncio.sleep(0)
    await access.revoke(key)
    watching.sessions.access_changed()
    hold.set()
    await asyncio.wait_for(settling, 5)
    assert len(watching.ended) == 1


async def test_an_expired_key_ends_before_settled_returns(access: Access, watching: Watching) -> None:
    later: datetime = access.clock.now + timedelta(hours=1)
    _, secret = await access.key(expires_at=later)
    await watching.open(secret)
    await watching.sessions.watches.settled()
    assert watching.ended == []
    access.clock.now = later
    await asyncio.wait_for(watching.sessions.watches.settled(), 5)
    assert len(watching.ended) == 1


async def test_a_change_between_opening_and_watching_is_noticed(access: Access, watching: Watching) -> None:
    key, secret = await access.key()
    session = await watching.sessions.open(
        {"authorization": f"Bearer {secret}"}, None, request_id="r", transport="sse", last_event_id=None
    )
    await access.revoke(key)
    watching.sessions.access_changed()
    session.watch(lambda error: watching.ended.append((session, error)))
    await asyncio.wait_for(watching.sessions.watches.settled(), 5)
    assert watching.ended == [(session, None)]


async def test_a_look_that_fails_ends_whom_it_was_for_with_the_fault(access: Access, watching: Watching) -> None:
    _, secret = await access.key()
    await watching.open(secret)
    fault = watching.authenticator.fault = RuntimeError("the store is gone")
    watching.sessions.access_changed()
    await watching.until_ended(1)
    assert watching.ended[0][1] is fault


async def test_another_role_is_another_number(access: Access, watching: Watching) -> None:
    key, secret = await access.key(access.acme, Scope.READ, Scope.ADMIN)
    session = await watching.open(secret)
    before = await watching.sessions.watches.settled()
    await access.store.database.write(
        lambda tx: tx.execute(
            "UPDATE api_key SET role = 'VIEWER', scopes = '[\"READ\"]' WHERE id = :id", {"id": key.id}
        )
    )
    watching.sessions.access_changed()
    assert await watching.sessions.watches.settled() > before
    assert session.context(request_id="r").role is Role.VIEWER
    await close(session)


async def test_a_session_that_is_closed_is_looked_at_no_more(access: Access, watching: Watching) -> None:
    _, secret = await access.key()
    first, second = await watching.open(secret), await watching.open(secret)
    await close(first)
    assert len(watching.sessions.watches) == 1
    await close(first, second)
    watching.sessions.access_changed()
    await asyncio.wait_for(watching.sessions.watches.settled(), 5)
    assert watching.authenticator.looks == 0


async def test_the_clock_alone_makes_it_look(access: Access) -> None:
    watching = Watching(access, check_seconds=0.01)
    key, secret = await access.key()
    await watching.open(secret)
    await access.revoke(key)
    await watching.until_ended(1)
    await watching.authenticator.aclose()
