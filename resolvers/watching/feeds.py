"""The feeds of this process: who is interested in what, and the watch of each source that somebody is interested in."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from domain.capabilities import Capability
from domain.errors import GatewayError, LimitExceeded, UpstreamTimeout
from domain.records import Health, Source
from resolvers.context import Context
from resolvers.statuses import SourceStatus, status_of_error
from resolvers.targets import ChatTarget, SourceTarget, open_source
from resolvers.watching.budget import Budgets
from resolvers.watching.clock import WatchClock
from resolvers.watching.source_watch import SourceWatch
from resolvers.watching.tuning import WatchTuning


@dataclass(slots=True, eq=False)
class _Interest:
    """One subscriber, and what is watched for it."""

    context: Context
    is_everything: bool
    held: list[tuple[SourceWatch, str | None]] = field(default_factory=list)


class Feeds:
    """See `resolvers.interest.Watching`. `observe` gets vendor and outcome of each reading."""

    def __init__(
        self,
        tuning: WatchTuning | None = None,
        *,
        clock: WatchClock | None = None,
        observe: Callable[[str, str], None] = lambda vendor, outcome: None,
    ) -> None:
        self._tuning = tuning or WatchTuning()
        self._clock = clock or WatchClock()
        self._observe = observe
        self._budgets = Budgets(self._clock.monotonic)
        self._watches: dict[int, SourceWatch] = {}
        self._interests: set[_Interest] = set()
        self._ending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def interest(
        self, context: Context, targets: Sequence[SourceTarget], *, is_everything: bool = False
    ) -> AsyncIterator[None]:
        """One subscriber, for as long as the block lasts."""
        interest = _Interest(context, is_everything)
        self._interests.add(interest)
        try:
            for target, chat_ids in _by_source(targets):
                self._check_bounds(target.source, chat_ids)
                await self._hold(interest, target, chat_ids)
            yield
        finally:
            self._interests.discard(interest)
            for watch, chat_id in interest.held:
                watch.release(chat_id)

    async def read_once(self, context: Context, targets: Sequence[SourceTarget]) -> list[SourceStatus]:
        """Read each target once, beginning after this call, which all share who ask for it at the same time."""
        async with self.interest(context, targets):
            found = await asyncio.gather(
                *(self._read_source(context, target, chat_ids) for target, chat_ids in _by_source(targets))
            )
        return [status for status in found if status is not None]

    async def mend(self, context: Context, target: ChatTarget) -> None:
        """Read a chat back in the background."""
        if _is_watchable(target):
            (await self._watch_of(context, target)).mend(target.chat_id)

    def knock(self, source_id: int, chat_id: str | None) -> bool:
        """Read again, if it is watched here."""
        watch = self._watches.get(source_id)
        return watch is not None and watch.touch(chat_id)

    def wrote(self, key: object) -> None:
        """Read a chat again that we have written to: what others wrote meanwhile stands there, too."""
        match key:
            case (int(), int(source_id), str(chat_id)) if (watch := self._watches.get(source_id)) is not None:
                watch.touch(chat_id)

    def changed(self, organization_id: int, source_id: int) -> None:
        """A source was connected, disconnected, or configured anew: look at once."""
        self.knock(source_id, None)
        waiting = [
            one for one in self._interests if one.is_everything and one.context.organization.id == organization_id
        ]
        if waiting:
            self._keep(asyncio.create_task(self._add_source(waiting, source_id), name="feeds of a new source"))

    def health_of(self, source_id: int, health: Health) -> Health:
        """With what watching has shown."""
        watch = self._watches.get(source_id)
        return watch.health_of(health) if watch is not None else health

    def counts(self) -> Mapping[str, int]:
        """Vendor to the number of chats and sources that somebody subscribes to."""
        counts: Counter[str] = Counter()
        for watch in self._watches.values():
            counts[watch.source.vendor] += watch.wanted()
        return counts

    @property
    def is_reading(self) -> bool:
        """Whether a reading is under way somewhere."""
        return any(watch.is_reading for watch in self._watches.values())

    async def aclose(self) -> None:
        """End all of them."""
        while self._watches or self._ending:
            for watch in list(self._watches.values()):
                watch.end()
            if self._ending:
                await asyncio.wait(self._ending)

    async def _hold(self, interest: "_Interest", target: SourceTarget, chat_ids: Sequence[str | None]) -> None:
        watch = await self._watch_of(interest.context, target)
        for chat_id in chat_ids:
            watch.hold(chat_id)
            interest.held.append((watch, chat_id))

    async def _add_source(self, interests: Sequence["_Interest"], source_id: int) -> None:
        """Who subscribes to everything that there is hears of a source that is connected later, too."""
        for interest in interests:
            try:
                target = await open_source(interest.context, source_id)
                is_held = any(watch.source.id == source_id for watch, _ in interest.held)
                if target is not None and not is_held and _is_watchable(target) and interest in self._interests:
                    self._check_bounds(target.source, [None])
                    await self._hold(interest, target, [None])
                    if interest not in self._interests:  # it has left meanwhile
                        interest.held.pop()[0].release(None)
            except GatewayError:  # its `health` says why; who subscribes anew tries again
                return

    async def _read_source(
        self, context: Context, target: SourceTarget, chat_ids: Sequence[str | None]
    ) -> SourceStatus | None:
        watch, seconds = self._watches.get(target.source.id), context.gateway.tuning.caught_up_seconds
        if watch is None:
            return None
        try:
            async with asyncio.timeout(seconds):
                await watch.catch_up(chat_ids)
        except GatewayError as error:
            return status_of_error(target.source, error)
        except TimeoutError:
            late = UpstreamTimeout(
                f"{target.source.key} was not read within {seconds:g} s; what happened there may still arrive.",
                source_id=target.source.id,
                operation="catch_up",
            )
            return status_of_error(target.source, watch.error_of(chat_ids) or late)
        return None

    async def _watch_of(self, context: Context, target: SourceTarget) -> SourceWatch:
        source = target.source
        credential = await context.gateway.sources.credential(source)
        watch = self._watches.get(source.id)
        if watch is None:
            per_minute = target.capabilities.polls_per_minute or self._tuning.polls_per_minute
            watch = SourceWatch(
                context.gateway,
                context.organization,
                source,
                budget=self._budgets.of(credential, per_minute),
                tuning=self._tuning,
                clock=self._clock,
                observe=self._observe,
                ended=self._ended,
            )
            self._watches[source.id] = watch
        return watch

    def _check_bounds(self, source: Source, chat_ids: Sequence[str | None]) -> None:
        if self._excess(source, chat_ids) is not None:
            for watch in list(self._watches.values()):
                watch.let_go()
        if (excess := self._excess(source, chat_ids)) is not None:
            figure, limit, whose = excess
            raise LimitExceeded(
                f"{figure} chats {whose} would be watched at the same time; {limit} can be. Subscribe to fewer chats, "
                "or to all of them at once by naming none.",
                limit=limit,
                figure=figure,
            )

    def _excess(self, source: Source, chat_ids: Sequence[str | None]) -> tuple[int, int, str] | None:
        """What it would come to, and the bound that this is beyond."""
        watch = self._watches.get(source.id)
        new = sum(watch is None or not watch.wants(chat_id) for chat_id in chat_ids)
        of_source = new + (watch.wanted() if watch is not None else 0)
        of_all = new + sum(self.counts().values())
        if new and of_source > self._tuning.feeds_per_source:
            return of_source, self._tuning.feeds_per_source, f"of {source.key}"
        if new and of_all > self._tuning.feeds:
            return of_all, self._tuning.feeds, "of this gateway"
        return None

    def _ended(self, watch: SourceWatch, ending: Iterable["asyncio.Task[None]"]) -> None:
        if self._watches.get(watch.source.id) is watch:
            del self._watches[watch.source.id]
        self._budgets.forget_unused()
        for task in ending:
            self._keep(task)

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _is_watchable(target: SourceTarget) -> bool:
    """The store's own rows tell everything themselves, and what cannot be read cannot be watched."""
    return not target.capabilities.reads_from_store and target.capabilities.can(Capability.LIST_MESSAGES)


def _by_source(targets: Sequence[SourceTarget]) -> list[tuple[SourceTarget, list[str | None]]]:
    """Each source that can be watched, with the chats that are wanted of it, or (None) all that happens there."""
    first: dict[int, SourceTarget] = {}
    wanted: defaultdict[int, dict[str | None, None]] = defaultdict(dict)
    for target in targets:
        if _is_watchable(target):
            first.setdefault(target.source.id, target)
            wanted[target.source.id][target.chat_id if isinstance(target, ChatTarget) else None] = None
    return [(target, list(wanted[source_id])) for source_id, target in first.items()]
