"""What differs between deployments of ChatLogger, and what its sources leave open."""

from dataclasses import dataclass
from typing import Literal


@dataclass
class Switches:
    version: str = "0.4.9"
    """From 0.5.0 on the paths begin with `/v1`, before with `/api/v1`; the other prefix is an unknown path."""
    delete_fails: bool = False
    """A database made without the migrations has no cascade: deleting a chat that has messages is a 500."""
    first_id: int = 1
    """The next id is at least this: 2**53 + 1 is the first that a double cannot hold."""
    session_seconds: int = 24 * 3600
    """How long the cookies of coming logins are good."""
    cookie_is_secure: bool = False
    """Whether the cookie is marked for HTTPS alone."""
    limit_zero: Literal["empty", "all"] = "empty"
    """What a `limit` of 0 gives, which a number that is none becomes too."""
    message_moves_updated_at: bool = False
    absent_tags: Literal["[]", "null", ""] = "[]"
    """What lists hold where a chat has no tags."""
    fraction_digits: int = 6
    """Digits below the second in a time, without zeros at their end; Go writes up to 9."""
    utc_offset_minutes: int = 120
    """The server's time zone; 0 is written as `Z`."""
