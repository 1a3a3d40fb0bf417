"""What all mutations share: their payloads' interface, their sentences, and how an expected failure gets into `userErrors`."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import strawberry

from domain.errors import BadCursor, GatewayError
from resolvers.writes import UNSET, Unset
from schema.arguments import Info
from schema.user_error import UserError, user_error_of

T = TypeVar("T")

IDEMPOTENCY_KEY = (
    "Makes it safe to send the same request again: the same key with the same input gives the first result. "
    "Any text that you will not use twice, for example a UUID; kept for 24 hours."
)
REPLAYED = "This is the result of an earlier request with the same `idempotencyKey`; nothing was done this time."
EXPECTED_VERSION = (
    "The `version` that you have seen. When it is no longer the current one, nothing is changed and a `ConflictError` tells "
    "the current one. Where the source has no conditional writes, a change that is made there within the same "
    "round trip can still be overwritten."
)


@strawberry.interface(description="What every mutation answers. One fragment on it shows the errors of them all.")
class MutationPayload:
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What went wrong. Empty when all went well."
    )


P = TypeVar("P", bound=MutationPayload)


def mutation(description: str) -> Callable[[Callable[..., Awaitable[P]]], Any]:
    """A field of `Mutation`. An expected failure becomes a payload with `userErrors` whose other fields are null, false or empty.

    Every payload is made that way by itself: all its fields but `userErrors` have a default. What clients cannot act on
    (authentication, limits, bad cursors, our own faults) rises, and becomes a top-level error.
    """

    def wrap(resolver: Callable[..., Awaitable[P]]) -> Any:
        payload: type[P] = resolver.__annotations__["return"]

        @functools.wraps(resolver)
        async def answer(self: Any, info: Info, input: Any) -> P:
            try:
                return await resolver(self, info, input)
            except GatewayError as error:
                if error.user_code is None or isinstance(error, BadCursor):
                    raise
                return payload(user_errors=[user_error_of(error, error.user_code)])
            finally:
                # What was read before is not true any more, neither for the payload's fields nor for the next mutation.
                info.context.batches.forget()

        return strawberry.mutation(answer, description=description)

    return wrap


def changed(field: strawberry.Maybe[T]) -> T | Unset:
    """A field that may be left out: `UNSET` then, and None only where the client wrote null."""
    return UNSET if field is None else field.value
