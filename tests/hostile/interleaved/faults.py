"""Vendors that fail, and write the credential into the sentence in which they say so."""

import base64
from urllib.parse import quote

from simulators.faults import Fault
from tests.hostile.interleaved.houses import CANARY
from tests.hostile.interleaved.turn import Turn
from tests.hostile.interleaved.world import CONNECT, settings_of

_STATUSES = (422, 429, 500, 503)
"""Not those by which some vendor says that a chat is not there: it would be believed."""


async def breaks_a_vendor(turn: Turn) -> None:
    """The next calls to one of one's own sources, whoever causes them, are answered with an error that repeats the credential."""
    chance, shelf = turn.chance, turn.a_shelf()
    key = chance.choice([key for key in shelf.sources if key != "local"])
    house = turn.world.houses[shelf.audience, key]
    secret = chance.choice([value for name, value in house.credentials.items() if name != "email"])
    said = chance.choice(
        [secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode(), f"Bearer {secret}"]
    )
    body = {"error": f"bad key {said}", "message": f"bad key {said}", "detail": f"bad key {said}"}
    status = chance.choice(_STATUSES)
    house.control.faults.add(Fault.parse({"status": status, "body": body, "times": chance.randint(1, 3)}))


async def tries_wrong_credentials(turn: Turn) -> None:
    """Nothing is stored, and what is said of it does not repeat them. As an admin."""
    shelf = turn.world.shelves[turn.actor.organization]
    key = turn.chance.choice([key for key in shelf.sources if key != "local"])
    house = turn.world.houses[shelf.audience, key]
    settings = settings_of(house, turn.world.urls[shelf.audience, key])
    wrong = [{"name": one["name"], "value": f"{one['value']}-{CANARY}"} for one in settings["credentials"]]
    told = await turn.response(CONNECT, {"input": settings | {"dryRun": True, "credentials": wrong}})
    checks = told["data"]["connectSource"]["checks"]
    assert any(check["passed"] is False for check in checks), told
