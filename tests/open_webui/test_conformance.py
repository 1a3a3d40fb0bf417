"""The simulator is as unkind as the real server: one conversation, played against both, step by step the same."""

import json
import os
from collections.abc import Iterator

import pytest

from simulators import open_webui
from simulators.serving import running
from tests.open_webui.asking import Asking
from tests.open_webui.comparing import unexplained, unneeded
from tests.open_webui.conversation import play
from tests.open_webui.record import OPERATIONS, SHAPES


@pytest.fixture(scope="module")
def simulated() -> Iterator[Asking]:
    app = open_webui.create_app(switches=open_webui.Switches(slow_word_ms=60))
    with running(app) as url:
        asking = Asking(url, open_webui.ADMIN_KEY, open_webui.USER_KEY)
        play(asking)
        yield asking
        asking.close()


@pytest.fixture(scope="module")
def real() -> Iterator[Asking]:
    if "OPEN_WEBUI_URL" not in os.environ:
        pytest.skip("no real server: set OPEN_WEBUI_URL, OPEN_WEBUI_API_KEY and OPEN_WEBUI_USER_API_KEY")
    keys = os.environ["OPEN_WEBUI_API_KEY"], os.environ["OPEN_WEBUI_USER_API_KEY"]
    asking = Asking(os.environ["OPEN_WEBUI_URL"], *keys)
    play(asking)
    yield asking
    asking.close()


def test_the_simulator_says_what_was_recorded(simulated: Asking) -> None:
    recorded = json.loads(SHAPES.read_text())
    assert unexplained(recorded, simulated.normalised()) == []


def test_the_conversation_is_a_long_one(simulated: Asking) -> None:
    assert len(simulated.steps) >= 80
    assert set(OPERATIONS.values()) <= {step.name for step in simulated.steps}


def test_no_difference_is_accepted_without_need(simulated: Asking) -> None:
    assert unneeded(json.loads(SHAPES.read_text()), simulated.normalised()) == []


def test_a_difference_without_a_reason_is_told() -> None:
    told = unexplained({"step": {"status": 401}}, {"step": {"status": 404}})
    assert told == ["step: /status: really 401, simulated 404"]


def test_a_step_that_one_of_both_misses_is_told() -> None:
    assert unexplained({"step": {}}, {}) == ["step: not asked of both"]


@pytest.mark.open_webui
def test_the_real_server_says_the_same(real: Asking, simulated: Asking) -> None:
    assert unexplained(real.normalised(), simulated.normalised()) == []


@pytest.mark.open_webui
def test_the_real_server_still_says_what_was_recorded(real: Asking) -> None:
    assert unexplained(json.loads(SHAPES.read_text()), real.normalised()) == []
