"""Each simulator has credentials of its own: what one is made to accept, another of the same vendor refuses."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from simulators import chatlogger, kodey, lexicon, splox
from simulators.control import Control
from simulators.serving import serve

pytestmark = pytest.mark.anyio


def _kodey(vendor: Any) -> None:
    vendor.keys = {"sk_live_own": kodey.TEAM}


def _lexicon(vendor: Any) -> None:
    vendor.store.tenants = {"own": lexicon.TENANT}


def _splox(vendor: Any) -> None:
    vendor.store.tokens = {"own": splox.OWNER}


def _chatlogger(vendor: Any) -> None:
    vendor.store.password = "own"


MADE: dict[str, tuple[Callable[[], Control], Callable[[Any], None]]] = {
    "kodey": (kodey.create_app, _kodey),
    "lexicon": (lexicon.create_app, _lexicon),
    "splox": (splox.create_app, _splox),
    "chatlogger": (chatlogger.create_app, _chatlogger),
}


async def status(vendor: str, url: str, secret: str) -> int:
    """What a server answers to somebody with `secret`."""
    async with httpx.AsyncClient(base_url=url) as client:
        if vendor == "kodey":
            answer = await client.get("/chat", headers={"x-api-key": secret})
        elif vendor == "lexicon":
            answer = await client.get(f"/api/v1/chats/user/{lexicon.SEEDED_USERS[0]}", headers={"x-api-key": secret})
        elif vendor == "splox":
            answer = await client.get(f"{splox.PREFIX}/workflows", headers={"authorization": f"Bearer {secret}"})
        else:
            said = {"email": chatlogger.ADMIN_EMAIL, "password": secret}
            answer = await client.post("/auth/login", json=said)
    return answer.status_code


BUILT_IN = {
    "kodey": kodey.SECRET_KEY,
    "lexicon": lexicon.API_KEY,
    "splox": splox.TOKEN,
    "chatlogger": chatlogger.PASSWORD,
}


@pytest.mark.parametrize("vendor", MADE)
async def test_a_server_accepts_the_keys_that_it_was_given_alone(vendor: str) -> None:
    make, give = MADE[vendor]
    changed = make()
    give(changed.simulator)
    own = "sk_live_own" if vendor == "kodey" else "own"
    async with serve(changed) as url, serve(make()) as untouched:
        assert (await status(vendor, url, own), await status(vendor, url, BUILT_IN[vendor])) == (200, 401)
        assert (await status(vendor, untouched, own), await status(vendor, untouched, BUILT_IN[vendor])) == (401, 200)
