"""What a router of a federation asks for."""

from typing import Any

import graphql
import pytest
from graphql import ExecutionResult
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.ids import IdType, chat_id, format_id, message_id
from schema.errors import format_error
from schema.federation import entity_names
from schema.root import client_sdl, federation_schema, public_schema, subgraph_sdl
from tests.builders import a_chat, a_message, a_source
from tests.schema.contexts import a_context, run
from tests.tier import count

pytestmark = pytest.mark.anyio

ENTITIES = """query($representations: [_Any!]!) {
  _entities(representations: $representations) { __typename ... on Node { id } ... on Chat { title } }
}"""
SOURCE = format_id(IdType.SOURCE, 1)


async def _ask(representations: Any, context: Any = None, document: str = ENTITIES) -> ExecutionResult:
    known = context or a_context(a_source(), chats=[a_chat()], messages=[a_message()])
    return await graphql.graphql(
        federation_schema, document, context_value=known, variable_values={"representations": representations}
    )


async def test_the_subgraphs_sdl_is_served() -> None:
    result = await graphql.graphql(federation_schema, "{ _service { sdl } }", context_value=a_context())
    assert result.data is not None
    served = graphql.parse(result.data["_service"]["sdl"])
    assert "https://specs.apollo.dev/federation/v2.9" in graphql.print_ast(served.definitions[0])
    assert served.to_dict() == graphql.parse(subgraph_sdl()).to_dict()


def test_every_node_has_its_key_and_nothing_else_has() -> None:
    with_key = {
        definition.name.value
        for definition in graphql.parse(subgraph_sdl()).definitions
        if isinstance(definition, graphql.ObjectTypeDefinitionNode)
        and any(graphql.print_ast(directive) == '@key(fields: "id")' for directive in definition.directives or ())
    }
    assert with_key == set(entity_names(public_schema))
    assert {"Chat", "Message", "Folder", "Organization", "Source"} <= with_key


def test_the_subgraph_differs_from_what_clients_see_by_directives_alone() -> None:
    plain = subgraph_sdl().split("\n\n", 1)[1]
    plain = plain.replace(' @key(fields: "id") {', " {").replace(" @shareable {", " {")
    assert plain == client_sdl()


async def test_entities_come_in_the_order_of_the_representations() -> None:
    asked = [
        {"__typename": "Message", "id": message_id(1, "c1", "m1")},
        {"__typename": "Source", "id": SOURCE},
        {"__typename": "Chat", "id": chat_id(1, "c1")},
    ]
    result = await _ask(asked)
    assert result.errors is None
    assert result.data is not None
    assert [one["__typename"] for one in result.data["_entities"]] == ["Message", "Source", "Chat"]
    assert [one["id"] for one in result.data["_entities"]] == [one["id"] for one in asked]


async def test_an_entity_can_be_asked_for_its_fields() -> None:
    result = await _ask([{"__typename": "Chat", "id": chat_id(1, "c1")}])
    assert result.data == {"_entities": [{"__typename": "Chat", "id": chat_id(1, "c1"), "title": "A chat"}]}


@pytest.mark.parametrize(
    "representation",
    [
        {"__typename": "Chat", "id": SOURCE},
        {"__typename": "Node", "id": SOURCE},
        {"__typename": "Query"},
        {"__typename": "PageInfo", "id": SOURCE},
        {"__typename": "Chat"},
        {"__typename": "Chat", "id": None},
        {"__typename": "Chat", "id": 5},
        {"__typename": "Chat", "id": {"id": SOURCE}},
        {"__typename": "Chat", "nativeId": "c1"},
        {"__typename": "", "id": SOURCE},
    ],
)
async def test_what_is_not_there_is_null_and_costs_its_place_alone(representation: dict[str, Any]) -> None:
    result = await _ask([representation, {"__typename": "Source", "id": SOURCE}])
    assert result.errors is None
    assert result.data == {"_entities": [None, {"__typename": "Source", "id": SOURCE}]}


@pytest.mark.parametrize("representation", [{}, {"id": SOURCE}, {"__typename": None}, {"__typename": 5}, "Chat", 1, []])
async def test_what_is_no_representation_is_refused(representation: Any) -> None:
    result = await _ask([representation])
    assert result.errors is not None
    assert {format_error(error, None)["extensions"]["code"] for error in result.errors} == {"GRAPHQL_VALIDATION_FAILED"}


async def test_an_error_below_an_entity_is_masked() -> None:
    """This context has no store, so reading a member fails with a Python error of ours."""
    context = a_context()
    result = await _ask([{"__typename": "Member", "id": format_id(IdType.MEMBER, 3)}], context)
    assert result.data == {"_entities": [None]}
    assert result.errors is not None
    (entry,) = [format_error(error, context) for error in result.errors]
    assert entry["extensions"]["code"] == "INTERNAL"
    assert "store" not in entry["message"]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*entity_names(public_schema), "Query", "Node", "__Schema", "_Any"]) | st.text()
REPRESENTATIONS = (
    st.fixed_dictionaries({}, optional={"__typename": NAMES | JUNK, "id": JUNK | st.text(), "x": JUNK}) | JUNK
)


@settings(
    max_examples=count(long=2000, least=60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(REPRESENTATIONS, max_size=4))
async def test_no_representation_brings_it_down(representations: list[Any]) -> None:
    result = await _ask(representations)
    for error in result.errors or ():
        assert format_error(error, None)["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_clients_cannot_ask_for_entities() -> None:
    result = await run(a_context(), "{ _service { sdl } }")
    assert result.errors is not None
    assert "Cannot query field '_service'" in result.errors[0].message
