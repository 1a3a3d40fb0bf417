"""Which events to hear of."""

import strawberry

from resolvers import wanted
from schema.arguments import listed
from schema.enums import ChatEventKind, MessageRole


@strawberry.input(
    description=(
        "Which new messages to hear of. Conditions that are left out do not matter; all that are given must hold."
    )
)
class MessageEventFilter:
    source_ids: list[strawberry.ID] | None = strawberry.field(default=None, description="Only from these sources.")
    folder_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Only in chats directly inside one of these folders."
    )
    roles: list[MessageRole] | None = strawberry.field(default=None, description="Only messages of these roles.")

    def of_resolvers(self) -> wanted.MessageEventFilter:
        """As resolvers take it."""
        return wanted.MessageEventFilter(
            source_ids=listed(self.source_ids), folder_ids=listed(self.folder_ids), roles=listed(self.roles)
        )


@strawberry.input(
    description=(
        "Which events to hear of. Conditions that are left out do not matter; all that are given must "
        "hold. `StreamGap` and `CaughtUp` always come."
    )
)
class ChatEventFilter:
    source_ids: list[strawberry.ID] | None = strawberry.field(default=None, description="Only from these sources.")
    folder_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Only in chats directly inside one of these folders."
    )
    kinds: list[ChatEventKind] | None = strawberry.field(default=None, description="Only events of these kinds.")

    def of_resolvers(self) -> wanted.ChatEventFilter:
        """As resolvers take it."""
        return wanted.ChatEventFilter(
            source_ids=listed(self.source_ids), folder_ids=listed(self.folder_ids), kinds=listed(self.kinds)
        )
