"""What a reading means for a row of the mirror. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from storage.chat_rows import NEWSWORTHY, KnownChat, bit


@dataclass(frozen=True, slots=True)
class Observed:
    """Native ids: `changed` were written with an event, `outdated` were not, because they changed after the reading was started: read them again.

    `is_overtaken`: nothing was written, because another reading was the first: see again how this one joins it.
    """

    changed: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    is_overtaken: bool = False


def merge(row: KnownChat, told: Mapping[str, Any]) -> tuple[KnownChat, bool, bool]:
    """The row with what a reading tells; whether anything of it is to be written; whether that is news.

    A field that was not known before is no change. What the vendor tells of an overlaid field goes beneath the overlay.
    """
    values, beneath, known = dict(row.values), dict(row.beneath), row.known
    is_news = False
    for name, value in told.items():
        if row.overlaid & bit(name):
            beneath[name] = value
            continue
        if known & bit(name) and name in NEWSWORTHY and values.get(name) != value:
            is_news = True
        values[name] = value
        known |= bit(name)
    is_written = known != row.known or beneath != row.beneath or values != row.values
    return replace(row, values=values, beneath=beneath, known=known), is_written, is_news
