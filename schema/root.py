"""The finished schema: what clients see, and what a federation composes."""

import graphql
import strawberry
from graphql import GraphQLSchema, Undefined, is_input_object_type, is_interface_type, is_object_type
from strawberry.schema.config import StrawberryConfig

from schema import (
    actor,
    events,
    part,
    user_error,
)
from schema.federation import federated, subgraph_sdl_of
from schema.mutation import Mutation
from schema.query import Query
from schema.scalars import SCALARS
from schema.subscription import RESOLVERS, Subscription

ONLY_BEHIND_INTERFACES = (
    actor.Agent,
    actor.Person,
    part.TextPart,
    part.ReasoningPart,
    part.ToolCallPart,
    part.CitationPart,
    part.AttachmentPart,
    part.OtherPart,
    events.MessageCreated,
    events.MessageUpdated,
    events.MessageDeleted,
    events.MessageDelta,
    events.ChatCreated,
    events.ChatUpdated,
    events.ChatDeleted,
    events.FolderChanged,
    events.ReadStateChanged,
    events.SourceHealthChanged,
    events.StreamGap,
    events.CaughtUp,
    user_error.ValidationError,
    user_error.NotFoundError,
    user_error.MissingPermission,
    user_error.CapabilityError,
    user_error.ConflictError,
    user_error.IdempotencyConflictError,
    user_error.OutcomeUnknownError,
    user_error.UpstreamError,
)
"""A type that only an interface leads to is silently absent unless it is named, and fails with its first value."""


def build() -> GraphQLSchema:
    """The clients' schema."""
    schema = strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=ONLY_BEHIND_INTERFACES,
        config=StrawberryConfig(scalar_map=SCALARS),
    )._schema
    _forget_null_defaults(schema)
    for name, resolve in RESOLVERS.items():
        assert schema.subscription_type is not None
        schema.subscription_type.fields[name].resolve = resolve
    return schema


def _forget_null_defaults(schema: GraphQLSchema) -> None:
    """Python's `= None` means "may be left out". Strawberry publishes it as the value `= null`, which means something else to a client."""
    for type_ in schema.type_map.values():
        if is_object_type(type_) or is_interface_type(type_):
            inputs = [argument for field in type_.fields.values() for argument in field.args.values()]
        elif is_input_object_type(type_):
            inputs = list(type_.fields.values())
        else:
            continue
        for one in inputs:
            if one.default_value is None:
                one.default_value = Undefined


public_schema = build()
federation_schema = federated(public_schema)


def client_sdl() -> str:
    """What clients generate code from; committed as `schema/schema.graphql`."""
    return graphql.print_schema(graphql.lexicographic_sort_schema(public_schema))


def subgraph_sdl() -> str:
    """What a composer reads."""
    return subgraph_sdl_of(public_schema)
