"""Every mutation: refused before anything is done, and with the failure where clients look for it."""

from typing import Any

import graphql
import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLList, GraphQLNonNull, GraphQLObjectType

from domain.errors import BadCursor, Forbidden, GatewayError, Unauthenticated
from schema.errors import format_error
from schema.root import public_schema
from tests.builders import a_source
from tests.schema.contexts import a_refusing_context, run
from tests.schema.failures import EXPECTED, UNEXPECTED, name_of

pytestmark = pytest.mark.anyio

assert public_schema.mutation_type is not None
FIELDS = public_schema.mutation_type.fields
SCALARS: dict[str, Any] = {
    "ID": "abc",
    "String": "abc",
    "Boolean": True,
    "Int": 1,
    "JSON": {},
    "URL": "https://example.com",
    "DateTime": "2026-11-20T12:00:00Z",
}


def value_of(type_: Any) -> Any:
    """The least that an input type accepts."""
    if isinstance(type_, GraphQLNonNull):
        return value_of(type_.of_type)
    if isinstance(type_, GraphQLList):
        return [value_of(type_.of_type)]
    if isinstance(type_, GraphQLEnumType):
        return next(iter(type_.values))
    if isinstance(type_, GraphQLInputObjectType):
        return {
            name: value_of(field.type)
            for name, field in type_.fields.items()
            if isinstance(field.type, GraphQLNonNull) and graphql.is_required_input_field(field)
        }
    return SCALARS[type_.name]


def document_of(name: str) -> str:
    """Asks a mutation for everything that its payload has, one level deep."""
    field = FIELDS[name]
    payload = graphql.get_named_type(field.type)
    assert isinstance(payload, GraphQLObjectType)
    shown = [
        field_name if graphql.is_leaf_type(graphql.get_named_type(one.type)) else f"{field_name} {{ __typename }}"
        for field_name, one in payload.fields.items()
        if field_name != "userErrors"
    ]
    failure = "userErrors { __typename code message path ... on UpstreamError { source { key } } }"
    return f"mutation($input: {field.args['input'].type}) {{ {name}(input: $input) {{ {' '.join(shown)} {failure} }} }}"


@pytest.mark.parametrize("name", FIELDS)
async def test_a_refused_mutation_answers_with_user_errors_alone(name: str) -> None:
    """The rights are asked before anything else: this context has nothing to do anything with."""
    error = Forbidden("This is for admins.", required_role="ADMIN")
    result = await run(
        a_refusing_context(error), document_of(name), {"input": value_of(FIELDS[name].args["input"].type)}
    )
    assert result.errors is None
    assert result.data is not None
    payload = dict(result.data[name])
    assert payload.pop("userErrors") == [
        {"__typename": "PermissionError", "code": "FORBIDDEN", "message": "This is for admins.", "path": None}
    ]
    assert all(value in (None, False, []) for value in payload.values())


@pytest.mark.parametrize("error", EXPECTED, ids=name_of)
async def test_an_expected_failure_is_in_the_payload(error: GatewayError) -> None:
    context = a_refusing_context(error, a_source())
    result = await run(context, document_of("deleteChat"), {"input": {"chatId": "abc"}})
    assert result.errors is None
    assert result.data is not None
    (told,) = result.data["deleteChat"]["userErrors"]
    assert error.user_code is not None
    assert (told["code"], told["message"]) == (error.user_code.value, error.message)
    if told["__typename"] == "UpstreamError":
        assert told["source"] == {"key": "here"}


@pytest.mark.parametrize("error", UNEXPECTED, ids=name_of)
async def test_what_a_client_cannot_act_on_is_a_top_level_error(error: GatewayError) -> None:
    context = a_refusing_context(error)
    result = await run(context, document_of("deleteChat"), {"input": {"chatId": "abc"}})
    assert result.data is None
    assert result.errors is not None
    (entry,) = [format_error(one, context) for one in result.errors]
    assert entry["extensions"]["code"] == error.code.value
    assert entry["path"] == ["deleteChat"]


def test_bad_cursors_and_authentication_are_top_level() -> None:
    assert {Unauthenticated, BadCursor} <= {type(error) for error in UNEXPECTED}


async def test_one_mutation_that_fails_does_not_stop_the_next() -> None:
    context = a_refusing_context(Forbidden("No.", required_scope="WRITE"))
    document = """mutation {
      one: shareChat(input: {chatId: "a"}) { userErrors { code ... on PermissionError { requiredScope } } }
      two: shareChat(input: {chatId: "b"}) { userErrors { code } }
    }"""
    result = await run(context, document)
    assert result.data == {
        "one": {"userErrors": [{"code": "FORBIDDEN", "requiredScope": "WRITE"}]},
        "two": {"userErrors": [{"code": "FORBIDDEN"}]},
    }


async def test_a_credential_given_twice_is_refused_with_its_place() -> None:
    context = a_refusing_context(Forbidden("Never reached.", required_scope="ADMIN"))
    document = """mutation {
      connectSource(input: {key: "k", vendor: "v", credentials: [{name: "a", value: "1"}, {name: "a", value: "2"}]}) {
        userErrors { code path message }
      }
    }"""
    result = await run(context, document)
    assert result.data is not None
    (told,) = result.data["connectSource"]["userErrors"]
    assert told["path"] == ["input", "credentials", "1", "name"]
    assert "1" not in told["message"].replace("`a`", "")


async def test_a_folder_cannot_lose_its_name() -> None:
    context = a_refusing_context(Forbidden("Never reached.", required_scope="WRITE"))
    result = await run(
        context, 'mutation { updateFolder(input: {folderId: "f", name: null}) { userErrors { code path } } }'
    )
    assert result.data == {"updateFolder": {"userErrors": [{"code": "INVALID_ARGUMENT", "path": ["input", "name"]}]}}
