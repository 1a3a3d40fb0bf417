"""What Prometheus sees at `/metrics`: operations by kind and outcome, calls to vendors, feeds and their readings, subscribers, the writer."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from engine.broadcasts import Broadcasts
from resolvers.context import Gateway
from upstreams.policy import Call

REGISTRY = CollectorRegistry(auto_describe=True)
MEDIA_TYPE = CONTENT_TYPE_LATEST

UPSTREAM_CALLS = Counter(
    "switchboard_upstream_calls_total",
    "Attempts to call a vendor; `status` is HTTP's, or `none` where no answer came.",
    ["vendor", "operation", "status"],
    registry=REGISTRY,
)
UPSTREAM_SECONDS = Histogram(
    "switchboard_upstream_seconds", "How long an attempt to call a vendor took.", ["vendor"], registry=REGISTRY
)
FEEDS = Gauge(
    "switchboard_feeds",
    "Chats and sources that are watched because somebody subscribes to them.",
    ["vendor"],
    registry=REGISTRY,
)
POLLS = Counter(
    "switchboard_polls_total",
    "Readings of feeds; `outcome` is `ok`, `failed` (the source's fault), `broken` (ours) or `disconnected`.",
    ["vendor", "outcome"],
    registry=REGISTRY,
)
SUBSCRIBERS = Gauge("switchboard_subscribers", "Subscriptions that run now.", registry=REGISTRY)
BROADCASTS = Gauge(
    "switchboard_broadcasts", "Streams that subscriptions share now: each is executed once for all.", registry=REGISTRY
)
REPLIES = Gauge("switchboard_replies_followed", "Replies that are being written and followed now.", registry=REGISTRY)
MIRROR_WAITING = Gauge(
    "switchboard_mirror_waiting_rows",
    "Rows that were read and wait to be written behind their answers.",
    registry=REGISTRY,
)
MIRROR_DROPPED = Counter(
    "switchboard_mirror_dropped_rows_total",
    "Rows that were read and not kept, because too many waited or the process ended.",
    registry=REGISTRY,
)
MIRROR_FAILED = Counter(
    "switchboard_mirror_failed_rows_total",
    "Rows that were read and could not be written behind their answers; the log says why.",
    registry=REGISTRY,
)
STATEMENTS = Gauge("switchboard_store_statements", "SQL statements since the start.", registry=REGISTRY)


def upstream_observer() -> Callable[[Call], None]:
    """What the upstream client calls after every attempt."""

    def observe(call: Call) -> None:
        UPSTREAM_CALLS.labels(call.vendor, call.operation, call.status or "none").inc()
        UPSTREAM_SECONDS.labels(call.vendor).observe(call.seconds)

    return observe


def poll_observer() -> Callable[[str, str], None]:
    """What the feeds call after every reading."""

    def observe(vendor: str, outcome: str) -> None:
        POLLS.labels(vendor, outcome).inc()

    return observe


def exposition(gateway: Gateway, broadcasts: Broadcasts) -> bytes:
    """The text of `/metrics`."""
    FEEDS.clear()
    for vendor, number in gateway.watching.counts().items():
        FEEDS.labels(vendor).set(number)
    SUBSCRIBERS.set(broadcasts.subscriptions)
    BROADCASTS.set(len(broadcasts))
    REPLIES.set(len(gateway.replies))
    MIRROR_WAITING.set(gateway.mirror_queue.rows)
    STATEMENTS.set(gateway.store.database.statements)
    return generate_latest(REGISTRY)
