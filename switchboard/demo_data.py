"""What the demo's own store holds: an organization, a key, folders, and chats interleaved in time with the simulated vendors'."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.records import Chat, FolderRef, Message, MessageRole, Organization, Role, Scope, Source
from resolvers.api_key_secrets import new_api_key
from resolvers.context import utc_now
from storage.chats import ChatsSeen
from storage.database import Transaction
from storage.messages import MessagesSeen
from storage.store import Store, open_store
from switchboard.settings import Settings

_CHATS = (
    ("Welcome to Switchboard", ("start",), True, (
        ("USER", "What is this?"),
        ("ASSISTANT", "One GraphQL endpoint over chats that live in different places. This one lives in the gateway's own store."),
        ("USER", "And the others?"),
        ("ASSISTANT", "Look at `source { vendor }`: the list beside this chat comes from simulated vendors, in one order."),
    )),
    ("Planning the offsite", ("team", "travel"), False, (
        ("USER", "We need a place for fourteen people in May."),
        ("USER", "Two days, reachable by train, and not too expensive."),
        ("ASSISTANT", "Three candidates fit: the old mill, the lake house, and the seminar hotel at the junction."),
    )),
    ("Release notes 0.1", ("docs",), False, (
        ("USER", "Summarise what changed since the last release."),
        ("ASSISTANT", "The gateway answers over three sources, subscriptions resume by cursor, and folders hold chats of any source."),
    )),
    ("Kitchen rota", ("team",), False, (
        ("USER", "Who is on duty this week?"),
        ("USER", "I think it is the platform people."),
    )),
    ("Latency of the merged list", ("engineering",), True, (
        ("USER", "Why is the first page slower than the second?"),
        ("ASSISTANT", "The first page reads the vendors; the second continues where it stood."),
        ("USER", "And when one of them is down?"),
        ("ASSISTANT", "Its rows come from the copy, marked stale, and `sources` says so."),
    )),
    ("Reading list", (), False, (
        ("USER", "Add the paper on keyset paging."),
        ("USER", "And the chapter on logs."),
    )),
    ("Interview questions", ("hiring",), False, (
        ("USER", "Draft five questions about API design."),
        ("ASSISTANT", "How would you page a list that changes while it is read? What makes a write safe to repeat? …"),
    )),
    ("Old meeting notes", ("archive",), False, (
        ("USER", "Notes of the meeting before last."),
    )),
)  # fmt: skip
_FOLDERS = (("Work", None), ("Engineering", "Work"), ("Private", None))
_FILED = {"Planning the offsite": "Work", "Latency of the merged list": "Engineering", "Reading list": "Private"}


@dataclass(frozen=True, slots=True)
class Demo:
    """A prepared demo."""

    settings: Settings
    api_key: str
    organization: str


async def fill_store(settings: Settings) -> Demo:
    """Make the organization `demo`, a key with all scopes, and some chats."""
    now = utc_now()
    async with open_store(settings.database_url) as store:
        secret = new_api_key()

        async def unit(tx: Transaction) -> None:
            organization = await store.organizations.add(tx, "demo", "Demo", now)
            source = await store.sources.add(
                tx,
                organization_id=organization.id,
                key="local",
                vendor="local",
                display_name="Switchboard",
                created_at=now,
            )
            await store.organizations.add_api_key(
                tx,
                organization.id,
                "Demo",
                secret.prefix,
                secret.digest,
                frozenset(Scope),
                Role.ADMIN,
                None,
                now,
            )
            await _fill(store, tx, organization, source, now)

        await store.database.write(unit)
    return Demo(settings, secret.secret, "demo")


async def _fill(store: Store, tx: Transaction, organization: Organization, source: Source, now: datetime) -> None:
    folders: dict[str, str] = {}
    for name, parent in _FOLDERS:
        native_id = f"folder-{name.lower()}"
        await store.folders.add(
            tx, organization.id, name, parent_id=folders.get(parent or ""), native_id=native_id, at=now
        )
        folders[name] = native_id
    chats = [
        _chat(organization, source, index, now - timedelta(hours=5 + 11 * index, minutes=7 * index))
        for index in range(len(_CHATS))
    ]
    await store.chats.observe(
        tx,
        ChatsSeen(
            organization_id=organization.id,
            source_id=source.id,
            rows=chats,
            started_at=now,
            from_newest=True,
            is_whole=True,
        ),
    )
    for chat, (title, _, _, turns) in zip(chats, _CHATS, strict=True):
        messages = _messages(chat, turns)
        await store.messages.observe(
            tx,
            MessagesSeen(
                organization_id=organization.id,
                source_id=source.id,
                chat_id=chat.native_id,
                messages=messages,
                started_at=now,
                is_whole=True,
                includes_newest=True,
                active_leaf=messages[-1].native_id,
            ),
        )
        if title in _FILED:
            folder = FolderRef(0, folders[_FILED[title]])
            await store.chats.set_overlay(tx, organization.id, source.id, chat.native_id, folder=folder, at=now)


def _chat(organization: Organization, source: Source, index: int, updated_at: datetime) -> Chat:
    title, tags, pinned, turns = _CHATS[index]
    return Chat(
        organization_id=organization.id,
        source_id=source.id,
        native_id=f"demo-{index + 1}",
        title=title,
        tags=tuple(sorted(tags)),
        pinned=pinned,
        archived=title.startswith("Old"),
        created_at=updated_at - timedelta(minutes=3 * len(turns)),
        updated_at=updated_at,
        last_message_at=updated_at,
        message_count=len(turns),
    )


def _messages(chat: Chat, turns: tuple[tuple[str, str], ...]) -> list[Message]:
    assert chat.created_at is not None  # `_chat` sets it
    messages: list[Message] = []
    for index, (role, text) in enumerate(turns):
        messages.append(
            Message(
                organization_id=chat.organization_id,
                source_id=chat.source_id,
                chat_id=chat.native_id,
                native_id=f"{chat.native_id}-{index + 1}",
                role=MessageRole(role),
                text=text,
                parent_id=messages[-1].native_id if messages else None,
                created_at=chat.created_at + timedelta(minutes=3 * (index + 1)),
            )
        )
    return messages
