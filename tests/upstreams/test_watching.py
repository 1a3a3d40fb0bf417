"""How much of a quota watching may use."""

from typing import Any

import pytest

from domain.capabilities import Capabilities
from tests.upstreams.wire import a_source
from upstreams.http import UpstreamClients
from upstreams.registry import connectors
from upstreams.watching import watched_within

TABLE = Capabilities(support={})


@pytest.mark.parametrize(
    ("options", "quota", "polls"),
    [
        ({}, None, None),
        ({}, 100.0, 50),
        ({}, 1.0, 1),
        ({}, 0.5, 1),
        ({"polls_per_minute": 7}, None, 7),
        ({"polls_per_minute": 700}, 100.0, 700),
    ],
)
def test_half_of_a_quota_is_for_watching_unless_the_option_says_otherwise(
    options: dict[str, Any], quota: float | None, polls: int | None
) -> None:
    assert watched_within(TABLE, a_source(**options), quota=quota).polls_per_minute == polls


@pytest.mark.parametrize(
    ("key", "options", "polls"),
    [
        ("sk_live_1", {}, 500),
        ("pk_live_1", {}, 50),
        ("pk_live_1", {"requests_per_minute": 40}, 20),
        ("pk_live_1", {"requests_per_minute": 40, "polls_per_minute": 5}, 5),
    ],
)
def test_kodeys_keys_have_quotas_of_their_own(key: str, options: dict[str, Any], polls: int) -> None:
    source = connectors(UpstreamClients())["kodey"].connect(a_source("kodey", **options), {"api_key": key})
    assert source.capabilities.polls_per_minute == polls


@pytest.mark.parametrize(("user_ids", "tells"), [(["a"], True), (["a", "b"], True), ([], False)])
def test_rows_tell_nothing_where_there_is_no_list(user_ids: list[str], tells: bool) -> None:
    record = a_source("lexicon", user_ids=user_ids) if user_ids else a_source("lexicon", user_id="viewer")
    source = connectors(UpstreamClients())["lexicon"].connect(record, {"api_key": "k"})
    assert source.capabilities.rows_tell_messages is tells
