"""What the rest of the gateway can ask of the feeds. They themselves stand in `resolvers.watching`.

A vendor is watched only while somebody subscribes: whoever does says so with `interest`. `Unwatched` takes their place where nothing is
watched, for example in a command that ends by itself.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from domain.records import Health
from resolvers.statuses import SourceStatus

if TYPE_CHECKING:  # a context names the gateway, and the gateway its feeds
    from resolvers.context import Context
    from resolvers.targets import ChatTarget, SourceTarget


class Watching(Protocol):
    """The feeds of this process."""

    def interest(
        self, context: "Context", targets: "Sequence[SourceTarget]", *, is_everything: bool = False
    ) -> AbstractAsyncContextManager[None, bool | None]:
        """One subscriber: inside the block the targets, chats or whole sources, are watched; with `is_everything` also what is connected later.

        Raises `LimitExceeded` when they are too many.
        """
        ...

    async def read_once(self, context: "Context", targets: "Sequence[SourceTarget]") -> list[SourceStatus]:
        """Read each target once, beginning after this call; the sources that could not be read in time."""
        ...

    async def mend(self, context: "Context", target: "ChatTarget") -> None:
        """Close the hole in what is known of a chat, soon and without anybody waiting for it."""
        ...

    def knock(self, source_id: int, chat_id: str | None) -> bool:
        """Somebody says that something happened in a chat, or (None) somewhere at a source. Whether it is watched here, and so read again."""
        ...

    def wrote(self, key: object) -> None:
        """A write of ours to the chat (organization id, source id, chat) has ended."""
        ...

    def health_of(self, source_id: int, health: Health) -> Health:
        """The health of a source, with what watching it has shown."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Vendor to how many feeds run: chats and sources that somebody subscribes to."""
        ...

    async def aclose(self) -> None:
        """End all of them."""
        ...


class Unwatched:
    """Nobody watches."""

    def interest(
        self, context: "Context", targets: "Sequence[SourceTarget]", *, is_everything: bool = False
    ) -> AbstractAsyncContextManager[None, bool | None]:
        """Nothing is watched."""
        return nullcontext()

    async def read_once(self, context: "Context", targets: "Sequence[SourceTarget]") -> list[SourceStatus]:
        """Nothing is read."""
        return []

    async def mend(self, context: "Context", target: "ChatTarget") -> None:
        """The next reading has to."""

    def knock(self, source_id: int, chat_id: str | None) -> bool:
        """Nobody listens."""
        return False

    def wrote(self, key: object) -> None:
        """Nobody listens."""

    def health_of(self, source_id: int, health: Health) -> Health:
        """As it is."""
        return health

    def counts(self) -> Mapping[str, int]:
        """None."""
        return {}

    async def aclose(self) -> None:
        """There is nothing to end."""
