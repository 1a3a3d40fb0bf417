"""Reads the list of a source once more when somebody knocked, if anybody listens in its organization."""

import asyncio
import logging
from collections.abc import Callable

from resolvers.context import Context, Gateway, system_context
from resolvers.legs import drain
from resolvers.reading import see_chats
from resolvers.targets import SourceTarget

_log = logging.getLogger(__name__)
_MOST_SECONDS = 30.0


class Rereads:
    """One reading of a source at a time; a knock during it is answered by one more."""

    def __init__(self, gateway: Callable[[], Gateway]) -> None:
        """`gateway` is called when the first knock comes: the gateway itself holds `knock`."""
        self._gateway = gateway
        self._running: dict[int, asyncio.Task[None]] = {}
        self._again: set[int] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a source is being read."""
        return bool(self._running)

    def knock(self, source_id: int, chat_id: str | None) -> None:
        """Have the source read soon. Which chat it is about makes no difference to a list."""
        if source_id in self._running:
            self._again.add(source_id)
            return
        task = asyncio.get_running_loop().create_task(self._run(source_id))
        self._running[source_id] = task
        task.add_done_callback(lambda _: self._ended(source_id))

    async def aclose(self) -> None:
        """End what runs."""
        self._again.clear()
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.sleep(0)  # what follows a task's end is called a turn of the loop later

    async def _run(self, source_id: int) -> None:
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                await _reread(self._gateway(), source_id)
        except Exception:  # nobody waits for it: the next knock, or the next reading, tells
            _log.warning("Reading a source again after its webhook failed.", exc_info=True)

    def _ended(self, source_id: int) -> None:
        del self._running[source_id]
        if source_id in self._again:
            self._again.discard(source_id)
            self.knock(source_id, None)


async def _reread(gateway: Gateway, source_id: int) -> None:
    found = await gateway.store.sources.by_webhook(source_id)
    if found is None or found[0].organization_id not in gateway.feed.organizations():
        return
    source, _ = found
    organization = await gateway.store.organizations.get(source.organization_id)
    if organization is None:
        return
    context = system_context(gateway, organization, source.owner or "system")
    target = SourceTarget(source, await gateway.sources.connect(source))
    if not target.capabilities.reads_from_store:
        await _read_list(context, target)


async def _read_list(context: Context, target: SourceTarget) -> None:
    if target.capabilities.native_orders:
        page = await target.live.list_chats(target.capabilities.native_orders[0], None)
        await see_chats(context, target, page, from_newest=True, is_whole=page.next is None)
    else:
        await drain(context, target, frozenset())
