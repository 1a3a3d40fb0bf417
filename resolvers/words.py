"""Words of replies that are being written, on their way to those who listen."""

from collections.abc import Sequence
from dataclasses import replace

from domain.records import Delta, EventKind
from resolvers.context import Context
from resolvers.feed import Growth, Listener
from resolvers.live_events import DeltaCame, Happened, ReplyKey, Told
from resolvers.wanted import Wanted


class Words:
    """Hands on the words of replies, each only when the line that announced its reply was delivered, and none behind its end."""

    def __init__(self, context: Context, wanted: Wanted) -> None:
        self._context = context
        self._wanted = wanted
        self._followed: set[ReplyKey] = set()
        """The replies whose words came without a hole since the last time that they were told whole."""
        self._waiting: list[Growth] = []

    def logged(self, told: Told) -> None:
        """A reply that is finished has its text in the log: what words of it still wait are of no use."""
        event = told.event
        if not isinstance(event, Happened) or event.event.kind is not EventKind.MESSAGE_UPDATED:
            return
        if event.message is not None and event.message.state.is_final:
            key = event.message.key
            # Whoever committed the end, here or elsewhere: a follower that lags behind has nothing more to say.
            self._context.gateway.feed.settled((self._context.organization.id, *key), True)
            self._followed.discard(key)
            self._waiting = [growth for growth in self._waiting if _key(growth.delta) != key]

    async def hear(self, listener: Listener) -> None:
        """Take over what was said since the last time, as far as it is wanted."""
        came = listener.take_words()
        if listener.dropped:
            listener.dropped = False
            self._followed.clear()
            self._waiting.clear()
        if came and self._wanted.wants_words:
            self._waiting += await self._wanted_of(came)

    def ready(self, position: int) -> list[Told]:
        """The words whose reply is announced by the log up to `position`."""
        ready = [growth for growth in self._waiting if growth.delta.after_seq <= position]
        self._waiting = [growth for growth in self._waiting if growth.delta.after_seq > position]
        return [self._told(growth, position) for growth in ready]

    async def _wanted_of(self, came: Sequence[Growth]) -> list[Growth]:
        wanted, context = self._wanted, self._context
        visible = {
            source.id for source in await context.gateway.sources.visible(context.organization.id, context.principal)
        }
        keys = {(growth.delta.source_id, growth.delta.chat_id) for growth in came}
        keys = {
            key
            for key in keys
            if key[0] in visible
            and (wanted.sources is None or key[0] in wanted.sources)
            and (wanted.chats is None or key in wanted.chats)
        }
        if wanted.folders is not None and keys:
            rows = await context.store.chats.get_many(context.organization.id, list(keys))
            keys = {key for key, chat in rows.items() if chat.folder in wanted.folders}
        return [growth for growth in came if (growth.delta.source_id, growth.delta.chat_id) in keys]

    def _told(self, growth: Growth, position: int) -> Told:
        key = _key(growth.delta)
        whole = self._came(replace(growth.delta, offset=0, text=growth.text_so_far), position)
        if key in self._followed:
            return Told(position=position, event=self._came(growth.delta, position), part_of=key, whole=whole)
        self._followed.add(key)
        return Told(position=position, event=whole, part_of=key, whole=whole)

    def _came(self, delta: Delta, position: int) -> DeltaCame:
        """Its cursor is that of the stream: whoever continues behind it has had all up to there, not only up to the reply's own line."""
        cursor = self._context.gateway.feed.cursor_at(delta.organization_id, position, delta.offset)
        return DeltaCame(cursor=cursor, delta=delta)


def _key(delta: Delta) -> ReplyKey:
    return (delta.source_id, delta.chat_id, delta.message_id)
