"""Reading messages: windows of a path for many chats at once, single ones, and their relatives in the tree."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from domain.errors import BadCursor, BudgetExceeded, CapabilityMissing, GatewayError, UpstreamError
from domain.ids import IdType, parse_id_of
from domain.paging import Page, PageRequest
from domain.records import Message, Scope
from domain.source import MessagesRead, MessageWindow
from domain.tree import branch_path, by_id, children_of, cut
from resolvers.chats import ChatKey, open_all
from resolvers.context import Context
from resolvers.mirroring import caught_up
from resolvers.reading import native_message_id, read_messages, under_known_ids
from resolvers.statuses import SourceStatus, status_of_error
from resolvers.targets import ChatTarget, SourceTarget, not_found

MessageKey = tuple[int, str, str]
"""(source id, chat native id, message native id)."""

_NEWEST = MessageWindow(last=1)


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """Messages of one chat along one path. `branch` is the client's id of a message on it; None: the active path."""

    chat: ChatKey
    page: PageRequest
    branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageList:
    """A page of messages, how the source answered, and the log's position before it was read."""

    page: Page[Message]
    status: SourceStatus
    event_cursor: str


async def load_messages(context: Context, queries: Sequence[MessageQuery]) -> list[MessageList | BaseException | None]:
    """The windows of all chats that a selection asks for, at once. None: there is no such chat. A source that fails is served
    from the mirror, and its `status` says so; when the mirror does not know the chat either, the error is the value."""
    context.require(Scope.READ)
    event_cursor = await context.event_cursor()
    targets = await open_all(context, [query.chat for query in queries])
    asked = [
        query
        for query in queries
        if (target := targets.get(query.chat[0])) and not target.capabilities.reads_from_store
    ]
    _check_budget(context, len(asked))
    windows: dict[MessageQuery, MessageWindow | BaseException] = {
        query: _window_or_error(context, query) for query in queries
    }
    stored = await _stored_windows(context, queries, windows, targets)

    async def one(query: MessageQuery) -> MessageList | BaseException | None:
        target, window = targets.get(query.chat[0]), windows[query]
        if target is None:
            return None
        if isinstance(window, BaseException):
            return window
        at = ChatTarget(target.source, target.live, query.chat[1])
        status = SourceStatus(source=target.source)
        try:
            if target.capabilities.reads_from_store:
                page = stored.get(query) if window.branch is None else await _stored_branch(context, at, window)
            else:
                page, status = await _asked_window(context, at, window)
        except GatewayError as error:
            return error
        if page is None:
            return None
        return MessageList(page=_page(context, query, page), status=status, event_cursor=event_cursor)

    return list(await asyncio.gather(*(one(query) for query in queries)))


@dataclass(frozen=True, slots=True)
class _Cut:
    """A window as it was cut."""

    messages: Sequence[Message]
    has_before: bool
    has_after: bool
    total: int | None


def _check_budget(context: Context, planned: int) -> None:
    budget = context.gateway.tuning.call_budget
    if planned > budget:
        raise BudgetExceeded(
            f"The messages of {planned} chats would take {planned} calls to their sources; one operation may make {budget}. "
            "Ask for fewer chats at once.",
            budget=budget,
            planned=planned,
        )


def _window_or_error(context: Context, query: MessageQuery) -> MessageWindow | BaseException:
    page = query.page
    try:
        return MessageWindow(
            first=page.first,
            last=page.last,
            after=_position(context, query.chat, page.after),
            before=_position(context, query.chat, page.before),
            branch=_branch(query),
        )
    except GatewayError as error:
        return error


