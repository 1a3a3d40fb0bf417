"""A source that was disconnected while the gateway's copy of its chats was kept: it answers nothing, so the copy is served, stale, until retention ends."""

from collections.abc import AsyncIterator
from typing import Any, NoReturn, cast

from domain.capabilities import Capabilities, Capability, emulated
from domain.errors import UpstreamUnavailable
from domain.records import Chat, Check, Health, HealthState, Source
from domain.source import ChatSource, SourcePage

_COPY = emulated("From the gateway's copy; the source is disconnected.")
CAPABILITIES = Capabilities(
    support=dict.fromkeys(
        (
            Capability.LIST_CHATS,
            Capability.READ_CHAT,
            Capability.LIST_MESSAGES,
            Capability.READ_MESSAGE,
            Capability.SEARCH,
        ),
        _COPY,
    )
)


def disconnected(source: Source) -> ChatSource:
    """What stands in for the connection that is no more."""
    return cast(ChatSource, _Disconnected(source))


class _Disconnected:
    """Every reading is refused without a call; what writes is unsupported and never asked for."""

    capabilities = CAPABILITIES

    def __init__(self, source: Source) -> None:
        self.source = source

    def health(self) -> Health:
        return Health(state=HealthState.DOWN, message="The source is disconnected; its chats are the gateway's copy.")

    async def aclose(self) -> None:
        return None

    async def check(self) -> list[Check]:
        return [Check("connected", False, "The source is disconnected. Connect it again under a key of its own.")]

    async def account(self) -> None:
        return None

    async def list_agents(self) -> None:
        return None

    async def drain_chats(self, needs: frozenset[str]) -> AsyncIterator[SourcePage[Chat]]:
        self._refuse("list_chats")
        yield  # makes this an iterator

    async def get_chat(self, chat_id: str) -> NoReturn:
        self._refuse("get_chat")

    async def read_messages(self, chat_id: str, window: Any) -> NoReturn:
        self._refuse("read_messages")

    async def get_message(self, chat_id: str, message_id: str) -> NoReturn:
        self._refuse("get_message")

    def _refuse(self, operation: str) -> NoReturn:
        raise UpstreamUnavailable(
            f"{self.source.key} was disconnected and is not asked any more. What is shown is the gateway's copy.",
            source_id=self.source.id,
            operation=operation,
        )
