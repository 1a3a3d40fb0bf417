"""Puts the parts together: opens the long-living ones in the right order, and closes them in the reverse one."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from fnmatch import fnmatchcase

from resolvers.context import Gateway, Tuning, utc_now
from resolvers.cursors import Cursors
from resolvers.drains import Drains
from resolvers.feed import Feed
from resolvers.replies import Replies
from resolvers.routing import Sources
from resolvers.supervising import Supervisor, supervising
from resolvers.writes import ChatLocks
from storage import local
from storage.changes import changes
from storage.presence import present
from storage.store import open_store
from switchboard.auth import Authenticator
from switchboard.configured_sources import configure_sources
from switchboard.keys import key_ring
from switchboard.metrics import upstream_observer
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
        gateway = Gateway(
            store=store,
            sources=Sources(store, available, keys.unseal, utc_now),
            connectors=available,
            cursors=cursors,
            feed=feed,
            replies=Replies(),
            drains=Drains(),
            locks=ChatLocks(),
            seal_credentials=keys.seal,
            tuning=Tuning(
                list_ttl_seconds=settings.list_ttl_seconds,
                call_budget=settings.upstream.call_budget,
                wait_reply_seconds=settings.replies.wait_seconds,
                reply_patience_seconds=settings.replies.patience_seconds,
            ),
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
            await gateway.replies.drain(settings.shutdown_seconds)
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


def _variables_of(patterns: Sequence[str]) -> Callable[[str], str | None]:
    """The environment as far as `credential_variables` opens it to admins of organizations."""

    def take(name: str) -> str | None:
        allowed = any(fnmatchcase(name, pattern) for pattern in patterns)
        return os.environ.get(name) if allowed else None

    return take
