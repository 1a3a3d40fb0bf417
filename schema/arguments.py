"""What the arguments of many fields share: their sentences, and the way from them to what resolvers take."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import strawberry
from strawberry.types.info import Info as StrawberryInfo

from resolvers.context import Context

Info = StrawberryInfo[Context, Any]
"""What a field knows of its operation: `info.context` above all."""

T = TypeVar("T")

First = Annotated[int | None, strawberry.argument(description="Return at most this many from the start, 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="Only what comes after this cursor.")]
Last = Annotated[int | None, strawberry.argument(description="Return at most this many from the end, 1 to 100.")]
Before = Annotated[str | None, strawberry.argument(description="Only what comes before this cursor.")]
WithinMs = Annotated[
    int | None,
    strawberry.argument(description="How long to wait for slow sources, in milliseconds, at most 30000."),
]
Id = Annotated[strawberry.ID, strawberry.argument(description="The id.")]
Input = Annotated[T, strawberry.argument(description="What to do.")]

DEFAULT_WITHIN_MS = 2000


def within(milliseconds: int | None) -> int:
    """A deadline that a client may have set to null."""
    return DEFAULT_WITHIN_MS if milliseconds is None else milliseconds


def listed(values: Sequence[T] | None) -> tuple[T, ...] | None:
    """A list of an input as resolvers take it: not to be changed."""
    return None if values is None else tuple(values)
