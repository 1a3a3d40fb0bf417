"""What an operation mentions, wherever it stands."""

from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse

from engine.limits import Limits
from engine.mentions import mentioned
from engine.plans import Plan, Plans
from engine.requests import OperationRequest
from tests.engine.toy import a_schema

WATCHED = frozenset({"a", "wait"})


def plan(query: str, **request: Any) -> Plan:
    return Plans(a_schema(), Limits(), watched=WATCHED).get(OperationRequest(query=query, **request))


@pytest.mark.parametrize(
    "query",
    [
        "{ a }",
        "{ other: a }",
        "{ q { q { list(first: 2) { a } } } }",
        "{ ... { ... on Query { a } } }",
        "{ q { ...F } } fragment F on Query { q { ...G } } fragment G on Query { b a }",
        "query ($yes: Boolean = false) { b a @include(if: $yes) }",
        "{ b a @skip(if: true) }",
        "{ b ...F @include(if: false) } fragment F on Query { a }",
        "mutation { a }",
    ],
)
def test_field_is_mentioned_wherever_it_stands(query: str) -> None:
    assert plan(query).mentions == {"a"}


@pytest.mark.parametrize("query", ["{ b }", "{ a: b }", "query a { q { b } }", "{ b @include(if: true) }"])
def test_name_of_something_else_is_no_mention(query: str) -> None:
    assert plan(query).mentions == frozenset()


def test_other_operation_of_the_document_is_not_looked_at() -> None:
    document = "query One { b ...F } query Two { a ...G } fragment F on Query { q { b } } fragment G on Query { b }"
    assert plan(document, operation_name="One").mentions == frozenset()
    assert plan(document, operation_name="Two").mentions == {"a"}


def test_fragments_are_followed_once_each() -> None:
    """Each spreads the one before it twice: followed each time, 2 to the 40th selections would be looked at."""
    fragments = "".join(f" fragment F{n} on Query {{ ...F{n - 1} q {{ ...F{n - 1} }} }}" for n in range(1, 41))
    document = parse("{ ...F40 } fragment F0 on Query { wait }" + fragments)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    assert mentioned(document, operation, WATCHED) == {"wait"}


def test_nothing_is_watched_unless_it_is_said() -> None:
    assert Plans(a_schema(), Limits()).get(OperationRequest(query="{ a }")).mentions == frozenset()
