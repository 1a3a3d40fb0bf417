"""How often watching a source may ask it: an option that the sources of all vendors have."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from domain.capabilities import Capabilities
from domain.records import Source

_SHARE = 0.5
"""Of a quota; the other half is for whoever asks meanwhile."""
POLLS_PER_MINUTE: Mapping[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "title": "Calls for watching",
    "description": "How many calls a minute may be made to notice what others change. Left out: half of the quota, where there is one.",
}


def watched_within(table: Capabilities, source: Source, *, quota: float | None = None) -> Capabilities:
    """The table with the bound of this source; `quota` is how many calls a minute its credentials have at all."""
    share = max(1, int(quota * _SHARE)) if quota is not None else None
    given = source.options.get("polls_per_minute")
    return replace(table, polls_per_minute=int(given) if given is not None else share)
