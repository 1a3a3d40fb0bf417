"""What governs the calls to vendors: bounds for all of them, and what each vendor adds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from upstreams.requests import Request
from upstreams.truth import Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """Bounds for all sources; a connector's request may name a deadline of its own."""

    allow_private_addresses: bool = False
    """Whether a source may be on this machine or in a private network."""
    timeout_seconds: float = 10.0
    read_seconds: float = 30.0
    """Longest silence inside a streamed answer."""
    max_answer_bytes: int = 32 * 1024 * 1024
    """Largest answer, and largest line of a streamed one, decompressed."""
    attempts: int = 3
    """How often an idempotent request is tried."""
    concurrency: int = 8
    """Calls under way at one source."""
    backoff_seconds: float = 0.2
    """Upper bound of the first wait between two attempts; each further one is twice as long."""
    longest_backoff_seconds: float = 3.0
    breaker_threshold: int = 5
    """Failures in a row after which a source is left alone."""
    breaker_seconds: float = 5.0
    """For how long at first; twice as long after each failed probe, at most a minute."""
    user_agent: str = "switchboard"


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorPolicy:
    """What the shared client must know about a vendor.

    `words` finds the vendor's own explanation in an error's JSON body, never text that a user wrote. `retry_after` finds a wait
    in seconds there, for vendors that announce it in the body.
    """

    truths: Sequence[Truth] = ()
    words: Callable[[Any], str]
    retry_after: Callable[[Any], float | None] = lambda body: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One attempt, for metrics and traces. `status` is None when there was no answer."""

    source_id: int
    vendor: str
    operation: str
    status: int | None
    seconds: float
    attempt: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A success. `started_at` is when its request was started: what was written later is not in it.

    `headers` may hold secrets, such as the cookie of a session, and are therefore not shown.
    """

    request: Request
    status: int
    body: bytes
    started_at: datetime
    headers: httpx.Headers = field(default_factory=httpx.Headers, repr=False)
