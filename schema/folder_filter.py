"""Which folders to list."""

from typing import Annotated

import strawberry

from resolvers import folders
from schema.arguments import listed


@strawberry.input(
    description=("Which folders to list. Conditions that are left out do not matter; all that are given must hold.")
)
class FolderFilter:
    source_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Only folders of these sources."
    )
    parent_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only folders directly inside this one."
    )
    top_level: bool | None = strawberry.field(default=None, description="Only folders that are inside no other.")
    text: str | None = strawberry.field(
        default=None, description="Only folders whose name contains this text, upper and lower case alike."
    )

    def of_resolvers(self) -> folders.FolderFilter:
        """As resolvers take it."""
        return folders.FolderFilter(
            source_ids=listed(self.source_ids),
            parent_id=self.parent_id,
            top_level=self.top_level,
            text=self.text,
        )


FilterOfFolders = Annotated[FolderFilter | None, strawberry.argument(description="Which folders.")]
