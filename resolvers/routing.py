"""From an id to the source that owns it: which sources an organization has, who sees them, and one open `ChatSource` for each."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from domain.errors import GatewayError, UpstreamUnavailable
from domain.records import Principal, Source
from domain.source import ChatSource, Connector
from resolvers.disconnected import disconnected
from storage.store import Store

_REREAD_AFTER = timedelta(seconds=2)
"""Another worker may have connected a source: what is known of an organization's sources is read again after this time."""


class Sources:
    """The sources of all organizations, opened on first use and closed together."""

    def __init__(
        self,
        store: Store,
        connectors: Mapping[str, Connector],
        open_credentials: Callable[[bytes], Mapping[str, str]],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._connectors = connectors
        self._open_credentials = open_credentials
        self._clock = clock
        self._known: dict[int, tuple[datetime, tuple[Source, ...]]] = {}
        self._reading: dict[int, asyncio.Future[None]] = {}
        self._open: dict[int, tuple[Source, ChatSource]] = {}
        self._signs_in_as: dict[int, str] = {}
        self._on_changed: list[Callable[[int, int], None]] = []

    def on_changed(self, callback: Callable[[int, int], None]) -> None:
        """Call back with (organization id, source id) when a source was connected, changed or removed in this process."""
        self._on_changed.append(callback)

    async def of(self, organization_id: int) -> Sequence[Source]:
        """All sources of an organization by key, whoever may see them."""
        while True:
            known = self._known.get(organization_id)
            if known is not None and self._clock() - known[0] <= _REREAD_AFTER:
                return known[1]
            reading = self._reading.get(organization_id)
            if reading is None:
                return await self._read(organization_id)
            await asyncio.shield(reading)  # a thousand streams ask at once

    async def _read(self, organization_id: int) -> Sequence[Source]:
        reading = self._reading[organization_id] = asyncio.get_running_loop().create_future()
        try:
            now = self._clock()
            sources = tuple(await self._store.sources.of(organization_id))
            if self._reading.get(organization_id) is reading:  # else they were changed meanwhile
                self._known[organization_id] = (now, sources)
            return sources
        finally:
            if self._reading.get(organization_id) is reading:
                del self._reading[organization_id]
            reading.set_result(None)

    async def visible(self, organization_id: int, principal: Principal) -> Sequence[Source]:
        """The sources that `principal` may know of, by key."""
        return [source for source in await self.of(organization_id) if source.is_visible_to(principal)]

    async def get(self, organization_id: int, principal: Principal, source_id: int) -> Source | None:
        """One visible source."""
        for source in await self.visible(organization_id, principal):
            if source.id == source_id:
                return source
        return None

    def connector(self, vendor: str) -> Connector | None:
        """The vendor's line of the registry; None when this build does not have it."""
        return self._connectors.get(vendor)

    async def connect(self, source: Source) -> ChatSource:
        """The open source for a record. A changed record opens it anew. Raises `GatewayError` when it cannot be opened."""
        opened = self._open.get(source.id)
        if opened is not None and _connects_alike(opened[0], source):
            return opened[1]
        if source.disconnected_at is not None:
            return disconnected(source)
        connector = self._connectors.get(source.vendor)
        if connector is None:
            raise UpstreamUnavailable(
                f"The source {source.key} is of the vendor {source.vendor}, which this gateway has no connector for. "
                "Disconnect it, or run a version that has one.",
                source_id=source.id,
                operation="connect",
            )
        credentials = await self.credentials(source)
        if source.id in self._open and _connects_alike(self._open[source.id][0], source):  # another task was faster
            return self._open[source.id][1]
        live = connector.connect(source, credentials)
        self._open[source.id] = (source, live)
        if opened is not None:
            await opened[1].aclose()
        return live

    async def credentials(self, source: Source) -> Mapping[str, str]:
        """What signs the gateway in at a source. Raises `UpstreamUnavailable` when no configured key decrypts it."""
        sealed = await self._store.sources.credentials(source.organization_id, source.id)
        try:
            return self._open_credentials(sealed) if sealed else {}
        except ValueError as error:
            raise UpstreamUnavailable(
                f"The credentials of the source {source.key} cannot be decrypted with the configured `secret_keys`. "
                "Put the key back that encrypted them, or set the credentials again with `updateSource`.",
                source_id=source.id,
                operation="connect",
            ) from error

    async def credential(self, source: Source) -> str:
        """Equal for sources that sign in alike at the same address, and so share a quota; tells nothing of the secrets."""
        known = self._signs_in_as.get(source.id)
        if known is None:
            try:
                secrets = json.dumps(sorted((await self.credentials(source)).items()))
            except GatewayError:  # it cannot be asked at all
                secrets = str(source.id)
            text = "\0".join([source.vendor, source.base_url or "", secrets])
            known = self._signs_in_as[source.id] = hashlib.sha256(text.encode()).hexdigest()
        return known

    async def changed(self, organization_id: int, source_id: int | None = None) -> None:
        """Forget what is known after a source was connected, changed or removed; credentials are read again."""
        self._known.pop(organization_id, None)
        self._reading.pop(organization_id, None)
        if source_id is None:
            return
        self._signs_in_as.pop(source_id, None)
        if opened := self._open.pop(source_id, None):
            await opened[1].aclose()
        for callback in self._on_changed:
            callback(organization_id, source_id)

    async def aclose(self) -> None:
        """Close every open source."""
        opened, self._open = list(self._open.values()), {}
        for _, live in opened:
            try:
                await live.aclose()
            except GatewayError:  # a vendor that fails to say goodbye must not keep us from closing the others
                continue


def _connects_alike(opened: Source, source: Source) -> bool:
    """Whether an open source still does: what its vendor told of the account is no reason to forget how it has been answering."""
    return replace(opened, account=source.account) == source
