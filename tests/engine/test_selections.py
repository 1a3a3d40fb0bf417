"""What an operation selects."""

import pytest
from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode, build_schema, parse

from engine.selections import selected_fields, variables_only_in

SCHEMA: GraphQLSchema = build_schema(
    """
    interface Event { cursor: String chat: Chat }
    type Came implements Event { cursor: String chat: Chat mine: String }
    type Went implements Event { cursor: String chat: Chat }
    type Chat { id: ID unread: Int messages(last: Int): [Message] }
    type Message { text: String chat: Chat }
    union Found = Chat | Message
    type Query { a: String }
    type Subscription { events(after: String, kind: String): Event found: Found }
    """
)


def fields(text: str) -> set[str]:
    document = parse(text)
    return {".".join(one) for one in selected_fields(SCHEMA, document, operation_of(document))}


def operation_of(document: DocumentNode) -> OperationDefinitionNode:
    (operation,) = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    return operation


def test_fields_are_named_with_the_type_that_has_them() -> None:
    assert fields("subscription { events { ... on Came { mine chat { unread } } } }") == {
        "Subscription.events",
        "Came.mine",
        "Came.chat",
        "Chat.unread",
    }


def test_field_of_an_interface_counts_for_every_type_behind_it() -> None:
    assert fields("subscription { events { cursor } }") == {"Subscription.events", "Came.cursor", "Went.cursor"}


@pytest.mark.parametrize(
    "text",
    [
        "subscription { found { ... on Message { chat { unread } } } }",
        "subscription { found { ...M } } fragment M on Message { ...N } fragment N on Message { chat { ...C } } fragment C on Chat { unread }",
        "subscription { found { ... on Message { ... { chat { ... @include(if: false) { unread } } } } } }",
        "subscription { events { chat { other: unread } } }",
    ],
)
def test_field_is_found_wherever_it_stands(text: str) -> None:
    assert "Chat.unread" in fields(text)


def test_introspection_is_no_field_of_a_type() -> None:
    assert fields("subscription { found { __typename } }") == {
        "Subscription.found",
        "Chat.__typename",
        "Message.__typename",
    }


def test_fragments_that_are_spread_again_and_again_are_looked_at_once() -> None:
    """25 fragments, each spread twice: without a memory this would take 2^25 steps."""
    fragments = " ".join(
        f"fragment F{n} on Chat {{ ...F{n + 1} messages {{ chat {{ ...F{n + 1} }} }} }}" for n in range(25)
    )
    assert "Chat.unread" in fields(
        f"subscription {{ found {{ ...F0 }} }} {fragments} fragment F25 on Chat {{ unread }}"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("subscription($a: String) { events(after: $a) { cursor } }", {"a"}),
        ("subscription($a: String, $k: String) { events(after: $a, kind: $k) { cursor } }", {"a"}),
        ("subscription($a: String) { events(after: $a, kind: $a) { cursor } }", set()),
        ("subscription($a: String) { events(kind: $a) { cursor } }", set()),
        ('subscription { events(after: "x") { cursor } }', set()),
        ("subscription($a: Boolean!) { events { cursor @include(if: $a) } }", set()),
        (
            "subscription($a: String, $b: Int) { events(after: $a) { chat { messages(last: $b) { text } } } }",
            {"a"},
        ),
    ],
)
def test_variables_that_only_say_where_to_begin(text: str, found: set[str]) -> None:
    document = parse(text)
    assert variables_only_in(document, operation_of(document), "after") == found
