"""Numbers that the settings decide (`live.…`)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTuning:
    """Durations in seconds. What each means for who runs the gateway stands with the settings."""

    linger_seconds: float = 30.0
    poll_seconds_min: float = 1.0
    poll_seconds_max: float = 60.0
    """Also where a source's health changes: when its chats cannot be read this often."""
    full_pass_seconds: float = 900.0
    polls_per_minute: float = 300.0
    """Where a source knows no quota."""
    concurrency: int = 4
    """Readings of one source at a time."""
    feeds: int = 5000
    feeds_per_source: int = 1000
    chats_per_source: int = 1000
    """How many chats of a source that is watched as a whole are read in turns; of the others, those whose row changes."""
    streams_per_source: int = 50
    fill_pages: int = 50
    full_pass_pages: int = 10
