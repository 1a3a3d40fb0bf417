"""The subgraph: the clients' schema with `@key` on nodes, `_service` and `_entities`, for composers of Apollo Federation 2.

Clients never see any of it: directives of federation in a client's SDL stop code generators, and `_Any` stops strict ones.
https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec, read 2026-11-20
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import graphql
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
)

from resolvers import nodes
from resolvers.context import Context
from schema.anything import node_of

FEDERATION_VERSION = "2.9"  # the newest one that every composer in use takes
_LINK = (
    "extend schema\n"
    f'  @link(url: "https://specs.apollo.dev/federation/v{FEDERATION_VERSION}", import: ["@key", "@shareable"])\n'
)


def entity_names(schema: GraphQLSchema) -> list[str]:
    """Every type with an id of its own."""
    node = schema.get_type("Node")
    assert isinstance(node, graphql.GraphQLInterfaceType)
    return sorted(type_.name for type_ in schema.get_possible_types(node))


def subgraph_sdl_of(schema: GraphQLSchema) -> str:
    """The clients' SDL with what a composer needs to know."""
    entities = set(entity_names(schema))
    lines = []
    for line in graphql.print_schema(graphql.lexicographic_sort_schema(schema)).splitlines():
        words = line.split()
        # A definition stands at the beginning of a line; in descriptions nothing does that ends with a brace.
        if words[:1] == ["type"] and line.endswith("{") and not line.startswith(" "):
            if words[1] in entities:
                line = line.removesuffix("{") + '@key(fields: "id") {'
            elif words[1] == "PageInfo":
                # Every Relay subgraph has the same one.
                line = line.removesuffix("{") + "@shareable {"
        lines.append(line)
    return _LINK + "\n" + "\n".join(lines)


def federated(schema: GraphQLSchema) -> GraphQLSchema:
    """The executable schema that answers a router's `_service` and `_entities`, and everything else as the clients' does."""
    query = schema.query_type
    assert query is not None
    kwargs = schema.to_kwargs()
    kwargs["types"] = tuple(type_ for type_ in kwargs["types"] or () if type_ is not query)
    kwargs["query"] = GraphQLObjectType(
        query.name,
        {**query.fields, "_service": _service(subgraph_sdl_of(schema)), "_entities": _entities(schema)},
        description=query.description,
        extensions=query.extensions,
    )
    return GraphQLSchema(**kwargs)


def _service(sdl: str) -> GraphQLField:
    service = GraphQLObjectType(
        "_Service", {"sdl": GraphQLField(GraphQLNonNull(GraphQLString), resolve=lambda *_: sdl)}
    )
    return GraphQLField(GraphQLNonNull(service), resolve=lambda *_: {})


def _entities(schema: GraphQLSchema) -> GraphQLField:
    names = entity_names(schema)
    union = GraphQLUnionType("_Entity", [schema.type_map[name] for name in names], resolve_type=_type_name)  # type: ignore[misc]  # nodes are objects
    representation = GraphQLScalarType("_Any", parse_value=_representation)

    async def resolve(_source: Any, info: graphql.GraphQLResolveInfo[Context], representations: list[Any]) -> list[Any]:
        """In the order of the representations; null for what is not there, an error for that index alone where one occurs."""
        return list(
            await asyncio.gather(
                *(_entity(info.context, set(names), one) for one in representations), return_exceptions=True
            )
        )

    return GraphQLField(
        GraphQLNonNull(GraphQLList(union)),
        args={"representations": GraphQLArgument(GraphQLNonNull(GraphQLList(GraphQLNonNull(representation))))},
        resolve=resolve,
    )


def _representation(value: Any) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get("__typename"), str):
        raise graphql.GraphQLError("A representation is an object with `__typename` and the fields of a key.")
    return value


async def _entity(context: Context, known: set[str], representation: Mapping[str, Any]) -> Any:
    type_name, id_ = representation["__typename"], representation.get("id")
    if type_name not in known or not isinstance(id_, str):
        return None
    found = node_of(await nodes.node(context, id_))
    # A router that asks for a chat by the id of a folder asks for something that is not there.
    return found if found is not None and _type_name(found) == type_name else None


def _type_name(value: Any, *_: Any) -> str:
    """Classes of nodes are named like their GraphQL types."""
    return type(value).__name__
