"""What a client reads in `errors`."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import GraphQLError, GraphQLSchema, build_schema, graphql_sync

from domain.errors import ErrorCode, GatewayError
from schema.errors import INTERNAL_MESSAGE, format_error
from tests.schema.failures import ALL, leaves, name_of

CONTEXT = SimpleNamespace(request_id="req-1")


def _formatted(cause: Exception) -> dict[str, Any]:
    return format_error(GraphQLError("raised below", path=["chats", 0, "title"], original_error=cause), CONTEXT)


def test_the_list_of_failures_leaves_none_out() -> None:
    assert {type(error) for error in ALL} == leaves()


@pytest.mark.parametrize("error", ALL, ids=name_of)
def test_a_foreseen_error_keeps_its_sentence_its_code_and_its_place(error: GatewayError) -> None:
    formatted = _formatted(error)
    assert formatted["message"] == error.message
    assert formatted["path"] == ["chats", 0, "title"]
    assert formatted["extensions"]["code"] == error.code.value
    assert formatted["extensions"]["requestId"] == "req-1"


EXTRAS: dict[str, dict[str, Any]] = {
    "InvalidArgument": {"argument": ["title"]},
    "NotFound": {"missingId": "abc", "argument": ["chatId"]},
    "Unauthenticated": {},
    "OrganizationRequired": {"organizations": ["acme", "umbrella"]},
    "Forbidden": {"requiredRole": "ADMIN"},
    "BadCursor": {},
    "LimitExceeded": {"limit": 12, "figure": 13},
    "BudgetExceeded": {"budget": 200, "planned": 400},
    "StreamGapFound": {"from": "a", "to": "b", "resumeFrom": "b"},
    "UpstreamTimeout": {"retryable": True, "reason": "UPSTREAM_TIMEOUT"},
    "CircuitOpen": {"retryable": True, "retryAfterMs": 1, "reason": "UPSTREAM_UNAVAILABLE"},
    "UpstreamUnauthorized": {"retryable": False, "reason": "UPSTREAM_UNAUTHORIZED"},
    "UpstreamRateLimited": {"retryable": True, "retryAfterMs": 30_000, "reason": "UPSTREAM_RATE_LIMITED"},
    "UnexpectedAnswer": {"retryable": False, "reason": "UPSTREAM_CHANGED"},
}


@pytest.mark.parametrize("error", [error for error in ALL if name_of(error) in EXTRAS], ids=name_of)
def test_extensions_carry_what_a_client_can_use(error: GatewayError) -> None:
    extensions = dict(_formatted(error)["extensions"])
    del extensions["code"], extensions["requestId"]
    assert extensions == EXTRAS[name_of(error)]


def test_an_unforeseen_error_is_masked_and_logged_in_full(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        formatted = _formatted(KeyError("the password is hunter2"))
    assert formatted["message"] == INTERNAL_MESSAGE
    assert formatted["extensions"] == {"code": "INTERNAL", "requestId": "req-1"}
    assert "hunter2" not in str(formatted)
    assert "hunter2" in caplog.text
    assert caplog.records[0].__dict__["request_id"] == "req-1"


def test_an_error_before_there_is_a_context_has_no_request_id() -> None:
    assert "requestId" not in format_error(GraphQLError("Syntax Error"), None)["extensions"]


def test_a_code_that_the_engine_gave_is_kept() -> None:
    error = GraphQLError("Syntax Error", extensions={"code": ErrorCode.GRAPHQL_PARSE_FAILED.value})
    assert format_error(error, CONTEXT)["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"


SCHEMA: GraphQLSchema = build_schema("enum Colour { RED } type Query { colour(of: Int!): Colour!, number: Int }")


def _errors(document: str, root: Any = None, **variables: Any) -> list[dict[str, Any]]:
    result = graphql_sync(SCHEMA, document, root, variable_values=variables)
    return [format_error(error, CONTEXT) for error in result.errors or ()]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("{ nothing }", "Cannot query field 'nothing'"),
        ("{ colour }", "required"),
        ("query($n: Int!) { colour(of: $n) }", "Variable '$n'"),
    ],
)
def test_the_text_of_what_a_client_did_wrong_is_kept(document: str, text: str) -> None:
    (error,) = _errors(document)
    assert text in error["message"]
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert error["locations"]


@pytest.mark.parametrize("root", [{"colour": "BLUE"}, {"colour": None}, {"colour": {"secret": "hunter2"}}])
def test_a_value_of_ours_that_does_not_fit_the_schema_is_our_fault(root: Any) -> None:
    (error,) = _errors("{ colour(of: 1) }", root)
    assert error["extensions"]["code"] == "INTERNAL"
    assert "hunter2" not in str(error)
    assert "BLUE" not in str(error)


def test_a_variable_that_makes_an_argument_impossible_is_the_clients_fault() -> None:
    """Found only while executing: the variable is left out, and the argument must not be null."""
    (error,) = _errors("query($n: Int = 1) { colour(of: $n) }", {"colour": "RED"}, n=None)
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert "of" in error["message"]
