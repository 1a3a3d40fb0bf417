"""Running operations."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphql import GraphQLError

from engine.execution import Engine, Subscription
from engine.plans import Plan
from engine.requests import Delivery, OperationRequest, Response
from tests.engine.toy import a_federation_schema, an_engine, ask, code_of

pytestmark = pytest.mark.anyio


def events(*given: Any) -> Any:
    """A source of these events; an exception is raised."""

    async def source() -> AsyncIterator[Any]:
        for event in given:
            if isinstance(event, Exception):
                raise event
            yield event

    return source


async def subscribe(engine: Engine, query: str, context: Any, **options: Any) -> Subscription:
    started = await engine.subscribe(OperationRequest(query=query), context, **options)
    assert isinstance(started, Subscription)
    return started


async def deliveries(
    engine: Engine, context: Any, query: str = "subscription { events }", **options: Any
) -> list[Delivery]:
    return [delivery async for delivery in await subscribe(engine, query, context, **options)]


async def test_answer_has_data_alone() -> None:
    assert await ask(an_engine(), "{ a q { b(x: 3) } }") == {"data": {"a": "a", "q": {"b": "3"}}}


async def test_asynchronous_fields_are_awaited() -> None:
    async def wait() -> str:
        await asyncio.sleep(0)
        return "late"

    assert await ask(an_engine(), "{ wait a }", {"wait": wait}) == {"data": {"wait": "late", "a": "a"}}


async def test_mutation_is_executed() -> None:
    assert await ask(an_engine(), "mutation { a }") == {"data": {"a": "changed"}}


async def test_context_is_prepared_before_a_query_or_mutation_and_told_what_it_mentions() -> None:
    def prepare(plan: Plan, context: dict[str, Any]) -> None:
        context["name"] = f"{plan.kind.value} {sorted(plan.mentions)}"

    engine = an_engine(watched=frozenset({"a", "b"}), prepare=prepare)
    assert await ask(engine, "{ context q { a } }", {}) == {"data": {"context": "query ['a']", "q": {"a": "a"}}}
    context: dict[str, Any] = {}
    await ask(engine, "mutation { a }", context)
    assert context == {"name": "mutation ['a']"}


async def test_context_of_a_subscription_is_left_as_it_is() -> None:
    def prepare(plan: Plan, context: Any) -> None:
        raise AssertionError("a subscription was prepared")

    engine = an_engine(prepare=prepare)
    assert len(await deliveries(engine, {"events": events("one")})) == 1


async def test_failing_field_is_null_and_masked() -> None:
    body = await ask(an_engine(), "{ a fail }")
    assert body["data"] == {"a": "a", "fail": None}
    assert body["errors"] == [
        {
            "message": "masked",
            "path": ["fail"],
            "locations": [{"line": 1, "column": 5}],
            "extensions": {"code": "INTERNAL"},
        }
    ]


async def test_failing_field_that_must_not_be_null_leaves_data_null_but_there() -> None:
    """Specification section 7.1.1: execution began, so `data` is in the response."""
    body = await ask(an_engine(), "{ must }")
    assert body["data"] is None
    assert body["errors"][0]["path"] == ["must"]


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", None, "GRAPHQL_PARSE_FAILED"),
        ("{ unknown }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query($x: Int!) { b(x: $x) }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query($x: Int!) { b(x: $x) }", {"x": "y"}, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { events }", None, "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_request_error_has_a_code_and_no_data(query: str, variables: Any, code: str) -> None:
    assert code_of(await ask(an_engine(), query, variables=variables)) == code


async def test_variables_and_context_reach_the_resolvers() -> None:
    body = await ask(an_engine(), "query($x: Int!) { b(x: $x) context }", {"name": "me"}, variables={"x": 5})
    assert body == {"data": {"b": "5", "context": "me"}}


async def test_router_is_answered_by_the_federation_schema() -> None:
    engine = an_engine(federation=a_federation_schema())
    assert await ask(engine, "{ _service { sdl } }") == {"data": {"_service": {"sdl": "type Query"}}}
    assert await ask(engine, "{ a }") == {"data": {"a": "a"}}


@pytest.mark.parametrize(
    ("value", "json"), [(2**70, b"1180591620717411303424"), ("\ud800", b'"\\ud800"'), ("é", '"é"'.encode())]
)
async def test_values_that_the_fast_encoder_refuses_are_written(value: Any, json: bytes) -> None:
    response = await an_engine().execute(OperationRequest(query="{ anything }"), {"anything": value})
    assert response.json == b'{"data":{"anything":' + json + b"}}"


async def test_value_that_json_cannot_hold_is_an_error_of_the_operation() -> None:
    body = await ask(an_engine(), "{ anything }", {"anything": object()})
    assert body["data"] is None
    assert body["errors"][0]["message"] == "masked"


async def test_cancellation_reaches_the_resolver() -> None:
    reached, cancelled = asyncio.Event(), asyncio.Event()

    async def wait() -> str:
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    asking = asyncio.create_task(ask(an_engine(), "{ wait }", {"wait": wait}))
    await reached.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert cancelled.is_set()


# Subscriptions


async def test_each_event_is_a_delivery_with_its_event_and_json() -> None:
    got = await deliveries(an_engine(), {"events": events("x", "y")})
    assert [(d.event, d.response.json, d.ends) for d in got] == [
        ("x", b'{"data":{"events":"x"}}', False),
        ("y", b'{"data":{"events":"y"}}', False),
    ]


async def test_event_whose_execution_fails_does_not_end_the_stream() -> None:
    got = await deliveries(an_engine(), {"events": events("broken", "y")})
    assert got[0].response.body["data"] == {"events": None}
    assert got[0].response.body["errors"][0]["message"] == "masked"
    assert got[1].response.body == {"data": {"events": "y"}}


async def test_source_that_breaks_ends_with_an_error() -> None:
    for error, message in ((RuntimeError("secret"), "masked"), (GraphQLError("a gap"), "a gap")):
        got = await deliveries(an_engine(), {"events": events("x", error)})
        assert [d.ends for d in got] == [False, True]
        assert "data" not in got[1].response.body
        assert got[1].response.body["errors"][0]["message"] == message


async def test_each_event_may_have_a_context_of_its_own() -> None:
    made: list[Any] = []

    def context() -> Any:
        made.append({"number": len(made)})
        return made[-1]

    await deliveries(an_engine(), {"events": events("x", "y")}, event_context=context)
    assert len(made) == 2


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription { refused }", "FORBIDDEN"),
        ("subscription($x: Int!) { events(x: $x) }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { unknown }", "GRAPHQL_VALIDATION_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
    ],
)
async def test_subscription_that_does_not_start_is_a_response(query: str, code: str) -> None:
    response = await an_engine().subscribe(OperationRequest(query=query), {})
    assert isinstance(response, Response)
    assert code_of(response.body) == code


async def test_closing_ends_the_source() -> None:
    closed = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        try:
            yield "x"
            await asyncio.Event().wait()
        finally:
            closed.set()

    subscription = await subscribe(an_engine(), "subscription { events }", {"events": source})
    assert (await anext(aiter(subscription))).event == "x"
    await subscription.aclose()
    assert closed.is_set()
    await subscription.aclose()


async def test_closing_before_the_first_event_is_silent() -> None:
    subscription = await subscribe(an_engine(), "subscription { events }", {"events": events("x")})
    await subscription.aclose()
    assert [delivery async for delivery in subscription] == []


# What subscriptions have in common


async def key(query: str, position: str | None = None, **variables: Any) -> Any:
    request = OperationRequest(query=query, variables=variables)
    started = await an_engine(position_argument=position).subscribe(request, {"events": events()})
    assert isinstance(started, Subscription)
    return started.execution.key


async def test_equal_operations_with_equal_variables_have_equal_keys() -> None:
    query = "subscription($v: Int) { events(x: $v) }"
    assert await key(query, v=1, u=2) == await key(query, u=2, v=1)
    assert await key(query, v=1) != await key(query, v=2)
    assert await key(query, v=1) != await key(f"{query} ", v=1)


async def test_where_a_subscription_begins_is_no_part_of_its_key() -> None:
    query = "subscription($v: Int) { events(x: $v) }"
    assert await key(query, "x", v=1) == await key(query, "x", v=2)
    assert await key(query, "x", v=1, u=1) != await key(query, "x", v=1, u=2)
    assert await key("subscription { events(x: 1) }") != await key("subscription { events(x: 2) }")


@pytest.mark.parametrize(
    ("query", "depends"), [("subscription { events }", False), ("subscription { other: events }", True)]
)
async def test_operation_depends_on_the_viewer_by_its_fields(query: str, depends: bool) -> None:
    marks = frozenset({("Subscription", "events")}) if depends else frozenset({("Query", "a")})
    started = await subscribe(an_engine(viewers_own=marks), query, {"events": events()})
    assert started.execution.is_viewers_own is depends


async def test_execution_keeps_no_context_of_whoever_began_it() -> None:
    started = await subscribe(an_engine(), "subscription { events }", {"events": events("x"), "name": "ann"})
    assert started.execution._executor.context_value is None
    assert (await started.execution.response("y", None)).body == {"data": {"events": "y"}}
    await started.aclose()