def _position(context: Context, chat: ChatKey, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    payload = context.gateway.cursors.open("messages", context.organization.id, cursor)
    if payload[:2] != list(chat):
        raise BadCursor("The cursor belongs to another chat. Start again without a cursor.")
    return str(payload[2])


def _branch(query: MessageQuery) -> str | None:
    if query.branch is None:
        return None
    parsed = parse_id_of(query.branch, IdType.MESSAGE)
    if parsed is None or (parsed.short, parsed.parts[0]) != query.chat:
        raise not_found("message of this chat", query.branch, ("branch",))
    return parsed.parts[1]


async def _stored_windows(
    context: Context,
    queries: Sequence[MessageQuery],
    windows: Mapping[MessageQuery, MessageWindow | BaseException],
    targets: Mapping[int, SourceTarget],
) -> dict[MessageQuery, _Cut]:
    """One statement for all chats that ask the store for the same window."""
    groups: dict[MessageWindow, list[MessageQuery]] = {}
    for query in queries:
        window, target = windows[query], targets.get(query.chat[0])
        is_stored = target is not None and target.capabilities.reads_from_store
        if is_stored and isinstance(window, MessageWindow) and window.branch is None:
            groups.setdefault(window, []).append(query)
    found: dict[MessageQuery, _Cut] = {}
    for window, members in groups.items():
        rows = await context.store.messages.windows_many(
            context.organization.id, [query.chat for query in members], window
        )
        for query in members:
            if (row := rows.get(query.chat)) is not None:
                found[query] = _Cut(row.messages, row.has_before, row.has_after, row.total)
    return found


async def _stored_branch(context: Context, at: ChatTarget, window: MessageWindow) -> _Cut | None:
    """Another path than the active one, of what the store knows; None when it knows nothing of the chat."""
    messages = await context.store.messages.tree(context.organization.id, *at.key)
    if not messages:
        return None
    return cut_read(MessagesRead(messages=messages, started_at=context.now(), is_complete=True), window)


async def _asked_window(context: Context, at: ChatTarget, window: MessageWindow) -> tuple[_Cut | None, SourceStatus]:
    status = SourceStatus(source=at.source)
    try:
        read = await read_messages(context, at, window)
    except (UpstreamError, CapabilityMissing) as error:
        copy = await _copied_window(context, at, window)
        chat = await context.store.chats.get(context.organization.id, at.source.id, at.chat_id)
        # Where nothing can be read, what was written is all there is; it may be nothing yet.
        is_all = isinstance(error, CapabilityMissing) and chat is not None
        if copy is None or not (copy.messages or is_all):
            raise
        as_of = chat.as_of if chat is not None else None
        status = status_of_error(at.source, error).served_stale(as_of)
        return copy, status
    if read is None:
        return None, status
    return cut_read(read, window), status.lacking(read.skipped)


async def _copied_window(context: Context, at: ChatTarget, window: MessageWindow) -> _Cut | None:
    await caught_up(context, at.source.id)
    if window.branch is not None:
        return await _stored_branch(context, at, window)
    copies = await context.store.messages.windows_many(context.organization.id, [at.key], window)
    copy = copies.get(at.key)
    return _Cut(copy.messages, copy.has_before, copy.has_after, copy.total) if copy is not None else None


def cut_read(read: MessagesRead, window: MessageWindow) -> _Cut:
    """The window of a reading: as it came, or cut from the whole tree."""
    if not read.is_complete:
        return _Cut(read.messages, read.has_before, read.has_after, read.total)
    messages = by_id(read.messages)
    if window.branch is not None and window.branch not in messages:
        raise BadCursor(
            "`branch` names a message that is not in this chat (any more). Leave it out for the active path."
        )
    path = branch_path(messages, window.branch, read.active_leaf)
    rows, has_before, has_after = cut(path, window)
    return _Cut(rows, has_before, has_after, len(path) if not read.skipped else None)


def _page(context: Context, query: MessageQuery, window: _Cut) -> Page[Message]:
    seal = context.gateway.cursors.seal
    cursors = [
        seal("messages", context.organization.id, [*query.chat, message.native_id]) for message in window.messages
    ]
    return Page(
        rows=window.messages,
        cursors=cursors,
        has_next=window.has_after,
        has_previous=window.has_before,
        total=window.total,
    )


async def load_last_messages(context: Context, keys: Sequence[ChatKey]) -> list[Message | BaseException | None]:
    """The newest message of the active path of each chat, None where there is none."""
    queries = [MessageQuery(key, PageRequest(last=1)) for key in keys]
    lists = await load_messages(context, queries)
    return [
        found if found is None or isinstance(found, BaseException) else next(iter(found.page.rows), None)
        for found in lists
    ]


async def get_message(context: Context, id_text: str) -> Message | None:
    """A message by its id, or None when there is no such message for whoever asks."""
    context.require(Scope.READ)
    parsed = parse_id_of(id_text, IdType.MESSAGE)
    if parsed is None:
        return None
    return await context.batches.load(load_message, (parsed.short, parsed.parts[0], parsed.parts[1]))


async def load_message(context: Context, keys: Sequence[MessageKey]) -> list[Message | BaseException | None]:
    """Messages by key. A deleted one is found too, without content. A source that fails is served from the mirror."""
    await context.event_cursor()
    for source_id in {key[0] for key in keys}:
        await caught_up(context, source_id)
    stored = await context.store.messages.get_many(context.organization.id, keys)
    targets = await open_all(context, [key[:2] for key in keys])
    trees = await _trees(
        context,
        {key[:2] for key in keys if (target := targets.get(key[0])) and not target.capabilities.reads_from_store},
    )
    found: list[Message | BaseException | None] = []
    for key in keys:
        tree = trees.get(key[:2])
        copy = stored.get(key)
        if key[0] not in targets:
            found.append(None)
        elif isinstance(tree, Mapping):
            gone = copy if copy is not None and copy.deleted_at is not None else None
            found.append(tree.get(key[2]) or gone)
        elif isinstance(tree, BaseException):
            found.append(copy or tree)
        else:
            found.append(copy if key[0] in targets and targets[key[0]].capabilities.reads_from_store else None)
    return list(
        await asyncio.gather(*(_or_asked(context, targets, key, one) for key, one in zip(keys, found, strict=True)))
    )


async def _or_asked(
    context: Context, targets: Mapping[int, SourceTarget], key: MessageKey, found: Message | BaseException | None
) -> Message | BaseException | None:
    """What was found, or what a source says that pages messages: a reading of its newest ones does not show the old ones."""
    target = targets.get(key[0])
    if found is not None or target is None or target.capabilities.max_page is None:
        return found
    at = ChatTarget(target.source, target.live, key[1])
    try:
        message = await target.live.get_message(key[1], await native_message_id(context, at, key[2]))
    except GatewayError as error:
        return error
    return (await under_known_ids(context, at, [message]))[0] if message is not None else None


async def load_siblings(context: Context, keys: Sequence[MessageKey]) -> list[list[Message] | BaseException | None]:
    """All answers to the parent of each message, itself included, oldest first; None when it could not be read."""
    return await _relatives(
        context, keys, lambda tree, message: message.parent_id if message.parent_id in tree else None
    )


async def load_children(context: Context, keys: Sequence[MessageKey]) -> list[list[Message] | BaseException | None]:
    """The messages that directly follow each message, oldest first; None when it could not be read."""
    return await _relatives(context, keys, lambda tree, message: message.native_id)


Tree = Mapping[str, Message]


async def load_trees(context: Context, keys: Sequence[ChatKey]) -> list[Tree | BaseException | None]:
    """Every message of each chat by native id; None where there is no such chat."""
    targets = await open_all(context, keys)
    in_store = [key for key in keys if (target := targets.get(key[0])) and target.capabilities.reads_from_store]
    stored = await context.store.messages.trees_many(context.organization.id, in_store) if in_store else {}

    async def one(key: ChatKey) -> Tree | BaseException | None:
        target = targets.get(key[0])
        if target is None:
            return None
        if target.capabilities.reads_from_store:
            return by_id(stored.get(key, []))
        at = ChatTarget(target.source, target.live, key[1])
        try:
            read = await read_messages(context, at, _NEWEST)
        except GatewayError as error:
            return error
        if read is None or read.is_complete:
            return by_id(read.messages) if read is not None else None
        await caught_up(context, key[0])
        known = await context.store.messages.tree(
            context.organization.id, *key
        )  # a part was read: the rest is as it was
        return by_id([*known, *read.messages])

    return list(await asyncio.gather(*(one(key) for key in keys)))


async def _trees(context: Context, chats: set[ChatKey]) -> dict[ChatKey, Tree | BaseException | None]:
    keys = list(chats)
    results = await asyncio.gather(*(context.batches.load(load_trees, key) for key in keys), return_exceptions=True)
    return dict(zip(keys, results, strict=True))


async def _relatives(
    context: Context, keys: Sequence[MessageKey], parent_of: Callable[[Tree, Message], str | None]
) -> list[list[Message] | BaseException | None]:
    trees = await _trees(context, {key[:2] for key in keys})
    found: list[list[Message] | BaseException | None] = []
    for key in keys:
        tree = trees[key[:2]]
        if isinstance(tree, BaseException) or tree is None or key[2] not in tree:
            found.append(None)
            continue
        message = tree[key[2]]
        found.append(children_of(tree).get(parent_of(tree, message), []))
    return found
