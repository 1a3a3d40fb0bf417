"""Webhooks: whose token is good, and how often a knock is handed on."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.ids import IdType, format_id
from resolvers.webhooks import Knocks, WebhookTokens, source_of_webhook, webhook_path
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import a_vendor

pytestmark = pytest.mark.anyio

OLD, NEW = b"o" * 32, b"n" * 32


def test_token_fits_the_digest_that_was_made_with_it() -> None:
    tokens = WebhookTokens([OLD])
    token, digest = tokens.new()
    assert tokens.fits(token, digest)
    assert len(token) >= 43
    assert token.encode() not in digest


@pytest.mark.parametrize("wrong", ["", "x", "ü" * 43, "\ud800", "x" * 100_000])
def test_another_token_does_not_fit(wrong: str) -> None:
    tokens = WebhookTokens([OLD])
    token, digest = tokens.new()
    assert not tokens.fits(wrong, digest)
    assert not tokens.fits(token + wrong + "=", digest)
    assert not tokens.fits(wrong, None)


def test_no_token_fits_a_source_without_a_webhook() -> None:
    """Not even one whose digest is what stands in for the missing one."""
    tokens = WebhookTokens([OLD])
    assert not tokens.fits(tokens.new()[0], None)
    assert not tokens.fits("", bytes(32))


def test_digest_outlives_the_rotation_of_secrets_until_its_own_is_removed() -> None:
    token, digest = WebhookTokens([OLD]).new()
    assert WebhookTokens([NEW, OLD]).fits(token, digest)
    assert not WebhookTokens([NEW]).fits(token, digest)


async def with_webhook(room: Room, digest: bytes | None, source_id: int = 1) -> None:
    await room.gateway.store.database.write(
        lambda tx: room.gateway.store.sources.set_webhook(tx, room.organization.id, source_id, digest)
    )


async def test_address_names_its_source_until_the_webhook_or_the_source_is_removed(folder: Path) -> None:
    async with a_room(folder, a_vendor("one"), a_vendor("two")) as room:
        store, tokens = room.gateway.store, room.gateway.webhook_tokens
        token, digest = tokens.new()
        await with_webhook(room, digest)

        async def found(id_: str = format_id(IdType.SOURCE, 1), token: str = token) -> int | None:
            source = await source_of_webhook(store, tokens, id_, token)
            return source.id if source is not None else None

        assert webhook_path(1, token) == f"/webhooks/{format_id(IdType.SOURCE, 1)}/{token}"
        assert await found() == 1
        assert await found(token=tokens.new()[0]) is None
        for other in [
            format_id(IdType.SOURCE, 2),
            format_id(IdType.SOURCE, 99),
            format_id(IdType.CHAT, 1, "c"),
            "1",
            "",
        ]:
            assert await found(other) is None
        await with_webhook(room, tokens.new()[1])
        assert await found() is None
        await with_webhook(room, digest)
        await store.database.write(
            lambda tx: store.sources.remove(tx, room.organization.id, 1, at=datetime.now(UTC), keep_mirror=True)
        )
        assert await found() is None


async def test_all_ways_to_be_unknown_cost_the_same_look_up(folder: Path) -> None:
    async with a_room(folder, a_vendor("one")) as room:
        store, tokens = room.gateway.store, room.gateway.webhook_tokens
        await with_webhook(room, tokens.new()[1])
        costs = []
        for id_ in [format_id(IdType.SOURCE, 1), format_id(IdType.SOURCE, 9), "no id"]:
            before = store.database.statements
            assert await source_of_webhook(store, tokens, id_, "wrong") is None
            costs.append(store.database.statements - before)
        assert costs == [1, 1, 1]


async def test_first_knock_is_handed_on_at_once_and_the_others_as_one() -> None:
    heard: asyncio.Queue[int] = asyncio.Queue()
    knocks = Knocks(lambda source_id, _: heard.put_nowait(source_id), every_seconds=0.05)
    for _ in range(100):
        knocks.at(1)
    knocks.at(2)
    assert [heard.get_nowait(), heard.get_nowait()] == [1, 2]
    assert await asyncio.wait_for(heard.get(), 10) == 1
    assert heard.empty()


async def test_knock_after_a_rest_is_handed_on_at_once() -> None:
    heard: list[int] = []
    rested = asyncio.Event()
    knocks = Knocks(lambda source_id, _: heard.append(source_id), every_seconds=0)
    knocks.at(1)
    asyncio.get_running_loop().call_later(0.01, rested.set)
    await rested.wait()
    knocks.at(1)
    assert heard == [1, 1]
