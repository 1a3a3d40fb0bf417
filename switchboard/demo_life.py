"""Other people in the demo's own store: what `simulators.life` is for the vendors, through the gateway itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from domain.errors import GatewayError
from domain.ids import IdType, chat_id, format_id
from domain.records import MessageRole, Organization, Source
from resolvers.chat_creation import CreateChat, create_chat
from resolvers.chat_writes import delete_chat
from resolvers.context import Context, Gateway, system_context
from resolvers.sending import ReplyMode, SendMessage, send_message
from simulators.control import EmitError
from storage.chats import ChatQuery

_PRINCIPAL = "demo"
"""Who writes, so that nobody else's messages are taken for their own."""
_MOST_CHATS = 100


class LocalRooms:
    """The chats of a local source, written to as any other client of the gateway would."""

    def __init__(self, gateway: Gateway, organization: Organization, source: Source) -> None:
        self._gateway = gateway
        self._organization = organization
        self._source = source

    async def list(self) -> Mapping[str, int]:
        """Those that are not archived, the latest first."""
        query = ChatQuery(
            organization_id=self._organization.id, source_ids=(self._source.id,), limit=_MOST_CHATS, archived=False
        )
        rows = await self._gateway.store.chats.page(query)
        return {row.native_id: row.message_count or 0 for row in rows}

    async def begin(self, title: str) -> str:
        request = CreateChat(source_id=format_id(IdType.SOURCE, self._source.id), title=title)
        with _not_now():
            return (await create_chat(self._context(), request)).value.native_id

    async def end(self, native_id: str) -> None:
        with _not_now():
            await delete_chat(self._context(), chat_id=chat_id(self._source.id, native_id))

    async def say(self, native_id: str, role: str, text: str) -> None:
        request = SendMessage(
            chat_id=chat_id(self._source.id, native_id),
            text=text,
            role=MessageRole(role.upper()),
            reply=ReplyMode.NONE,
        )
        with _not_now():
            await send_message(self._context(), request)

    def _context(self) -> Context:
        """Of one operation."""
        return system_context(self._gateway, self._organization, _PRINCIPAL)


async def local_rooms(gateway: Gateway, slug: str) -> LocalRooms | None:
    """The first local source of an organization; None when it has none."""
    organization = await gateway.store.organizations.by_slug(slug)
    if organization is None:
        return None
    for source in await gateway.sources.of(organization.id):
        live = await gateway.sources.connect(source)
        if live.capabilities.reads_from_store:
            return LocalRooms(gateway, organization, source)
    return None


@contextmanager
def _not_now() -> Iterator[None]:
    """What whoever tries the gateway has done meanwhile, say deleted the chat, is no fault."""
    try:
        yield
    except GatewayError as error:
        raise EmitError(error.message) from error
