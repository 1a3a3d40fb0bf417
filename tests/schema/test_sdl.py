"""The schema as a document: what is committed is what is served, and it is written for whoever reads it."""

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import graphql
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    Undefined,
)

import schema
from domain.errors import ErrorCode
from schema.root import client_sdl, public_schema

SDL_FILE = Path(schema.__file__).with_name("schema.graphql")
OWN_TYPES = {
    name: type_
    for name, type_ in public_schema.type_map.items()
    if not name.startswith("__") and name not in ("String", "Int", "Float", "Boolean", "ID")
}


def test_the_committed_sdl_is_the_one_that_is_served() -> None:
    """A change of the schema is a decision: it is made in the file, too."""
    committed = SDL_FILE.read_text(encoding="utf-8").removesuffix("\n")
    diff = difflib.unified_diff(
        committed.splitlines(), client_sdl().splitlines(), "schema/schema.graphql", "the schema", lineterm="", n=2
    )
    assert committed == client_sdl(), "Accept with `make schema`:\n" + "\n".join(diff)


def test_the_sdl_builds_a_schema_that_a_client_can_use() -> None:
    assert graphql.validate_schema(graphql.build_schema(client_sdl())) == []


def test_clients_see_nothing_of_federation() -> None:
    assert not [name for name in public_schema.type_map if name.startswith("_") and not name.startswith("__")]
    assert {directive.name for directive in public_schema.directives} == {
        directive.name for directive in graphql.specified_directives
    }


ROOTS = {
    "Query": "node nodes viewer organization organizations vendors source sources chat chats message folder folders search"
    " rateLimit errorCodes",
    "Mutation": "createChat updateChat deleteChat setChatPinned setChatArchived setChatTags moveChat shareChat unshareChat"
    " markChatRead copyChat sendMessage editMessage deleteMessage regenerateMessage stopGeneration createFolder updateFolder"
    " deleteFolder createOrganization updateOrganization addMember updateMember removeMember connectSource updateSource"
    " testSource disconnectSource createApiKey revokeApiKey",
    "Subscription": "messageAdded chatEvents",
}


@pytest.mark.parametrize("root", ROOTS)
def test_the_root_fields_are_those_of_the_contract(root: str) -> None:
    assert set(public_schema.type_map[root].fields) == set(ROOTS[root].split())  # type: ignore[attr-defined]


def _undescribed() -> Iterator[str]:
    for name, type_ in OWN_TYPES.items():
        if not type_.description:
            yield name
        if isinstance(type_, GraphQLEnumType):
            yield from (f"{name}.{value}" for value, one in type_.values.items() if not one.description)
        for field_name, field in getattr(type_, "fields", {}).items():
            if not field.description:
                yield f"{name}.{field_name}"
            for argument_name, argument in getattr(field, "args", {}).items():
                if not argument.description:
                    yield f"{name}.{field_name}({argument_name}:)"


def test_everything_has_a_description() -> None:
    assert list(_undescribed()) == []


def test_sentences_end_with_a_full_stop() -> None:
    ends = (".", ":", "`", ")")
    assert [name for name, type_ in OWN_TYPES.items() if not (type_.description or "").rstrip().endswith(ends)] == []


def test_no_default_is_null() -> None:
    """`= null` tells a client that null is a value with a meaning; here it means "left out"."""
    found = [
        f"{name}.{field_name}"
        for name, type_ in OWN_TYPES.items()
        for field_name, field in getattr(type_, "fields", {}).items()
        for one in [field, *getattr(field, "args", {}).values()]
        if getattr(one, "default_value", Undefined) is None
    ]
    assert found == []
    assert "= null" not in client_sdl()


def test_every_class_of_the_schema_is_in_the_schema() -> None:
    """One that only an interface leads to would be missing without a word, and fail with its first value."""
    expected = set()
    for module in pkgutil.iter_modules(schema.__path__):
        for value in vars(importlib.import_module(f"schema.{module.name}")).values():
            definition = getattr(value, "__strawberry_definition__", None)
            if definition is not None and isinstance(value, type) and value.__module__.startswith("schema."):
                expected.add(definition.name)
    # The parts that roots and connections are put together from have no place of their own.
    expected -= {"Edge", "Connection", *(name for name in expected if name.endswith("Mutations"))}
    assert expected - public_schema.type_map.keys() == set()


@pytest.mark.parametrize("name", ["Node", "Actor", "MessagePart", "UserError", "MutationPayload", "ChatEvent"])
def test_an_interface_has_implementers(name: str) -> None:
    interface = public_schema.type_map[name]
    assert isinstance(interface, GraphQLInterfaceType)
    assert len(public_schema.get_possible_types(interface)) >= 2


def _mutations() -> dict[str, graphql.GraphQLField]:
    assert public_schema.mutation_type is not None
    return dict(public_schema.mutation_type.fields)


@pytest.mark.parametrize("name", _mutations())
def test_a_mutation_takes_one_input_and_answers_with_a_payload(name: str) -> None:
    field = _mutations()[name]
    assert list(field.args) == ["input"]
    assert isinstance(field.args["input"].type, GraphQLNonNull)
    assert isinstance(field.args["input"].type.of_type, GraphQLInputObjectType)
    payload = graphql.get_named_type(field.type)
    assert isinstance(payload, GraphQLObjectType)
    assert payload.name == name[0].upper() + name[1:] + "Payload"
    assert [interface.name for interface in payload.interfaces] == ["MutationPayload"]


@pytest.mark.parametrize("name", _mutations())
def test_what_a_payload_carries_may_be_missing(name: str) -> None:
    """A failure has `userErrors` alone: everything else is null, false or empty."""
    payload = graphql.get_named_type(_mutations()[name].type)
    assert isinstance(payload, GraphQLObjectType)
    for field_name, field in payload.fields.items():
        if isinstance(field.type, GraphQLNonNull):
            is_list = isinstance(field.type.of_type, graphql.GraphQLList)
            assert is_list or graphql.get_named_type(field.type).name == "Boolean", field_name


def test_a_list_that_can_grow_is_a_connection() -> None:
    for name, type_ in OWN_TYPES.items():
        if name.endswith("Connection"):
            assert isinstance(type_, GraphQLObjectType)
            assert {"edges", "nodes", "pageInfo", "totalCount"} <= type_.fields.keys(), name


def test_every_connection_can_be_paged_both_ways() -> None:
    for name, type_ in OWN_TYPES.items():
        for field_name, field in getattr(type_, "fields", {}).items():
            if graphql.get_named_type(field.type).name.endswith("Connection"):
                assert {"first", "after", "last", "before"} <= field.args.keys(), f"{name}.{field_name}"


def test_error_codes_are_those_of_the_error_tree() -> None:
    enum = public_schema.type_map["ErrorCode"]
    assert isinstance(enum, GraphQLEnumType)
    assert list(enum.values) == [code.name for code in ErrorCode]


@pytest.mark.parametrize("name", ["UserError", "MutationPayload", "ChatEvent", "MessagePart", "Actor", "SearchResult"])
def test_fields_of_one_name_agree_under_an_abstract_type(name: str) -> None:
    """Else `... on A { source } ... on B { source }` does not validate, and clients must rename one of them."""
    abstract = public_schema.type_map[name]
    assert isinstance(abstract, GraphQLInterfaceType | GraphQLUnionType)
    seen: dict[str, str] = {}
    for type_ in public_schema.get_possible_types(abstract):
        for field_name, field in type_.fields.items():
            assert seen.setdefault(field_name, str(field.type)) == str(field.type), f"{type_.name}.{field_name}"
