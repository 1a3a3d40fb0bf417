"""Messages: how a reading changes what the mirror knows of a chat's messages. Reading them stands in `storage.message_reads`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from domain.paging import micros
from domain.records import Chat, EventKind, Message, MessageState
from domain.tree import by_id
from storage import sqlite
from storage.chats import SEEN_EVERY, Chats, ChatsSeen
from storage.database import Database, Transaction
from storage.events import Events
from storage.message_joins import Link, older_ones
from storage.message_path import ChatPath, extend, lay_anew
from storage.message_reads import MessageReads, Window
from storage.message_rows import BURY, STATE, WRITE, KnownMessage, content_hash, parameters_of
from storage.observations import Observed
from storage.spelling import spelled

__all__ = ["Link", "Messages", "MessagesSeen", "Observed", "Window"]


@dataclass(frozen=True, kw_only=True)  # without slots, so that what was spelled once is kept
class MessagesSeen:
    """Messages of one chat, parents before children.

    `includes_newest`: the newest end is among them; `is_whole`: they are all that there are. `active_leaf`: the end of the active path, None when
    the reading does not tell. `details`: by native id, what the event of a new message carries. `is_own_write`: the gateway itself has just sent or changed them. `is_certain`: they were made in this very transaction.

    For sources that page messages, whose readings show a part: `link` says how they join what is known; `follows` and `precedes` are the
    messages directly before and behind them, where that is known. `is_first`: they were read as the first of their chat; if somebody else was faster, nothing is written. `begins_anew`: what stands
    between them and what was known is given up. They are history like all before them, and a `STREAM_GAP` is logged.
    """

    organization_id: int
    source_id: int
    chat_id: str
    messages: Sequence[Message]
    started_at: datetime
    is_whole: bool
    includes_newest: bool
    active_leaf: str | None = None
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_own_write: bool = False
    is_certain: bool = False
    link: Link = Link.UNTOLD
    follows: str | None = None
    precedes: str | None = None
    is_first: bool = False
    begins_anew: bool = False

    @cached_property
    def spelled(self) -> bytes | None:
        """All that the reading says; see `storage.spelling`."""
        joins = [self.link, self.follows, self.precedes, self.is_first, self.begins_anew]
        return spelled([self.messages, self.is_whole, self.includes_newest, self.active_leaf, joins])


_OF_CHAT = "organization_id = :organization_id AND source_id = :source_id AND chat_id = :chat_id"

MessageId = tuple[int, int, str, str]
"""(organization id, source id, chat, message)."""

OnSettled = Callable[[MessageId, bool], None]
"""A message that was unfinished has an end (True), or one that had is being written again (False)."""


@dataclass(slots=True)
class _Chat:
    """What a reading of messages needs to know of their chat."""

    has_baseline: bool
    oldest: int | None
    path: ChatPath
    seen_at: int


@dataclass(slots=True)
class _Outcome:
    """What a reading comes to, before it is written."""

    writes: list[dict[str, Any]] = field(default_factory=list)
    buried: list[str] = field(default_factory=list)
    added: list[Message] = field(default_factory=list)
    news: list[tuple[EventKind, str, int]] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    """Rows that stood apart and do not any more."""
    is_relaid: bool = False
    """Something happened to the tree beside new messages."""


class Messages(MessageReads):
    """The messages of all chats, the local ones included."""

    def __init__(self, database: Database, events: Events, chats: Chats, clock: Callable[[], datetime]) -> None:
        super().__init__(database)
        self._events = events
        self._chats = chats
        self._clock = clock
        self._seen = chats.seen_messages
        self._details: dict[MessageId, Mapping[str, Any]] = {}
        self._on_settled: list[OnSettled] = []

    def on_settled(self, callback: OnSettled) -> None:
        """Call back in the loop after each commit of this process with which a message ended, or began again."""
        self._on_settled.append(callback)

    @contextmanager
    def announced(
        self, organization_id: int, source_id: int, chat_id: str, message_id: str, detail: Mapping[str, Any]
    ) -> Iterator[None]:
        """Inside the block, the event of this message carries `detail` when it is created, whoever observes it first.

        For a sent message: the source writes it, and does not know who asked. `principal` is who, and is kept with the row.
        """
        key = (organization_id, source_id, chat_id, message_id)
        self._details[key] = detail
        try:
            yield
        finally:
            self._details.pop(key, None)

    def recognise(self, seen: MessagesSeen) -> bool:
        """Whether the mirror holds just what a reading shows, so that `observe` would write nothing. Runs no statement; see `Chats.recognise`."""
        key = (seen.source_id, seen.chat_id)
        if seen.is_own_write or not self._database.is_idle or not self._seen.has_baseline(key):
            return False
        minute_before = micros(seen.started_at) - SEEN_EVERY
        return seen.spelled is not None and self._seen.is_remembered(key, seen.spelled, written_after=minute_before)

    def has_known_baseline(self, source_id: int, chat_id: str) -> bool:
        """Whether this process knows that the chat has a baseline, so that no reading of its messages is the first one."""
        return self._seen.has_baseline((source_id, chat_id))

    async def observe(self, tx: Transaction, seen: MessagesSeen) -> Observed:
        """Bring what a reading showed into the mirror, with the events that follow from it.

        The chat's row should be written before, in the same transaction; where there is none, an empty one is made.
        """
        chat = await self._chat(tx, seen)
        if chat is None:
            return Observed(outdated=tuple(message.native_id for message in seen.messages))
        if seen.is_first and chat.has_baseline:
            return Observed(is_overtaken=True)
        if seen.begins_anew:
            await tx.execute(f"UPDATE message SET is_apart = 1 WHERE {_OF_CHAT}", chat.path.parameters)
            chat = replace(chat, has_baseline=False)
        known = await self._known(tx, seen)
        outcome = self._weigh(seen, chat, known)
        if outcome.writes:
            await tx.execute_many(WRITE, outcome.writes)
        if outcome.buried:
            moment = micros(self._clock()) if seen.is_own_write else micros(seen.started_at)
            await tx.execute_many(
                BURY, [{**chat.path.parameters, "native_id": gone, "moment": moment} for gone in outcome.buried]
            )
        if outcome.joined:
            sql = f"UPDATE message SET is_apart = 0 WHERE {_OF_CHAT} AND native_id IN {sqlite.values_of('ids')}"
            await tx.execute(sql, {**chat.path.parameters, "ids": sqlite.packed(outcome.joined)})
        self._tell_settled(tx, seen, known, outcome)
        is_placed = await self._place(tx, seen, chat, outcome)
        await self._set_baseline(tx, seen, chat)
        is_changed = is_placed or seen.begins_anew or bool(outcome.writes or outcome.buried or outcome.joined)
        self._remember(tx, seen, chat, known, outcome, is_changed=is_changed)
        if seen.begins_anew:
            place = (seen.source_id, seen.chat_id, seen.chat_id)
            await self._events.append(tx, seen.organization_id, EventKind.STREAM_GAP, *place, at=self._clock())
        for kind, native_id, revision in outcome.news:
            detail = self._detail(seen, native_id) if kind is EventKind.MESSAGE_CREATED else None
            await self._events.append(
                tx,
                seen.organization_id,
                kind,
                seen.source_id,
                seen.chat_id,
                native_id,
                revision,
                detail,
                at=self._clock(),
            )
        return Observed(tuple(native_id for _, native_id, _ in outcome.news), tuple(outcome.outdated))

    async def remove(
        self,
        tx: Transaction,
        organization_id: int,
        source_id: int,
        chat_id: str,
        message_ids: Sequence[str],
        at: datetime,
    ) -> tuple[str, ...]:
        """Leave tombstones of messages that were deleted; those that were there. What follows them is not touched."""
        path = await self._path(tx, organization_id, source_id, chat_id)
        if path is None:
            return ()
        gone: list[str] = []
        for row in (await self._rows(tx, path, message_ids)).values():
            if row.deleted_at is not None:
                continue
            await tx.execute(BURY, {**path.parameters, "native_id": row.native_id, "moment": micros(at)})
            await self._events.append(
                tx,
                organization_id,
                EventKind.MESSAGE_DELETED,
                source_id,
                chat_id,
                row.native_id,
                row.revision + 1,
                at=at,
            )
            gone.append(row.native_id)
        if gone:
            await lay_anew(tx, path, None)
            self._seen.forget(tx, (source_id, chat_id))
        return tuple(gone)

    async def save_text(
        self, tx: Transaction, organization_id: int, source_id: int, chat_id: str, message_id: str, text: str
    ) -> None:
        """Keep the words that a reply has so far, without an event; a reply that is final already keeps its own."""
        sql = (
            "UPDATE message SET text = :text WHERE organization_id = :organization_id AND source_id = :source_id "
            "AND chat_id = :chat_id AND native_id = :message_id AND state IN ('PENDING', 'STREAMING')"
        )
        values = {
            "organization_id": organization_id,
            "source_id": source_id,
            "chat_id": chat_id,
            "message_id": message_id,
            "text": text,
        }
        await tx.execute(sql, values)
        self._seen.forget(tx, (source_id, chat_id))

    async def bind(
        self, tx: Transaction, organization_id: int, source_id: int, chat_id: str, public_id: str, native_id: str
    ) -> None:
        """The vendor's id of a message that was given out as `public_id` before it was known. The first binding stays."""
        sql = (
            "INSERT INTO message_alias (organization_id, source_id, chat_id, native_id, public_id) "
            "VALUES (:organization_id, :source_id, :chat_id, :native_id, :public_id) ON CONFLICT DO NOTHING"
        )
        values = {
            "organization_id": organization_id,
            "source_id": source_id,
            "chat_id": chat_id,
            "native_id": native_id,
            "public_id": public_id,
        }
        await tx.execute(sql, values)

    def _tell_settled(
        self, tx: Transaction, seen: MessagesSeen, known: Mapping[str, KnownMessage], outcome: _Outcome
    ) -> None:
        now = {str(row["native_id"]): MessageState(row["state"]).is_final for row in outcome.writes}
        now |= dict.fromkeys(outcome.buried, True)
        for native_id, is_final in now.items():
            row = known.get(native_id)
            if row is None or MessageState(row.state).is_final is is_final:
                continue
            key = (seen.organization_id, seen.source_id, seen.chat_id, native_id)
            for callback in self._on_settled:
                tx.after_commit(lambda key=key, is_final=is_final, callback=callback: callback(key, is_final))  # type: ignore[misc]

    def _detail(self, seen: MessagesSeen, native_id: str) -> Mapping[str, Any] | None:
        key = (seen.organization_id, seen.source_id, seen.chat_id, native_id)
        return seen.details.get(native_id) or self._details.get(key)

    # The rules

    def _weigh(self, seen: MessagesSeen, chat: _Chat, known: Mapping[str, KnownMessage]) -> _Outcome:
        outcome = _Outcome()
        older = older_ones(seen.messages, known, seen.link, chat.oldest, (seen.follows, seen.precedes))
        # A reading may show a message twice, for example where two pages overlap; the later place is the newer.
        for message in by_id(seen.messages).values():
            row = known.get(message.native_id)
            if message.deleted_at is not None:
                if row is not None and row.deleted_at is None:
                    self._bury(outcome, row)
            elif row is None:
                is_news = chat.has_baseline and message.native_id not in older and seen.link is not Link.APART
                self._add(seen, outcome, message, is_news=is_news)
            elif row.deleted_at is not None:
                self._raise_again(seen, outcome, row, message)
            elif row.is_unannounced and seen.link is Link.JOINED and chat.has_baseline and row.native_id not in older:
                self._announce(seen, outcome, row, message)
            else:
                self._compare(seen, outcome, row, message)
        if seen.is_whole:
            shown = {message.native_id for message in seen.messages}
            for row in known.values():
                if row.native_id not in shown and _has_vanished(row, seen):
                    self._bury(outcome, row)
        return outcome

    def _add(self, seen: MessagesSeen, outcome: _Outcome, message: Message, *, is_news: bool) -> None:
        self._write(seen, outcome, message, content_hash(message), revision=1)
        outcome.added.append(message)
        if seen.is_own_write or is_news:
            outcome.news.append((EventKind.MESSAGE_CREATED, message.native_id, 1))

    def _announce(self, seen: MessagesSeen, outcome: _Outcome, row: KnownMessage, message: Message) -> None:
        """It was shown before, apart from what was known then; now it is known that nothing is missing before it, and it is news."""
        revision = row.revision
        if row.changed_at > micros(
            seen.started_at
        ):  # a later reading told what it holds; its place in the log is here all the same
            outcome.joined.append(row.native_id)
        else:
            revision += 1
            self._write(seen, outcome, message, content_hash(message), revision=revision, row=row)
        outcome.news.append((EventKind.MESSAGE_CREATED, row.native_id, revision))
        outcome.is_relaid = True

    def _raise_again(self, seen: MessagesSeen, outcome: _Outcome, row: KnownMessage, message: Message) -> None:
        if row.deleted_at is not None and row.deleted_at >= micros(seen.started_at) and not seen.is_certain:
            outcome.outdated.append(row.native_id)
            return
        self._write(seen, outcome, message, content_hash(message), revision=row.revision + 1)
        if seen.link is not Link.APART:
            outcome.news.append((EventKind.MESSAGE_CREATED, row.native_id, row.revision + 1))
        outcome.is_relaid = True

    def _compare(self, seen: MessagesSeen, outcome: _Outcome, row: KnownMessage, message: Message) -> None:
        if row.is_apart and seen.link is Link.JOINED:
            outcome.joined.append(row.native_id)
        digest = content_hash(message)
        is_changed = digest != row.content_hash
        if not is_changed and not _tells_other_times(row, message):
            return
        if row.is_own and not seen.is_own_write and _was_composed_before_the_end(row, message):
            return
        if row.is_own_and_unfinished:
            # Whoever follows the reply is ahead of any reading of it, until one says how it ended.
            if not seen.is_own_write and not message.state.is_final:
                return
        elif row.changed_at > micros(seen.started_at) and not seen.is_certain:
            if is_changed:
                outcome.outdated.append(row.native_id)
            return
        is_news = is_changed and not row.is_unannounced and not _only_grows(row, message)
        revision = row.revision + 1 if is_news else row.revision
        self._write(seen, outcome, message, digest, revision=revision, row=row)
        if is_news:
            outcome.news.append((EventKind.MESSAGE_UPDATED, row.native_id, revision))
        outcome.is_relaid |= row.parent_id != message.parent_id

    def _bury(self, outcome: _Outcome, row: KnownMessage) -> None:
        outcome.buried.append(row.native_id)
        outcome.news.append((EventKind.MESSAGE_DELETED, row.native_id, row.revision + 1))
        outcome.is_relaid = True

    def _write(
        self,
        seen: MessagesSeen,
        outcome: _Outcome,
        message: Message,
        digest: bytes,
        *,
        revision: int,
        row: KnownMessage | None = None,
    ) -> None:
        changed_at = micros(self._clock()) if seen.is_own_write else micros(seen.started_at)
        is_own = seen.is_own_write or (row is not None and bool(row.is_own))
        is_apart = seen.is_own_write or seen.link is Link.APART if row is None else bool(row.is_apart)
        detail = self._detail(seen, message.native_id) or {}
        outcome.writes.append(
            parameters_of(
                message,
                digest,
                revision=revision,
                changed_at=changed_at,
                is_own=is_own,
                is_apart=is_apart and seen.link is not Link.JOINED,
                sent_by=detail.get("principal"),
            )
        )

    # Around them

    async def _chat(self, tx: Transaction, seen: MessagesSeen) -> _Chat | None:
        """The chat's row, made when it is missing. None: it was deleted after the reading was started."""
        sql = (
            "SELECT has_baseline, oldest, active_leaf, path_length, deleted_at, seen_at FROM chat WHERE "
            "organization_id = :organization_id AND source_id = :source_id AND native_id = :chat_id"
        )
        parameters = {
            "organization_id": seen.organization_id,
            "source_id": seen.source_id,
            "chat_id": seen.chat_id,
        }
        row = await tx.fetch_one(sql, parameters)
        if row is not None and row[4] is not None and row[4] >= micros(seen.started_at):
            return None
        if row is None or row[4] is not None:
            await self._chats.observe(tx, _bare_chat(seen))
            row = await tx.fetch_one(sql, parameters)
        if row is None:
            return None
        seen_at: int = row[5]
        if seen_at + SEEN_EVERY <= micros(seen.started_at):
            key = (seen.source_id, seen.chat_id)
            await self._chats.set_seen_at(tx, seen.organization_id, key, micros(seen.started_at))
            seen_at = micros(seen.started_at)
        path = ChatPath(seen.organization_id, seen.source_id, seen.chat_id, row[2], row[3])
        return _Chat(bool(row[0]), row[1], path, seen_at)

    async def _path(self, tx: Transaction, organization_id: int, source_id: int, chat_id: str) -> ChatPath | None:
        sql = (
            "SELECT active_leaf, path_length FROM chat WHERE organization_id = :organization_id "
            "AND source_id = :source_id AND native_id = :chat_id AND deleted_at IS NULL"
        )
        parameters = {"organization_id": organization_id, "source_id": source_id, "chat_id": chat_id}
        row = await tx.fetch_one(sql, parameters)
        return ChatPath(organization_id, source_id, chat_id, row[0], row[1]) if row else None

    async def _known(self, tx: Transaction, seen: MessagesSeen) -> dict[str, KnownMessage]:
        path = ChatPath(seen.organization_id, seen.source_id, seen.chat_id, None, 0)
        if not seen.is_whole:
            ids = [message.native_id for message in seen.messages]
            return await self._rows(
                tx, path, [*ids, *(one for one in (seen.follows, seen.precedes) if one is not None)]
            )
        sql = (
            f"SELECT {STATE} FROM message WHERE organization_id = :organization_id AND source_id = :source_id "
            "AND chat_id = :chat_id"
        )
        return {row[0]: KnownMessage(*row) for row in await tx.fetch_all(sql, path.parameters)}

    async def _rows(self, tx: Transaction, path: ChatPath, message_ids: Iterable[str]) -> dict[str, KnownMessage]:
        sql = (
            f"SELECT {STATE} FROM message WHERE organization_id = :organization_id AND source_id = :source_id "
            f"AND chat_id = :chat_id AND native_id IN {sqlite.values_of('ids')}"
        )
        rows = await tx.fetch_all(sql, {**path.parameters, "ids": sqlite.packed(message_ids)})
        return {row[0]: KnownMessage(*row) for row in rows}

    async def _place(self, tx: Transaction, seen: MessagesSeen, chat: _Chat, outcome: _Outcome) -> bool:
        """Keep the active path: at the end of a chat it only grows, otherwise it is found again. Whether there was reason to."""
        new = [message.native_id for message in outcome.added]
        leaf = new[-1] if new else chat.path.leaf
        if outcome.is_relaid or seen.active_leaf not in (None, leaf) or not _continues(chat.path, outcome.added):
            await lay_anew(tx, chat.path, seen.active_leaf)
            return True
        if new:
            await extend(tx, chat.path, new)
        return bool(new)

    async def _set_baseline(self, tx: Transaction, seen: MessagesSeen, chat: _Chat) -> None:
        is_first = not chat.has_baseline and (seen.includes_newest or seen.is_whole)
        is_completed = chat.has_baseline and seen.is_whole and chat.oldest is not None
        if not (is_first or is_completed):
            return
        times = [micros(message.created_at) for message in seen.messages if message.created_at is not None]
        sql = (
            "UPDATE chat SET has_baseline = 1, oldest = :oldest WHERE organization_id = :organization_id "
            "AND source_id = :source_id AND native_id = :chat_id"
        )
        # Where no time is told, what the reading does not show is at least older than the reading.
        oldest = None if seen.is_whole else min(times, default=micros(seen.started_at))
        await tx.execute(sql, {**chat.path.parameters, "oldest": oldest})

    def _remember(
        self,
        tx: Transaction,
        seen: MessagesSeen,
        chat: _Chat,
        known: Mapping[str, KnownMessage],
        outcome: _Outcome,
        *,
        is_changed: bool,
    ) -> None:
        """The same reading, started later, will change nothing, unless its time decided about a row of this one."""
        key, started_at = (seen.source_id, seen.chat_id), micros(seen.started_at)
        if is_changed:
            self._seen.forget(tx, key)
        if not (chat.has_baseline or seen.includes_newest or seen.is_whole):
            return
        is_timeless = not outcome.outdated and all(row.changed_at <= started_at for row in known.values())
        reading = seen.spelled if is_timeless and not seen.is_own_write else None
        self._seen.remember(tx, key, reading, seen_at=chat.seen_at)


