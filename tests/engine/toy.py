"""A small schema and a formatter for the tests of the engine."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLError,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
)

from engine.execution import Engine
from engine.requests import OperationRequest, Response

ANYTHING = GraphQLScalarType("Anything")


async def _wait(_: Any, info: Any) -> str:
    return str(await info.context["wait"]())


def _fail(*_: Any) -> str:
    raise RuntimeError("the database password is 1234")


def _query() -> GraphQLObjectType:
    query: GraphQLObjectType = GraphQLObjectType(
        "Query",
        lambda: {
            "a": GraphQLField(GraphQLString, resolve=lambda *_: "a"),
            "b": GraphQLField(GraphQLString, args={"x": GraphQLArgument(GraphQLInt)}, resolve=lambda *_, x=0: str(x)),
            "q": GraphQLField(query, args={"x": GraphQLArgument(GraphQLInt)}, resolve=lambda *_, **__: {}),
            "list": GraphQLField(
                GraphQLList(query),
                args={"first": GraphQLArgument(GraphQLInt), "last": GraphQLArgument(GraphQLInt)},
                resolve=lambda *_, first=1, **__: [{}] * min(first, 200),
            ),
            "nodes": GraphQLField(
                GraphQLList(query),
                args={"ids": GraphQLArgument(GraphQLList(GraphQLNonNull(GraphQLID)))},
                resolve=lambda *_, ids=(): [{}] * len(ids),
            ),
            "fail": GraphQLField(GraphQLString, resolve=_fail),
            "must": GraphQLField(GraphQLNonNull(GraphQLString), resolve=_fail),
            "wait": GraphQLField(GraphQLString, resolve=_wait),
            "context": GraphQLField(GraphQLString, resolve=lambda _, info: info.context["name"]),
            "anything": GraphQLField(ANYTHING, resolve=lambda _, info: info.context["anything"]),
        },
    )
    return query


def _subscription() -> GraphQLObjectType:
    async def stream(_: Any, info: Any, **__: Any) -> AsyncIterator[Any]:
        async with aclosing(info.context["events"]()) as source:
            async for event in source:
                yield event

    def not_started(*_: Any, **__: Any) -> Any:
        raise GraphQLError("not for you", extensions={"code": "FORBIDDEN"})

    return GraphQLObjectType(
        "Subscription",
        {
            "events": GraphQLField(
                GraphQLString,
                args={"x": GraphQLArgument(GraphQLInt)},
                subscribe=stream,
                resolve=lambda event, *_, **__: _told(event),
            ),
            "refused": GraphQLField(GraphQLString, subscribe=not_started),
        },
    )


def _told(event: Any) -> Any:
    if event == "broken":
        raise RuntimeError("the database password is 1234")
    return event


def a_schema() -> GraphQLSchema:
    query = _query()
    mutation = GraphQLObjectType("Mutation", {"a": GraphQLField(GraphQLString, resolve=lambda *_: "changed")})
    return GraphQLSchema(query, mutation, _subscription())


def a_federation_schema() -> GraphQLSchema:
    service = GraphQLObjectType("_Service", {"sdl": GraphQLField(GraphQLString, resolve=lambda *_: "type Query")})
    return GraphQLSchema(
        GraphQLObjectType(
            "Query",
            {
                "_service": GraphQLField(service, resolve=lambda *_: {}),
                "a": GraphQLField(GraphQLString, resolve=lambda *_: "federated"),
            },
        )
    )


def format_error(error: GraphQLError, context: Any) -> dict[str, Any]:
    """Masks what resolvers raise by accident."""
    masked = error.original_error is not None and not isinstance(error.original_error, GraphQLError)
    formatted: dict[str, Any] = {"message": "masked" if masked else error.message}
    if error.path:
        formatted["path"] = error.path
    if error.locations:
        formatted["locations"] = [location.formatted for location in error.locations]
    return {**formatted, "extensions": {"code": "INTERNAL", **(error.extensions or {})}}


def an_engine(**options: Any) -> Engine:
    return Engine(a_schema(), format_error=format_error, **options)


async def ask(engine: Engine, query: str, context: Any = None, **parts: Any) -> dict[str, Any]:
    """The body of the response."""
    response = await engine.execute(OperationRequest(query=query, **parts), context)
    assert isinstance(response, Response)
    return response.body


def code_of(body: dict[str, Any]) -> Any:
    """The code of the only error of a response without data."""
    assert "data" not in body
    (error,) = body["errors"]
    return error["extensions"]["code"]
