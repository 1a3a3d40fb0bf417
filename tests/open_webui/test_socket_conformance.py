"""The simulator's Socket.IO tells no more, and nothing else, than the real server's: one conversation, heard at both."""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from simulators import open_webui
from simulators.open_webui.accounts import accounts, session_of
from simulators.serving import running
from tests.open_webui import on_the_socket
from tests.open_webui.asking import Asking
from tests.open_webui.comparing import differences
from tests.open_webui.record import EVENTS


@pytest.fixture(scope="module")
def simulated() -> Iterator[dict[str, Any]]:
    token, _ = session_of(accounts()[1], int(time.time()))
    with running(open_webui.create_app(switches=open_webui.Switches(slow_word_ms=200))) as url:
        asking = Asking(url, open_webui.ADMIN_KEY, open_webui.USER_KEY)
        yield on_the_socket.play(asking, token)
        asking.close()


@pytest.fixture(scope="module")
def real() -> Iterator[dict[str, Any]]:
    names = [f"OPEN_WEBUI_{name}" for name in ("URL", "API_KEY", "USER_API_KEY", "USER_JWT")]
    if missing := [name for name in names if name not in os.environ]:
        pytest.skip(f"no real server: set {', '.join(missing)}")
    url, admin, user, token = (os.environ[name] for name in names)
    asking = Asking(url, admin, user)
    yield on_the_socket.play(asking, token)
    asking.close()


def test_the_simulator_tells_what_was_recorded(simulated: dict[str, Any]) -> None:
    assert list(differences(json.loads(EVENTS.read_text()), simulated)) == []


def test_the_conversation_has_every_kind_of_event_that_a_turn_has(simulated: dict[str, Any]) -> None:
    told = json.dumps(simulated)
    for kind in (
        "chat:list",
        "chat:active",
        "response:completion",
        "chat:completion",
        "chat:tasks:cancel",
        "chat:message:error",
        "chat:message",
    ):
        assert f'"{kind}"' in told


@pytest.mark.open_webui
def test_the_real_server_tells_the_same(real: dict[str, Any], simulated: dict[str, Any]) -> None:
    assert list(differences(real, simulated)) == []


@pytest.mark.open_webui
def test_the_real_server_still_tells_what_was_recorded(real: dict[str, Any]) -> None:
    assert list(differences(json.loads(EVENTS.read_text()), real)) == []