def _bare_chat(seen: MessagesSeen) -> ChatsSeen:
    chat = Chat(
        organization_id=seen.organization_id,
        source_id=seen.source_id,
        native_id=seen.chat_id,
        told=frozenset(),
    )
    return ChatsSeen(
        organization_id=seen.organization_id,
        source_id=seen.source_id,
        rows=(chat,),
        started_at=seen.started_at,
        from_newest=False,
        is_whole=False,
        is_own_write=seen.is_own_write,
        is_certain=seen.is_certain,
    )


def _has_vanished(row: KnownMessage, seen: MessagesSeen) -> bool:
    is_settled = not row.is_own_and_unfinished
    return row.deleted_at is None and is_settled and row.changed_at <= micros(seen.started_at)


def _was_composed_before_the_end(row: KnownMessage, message: Message) -> bool:
    """Whether a row of ours that has ended is shown as it was in advance: readings are completed with own rows that the source
    does not show yet, and such a reading may have begun while the end was under way to the disk. No vendor says `PENDING`.
    The same holds for a reply that broke off while its source goes on to say that it is being written, and adds nothing.
    """
    if not MessageState(row.state).is_final or message.state.is_final:
        return False
    is_empty_reply = message.state is MessageState.STREAMING and not message.text
    is_same_but_for_the_end = content_hash(replace(message, state=MessageState(row.state))) == row.content_hash
    was_in_advance = message.state is MessageState.PENDING or (is_empty_reply and row.state == MessageState.FAILED)
    return was_in_advance or is_same_but_for_the_end


def _only_grows(row: KnownMessage, message: Message) -> bool:
    """Whether somebody else's answer is still being written: its words are kept without an event, its end is one."""
    is_written_on = row.state == MessageState.STREAMING and message.state is MessageState.STREAMING
    return is_written_on and not row.is_own


def _tells_other_times(row: KnownMessage, message: Message) -> bool:
    told = ((message.created_at, row.created_at), (message.edited_at, row.edited_at))
    return any(moment is not None and micros(moment) != kept for moment, kept in told)


def _continues(path: ChatPath, added: Sequence[Message]) -> bool:
    """Whether each new message follows the one before it, the first of them the end of the path."""
    at = path.leaf
    for message in added:
        if message.parent_id != at:
            return False
        at = message.native_id
    return True
