"""What is kept of documents, and for how long."""

import gc
import weakref
from typing import Any

import pytest
from graphql import OperationType

from engine.limits import Limits
from engine.plans import Plan, PlanRefused, Plans
from engine.requests import OperationRequest
from tests.engine.toy import a_federation_schema, a_schema


def some_plans(**options: Any) -> Plans:
    return Plans(a_schema(), Limits(), **options)


def plan(plans: Plans, query: str, name: str | None = None) -> Plan:
    return plans.get(OperationRequest(query=query, operation_name=name))


def refusal(plans: Plans, query: str, name: str | None = None) -> str:
    with pytest.raises(PlanRefused) as refused:
        plan(plans, query, name)
    return str((refused.value.errors[0].extensions or {})["code"])


def test_document_is_read_once() -> None:
    plans = some_plans()
    assert plan(plans, "{ a }") is plan(plans, "{ a }")
    assert len(plans.accepted) == 1


def test_operations_of_one_document_share_it() -> None:
    plans = some_plans()
    first, second = (plan(plans, "query A { a } mutation B { a }", name) for name in ("A", "B"))
    assert first.document is second.document
    assert (first.kind, second.kind) == (OperationType.QUERY, OperationType.MUTATION)


@pytest.mark.parametrize(
    ("query", "name", "words"),
    [
        ("query A { a } query B { a }", None, "holds several"),
        ("query A { a } query B { a }", "C", "holds none named 'C'"),
        ("{ a }", "A", "holds none named 'A'"),
    ],
)
def test_operation_has_to_be_selected(query: str, name: str | None, words: str) -> None:
    with pytest.raises(PlanRefused, match=words):
        plan(some_plans(), query, name)


def test_document_of_fragments_only_holds_no_operation() -> None:
    assert refusal(some_plans(), "fragment F on Query { a }") == "GRAPHQL_VALIDATION_FAILED"


def test_schema_definitions_are_not_executed() -> None:
    assert refusal(some_plans(), "type T { a: Int }") == "GRAPHQL_VALIDATION_FAILED"


def test_empty_selection_set_is_a_syntax_error() -> None:
    assert refusal(some_plans(), "{ q { } }") == "GRAPHQL_PARSE_FAILED"


def test_least_recently_used_plan_goes_first() -> None:
    plans = some_plans(entries=2)
    first = plan(plans, "{ a }")
    plan(plans, "{ b }")
    plan(plans, "{ a }")
    plan(plans, "{ q { a } }")
    assert len(plans.accepted) == 2
    assert plan(plans, "{ a }") is first
    assert plans.accepted.get("{ b }") is None


def test_plans_are_bounded_in_bytes() -> None:
    plans = some_plans(weight_bytes=20_000)
    for number in range(50):
        plan(plans, "{ a b(x: %d) }" % number)  # noqa: UP031  braces
    assert 0 < len(plans.accepted) < 10
    assert plans.accepted.weight <= 20_000


def test_document_too_heavy_to_keep_is_planned_all_the_same() -> None:
    plans = some_plans(weight_bytes=10)
    assert plan(plans, "{ a }").kind is OperationType.QUERY
    assert len(plans.accepted) == 0


def test_refused_documents_have_a_cache_of_their_own() -> None:
    plans = some_plans(entries=2)
    kept = plan(plans, "{ a }")
    for number in range(300):
        assert refusal(plans, f"{{ unknown{number} }}") == "GRAPHQL_VALIDATION_FAILED"
    assert len(plans.refused) <= 200
    assert plan(plans, "{ a }") is kept


def test_refusal_is_repeated_without_reading_again() -> None:
    plans = some_plans()
    refusals = []
    for _ in range(3):
        with pytest.raises(PlanRefused) as refused:
            plan(plans, "{ unknown }")
        refusals.append(refused.value.errors)
    assert refusals[1] is refusals[2] is plans.refused.get("{ unknown }")


def test_kept_refusal_does_not_keep_its_document() -> None:
    plans = some_plans()
    with pytest.raises(PlanRefused) as refused:
        plan(plans, "{ unknown }")
    error = refused.value.errors[0]
    assert (error.nodes, error.source, error.message) == (None, None, "Cannot query field 'unknown' on type 'Query'.")
    assert error.locations


def test_plan_that_is_forgotten_is_freed() -> None:
    plans = some_plans(entries=1)
    document = weakref.ref(plan(plans, "{ a }").document)
    plan(plans, "{ b }")
    gc.collect()
    assert document() is None


def test_suggestions_are_made_only_where_asked_for() -> None:
    query = "{ context1 }"
    for suggestions in (False, True):
        with pytest.raises(PlanRefused) as refused:
            plan(some_plans(suggestions=suggestions), query)
        assert ("Did you mean" in refused.value.errors[0].message) is suggestions


@pytest.mark.parametrize(
    "query",
    [
        "{ _service { sdl } }",
        "{ ...F } fragment F on Query { _service { sdl } }",
        "{ ... on Query { a _service { sdl } } }",
    ],
)
def test_question_of_a_router_goes_to_the_federation_schema(query: str) -> None:
    federation = a_federation_schema()
    assert plan(some_plans(federation=federation), query).schema is federation
    assert refusal(some_plans(), query) == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize("query", ["{ a }", "{ q { a } }", "query _service { _service: a }"])
def test_all_else_goes_to_the_schema_of_clients(query: str) -> None:
    federation = a_federation_schema()
    assert plan(some_plans(federation=federation), query).schema is not federation


def test_federation_does_not_follow_cycles() -> None:
    query = "{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }"
    assert refusal(some_plans(federation=a_federation_schema()), query) == "GRAPHQL_VALIDATION_FAILED"
