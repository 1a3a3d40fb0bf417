"""The interface of everything that has an id."""

import strawberry


@strawberry.interface(
    description=(
        "Anything that has an id of its own and can be read again by it.\n"
        "Ids are opaque, unique over all types and stay the same for as long as the thing exists. Knowing an id gives nobody access."
    )
)
class Node:
    id: strawberry.ID = strawberry.field(
        description="The opaque id, good for `node`, for a cache key and for the `…Id` inputs."
    )
