"""The fields by which a query can be given a position of the log."""

from graphql import build_schema

from schema.positions import POSITION_FIELDS, position_fields
from schema.root import federation_schema, public_schema


def test_field_is_found_behind_lists_interfaces_and_unions() -> None:
    schema = build_schema(
        """
        scalar EventCursor
        type Query { plain: String named: EventCursor nodes: [Node!]! either: Either }
        interface Node { id: ID }
        type Chat implements Node { id: ID inChat: EventCursor! }
        union Either = A | B
        type A { text: String }
        type B { inB: [EventCursor!]! again: Query }
        type Subscription { events: Event }
        type Event { cursor: EventCursor! }
        """
    )
    assert position_fields(schema) == {"named", "inChat", "inB"}


def test_every_field_that_gives_a_query_a_position_is_watched() -> None:
    """`cursor` of an event is not among them: so would be the cursors of all rows, and every page would wait."""
    assert {"eventCursor"} == POSITION_FIELDS
    assert position_fields(federation_schema) == position_fields(public_schema)
