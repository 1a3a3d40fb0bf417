"""Puts the parts together: opens the long-living ones in the right order, and closes them in the reverse one."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from fnmatch import fnmatchcase

from resolvers.context import Gateway, Tuning, utc_now
from resolvers.cursors import Cursors
from resolvers.drains import Drains
from resolvers.feed import Feed
from resolvers.mirror_queue import MirrorQueue
from resolvers.replies import Replies
from resolvers.routing import Sources
from resolvers.supervising import Supervisor, supervising
from resolvers.watching.feeds import Feeds
from resolvers.watching.tuning import WatchTuning
from resolvers.webhooks import WebhookTokens
from resolvers.writes import ChatLocks
from storage import local
from storage.changes import changes
from storage.presence import present
from storage.store import open_store
from switchboard.auth import Authenticator
from switchboard.configured_sources import configure_sources
from switchboard.keys import key_ring
from switchboard.metrics import MIRROR_DROPPED, MIRROR_FAILED, poll_observer, upstream_observer
from switchboard.neighbours import neighbours
from switchboard.noticing import noticing
from switchboard.retention import forgetting
from switchboard.sessions import GatewaySessions
from switchboard.settings import Settings
from switchboard.tokens import TokenVerifier
from upstreams.http import UpstreamClients
from upstreams.policy import UpstreamSettings
from upstreams.registry import connectors


@asynccontextmanager
async def open_gateway(settings: Settings, *, serves: bool = True) -> AsyncIterator[tuple[Gateway, GatewaySessions]]:
    """The parts of one process. Raises `SettingsError` or `GatewayError` when it cannot start.

    One that does not serve, as a command, tells the others what it does, and looks after nothing but its own business.
    """
    keys = key_ring(settings)
    sessions: GatewaySessions | None = None

    def access_changed() -> None:
        if sessions is not None:
            sessions.access_changed()

    clients = UpstreamClients(upstream_settings(settings), observe=upstream_observer())
    async with AsyncExitStack() as around, open_store(settings.database_url) as store:
        presence = around.enter_context(present(settings.database_url))
        available = {"local": local.connector(store), **connectors(clients)}
        await configure_sources(store, settings.sources, available, keys.seal, utc_now())
        cursors = Cursors(keys.cursor_keys)
        feed = Feed(cursors)
        store.on_commit(feed.committed)
        store.on_settled(feed.settled)
        sources = Sources(store, available, keys.unseal, utc_now)
        feeds = Feeds(watch_tuning(settings), observe=poll_observer())
        sources.on_changed(feeds.changed)
        gateway = Gateway(
            store=store,
            sources=sources,
            connectors=available,
            cursors=cursors,
            feed=feed,
            replies=Replies(),
            drains=Drains(),
            locks=ChatLocks(feeds.wrote),
            seal_credentials=keys.seal,
            mirror_queue=MirrorQueue(
                most_rows=settings.mirror.queue_rows,
                most_bytes=settings.mirror.queue_bytes,
                on_dropped=MIRROR_DROPPED.inc,
                on_failed=MIRROR_FAILED.inc,
            ),
            webhook_tokens=WebhookTokens(keys.webhook_keys),
            knock=feeds.knock,
            tuning=Tuning(
                list_ttl_seconds=settings.list_ttl_seconds,
                call_budget=settings.upstream.call_budget,
                caught_up_seconds=settings.live.caught_up_seconds,
                wait_reply_seconds=settings.replies.wait_seconds,
                reply_patience_seconds=settings.replies.patience_seconds,
            ),
            watching=feeds,
            presence=presence,
            default_issuer=settings.auth.jwt.issuer if settings.auth.jwt is not None else None,
            access_changed=access_changed,
            take_variable=_variables_of(settings.credential_variables),
        )
        jwt = settings.auth.jwt
        verifier = TokenVerifier(jwt) if jwt is not None else None
        authenticator = Authenticator(store, verifier=verifier, check_seconds=settings.auth.check_seconds)
        sessions = GatewaySessions(gateway, authenticator, check_seconds=settings.auth.check_seconds)
        supervisor = Supervisor(gateway)
        await around.enter_async_context(neighbours(presence, store, feed, supervisor.call))
        try:
            async with AsyncExitStack() as duties:
                if serves:
                    noticed = around.enter_context(changes(settings.database_url))
                    await duties.enter_async_context(noticing(feed, noticed))
                    await duties.enter_async_context(
                        supervising(supervisor, every_seconds=settings.replies.look_seconds)
                    )
                    await duties.enter_async_context(forgetting(gateway, settings))
                yield gateway, sessions
        finally:
            await authenticator.aclose()
            await feeds.aclose()
            await asyncio.gather(
                gateway.replies.drain(settings.shutdown_seconds),
                gateway.mirror_queue.drain(settings.shutdown_seconds),
            )
            await gateway.drains.aclose()
            await gateway.sources.aclose()
            await clients.aclose()


def upstream_settings(settings: Settings) -> UpstreamSettings:
    """The bounds for all sources; the command line reaches out with the same."""
    upstream = settings.upstream
    return UpstreamSettings(
        timeout_seconds=upstream.total_timeout_seconds,
        read_seconds=upstream.read_timeout_seconds,
        max_answer_bytes=upstream.response_bytes,
        concurrency=upstream.concurrency,
        allow_private_addresses=settings.allow_private_addresses,
    )


def watch_tuning(settings: Settings) -> WatchTuning:
    """The bounds of the feeds."""
    values = settings.live.model_dump()
    return WatchTuning(**{name: value for name, value in values.items() if name in WatchTuning.__slots__})


def _variables_of(patterns: Sequence[str]) -> Callable[[str], str | None]:
    """The environment as far as `credential_variables` opens it to admins of organizations."""

    def take(name: str) -> str | None:
        allowed = any(fnmatchcase(name, pattern) for pattern in patterns)
        return os.environ.get(name) if allowed else None

    return take
