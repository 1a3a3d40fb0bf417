"""The rules of graphql-transport-ws, one by one, without a socket."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.requests import OperationRequest
from switchboard.http.protocol import Action, Close, CloseCode, OpenSession, Protocol, Renew, Send, Start, State, Stop
from tests.tier import count


def a_protocol(state: State = State.READY, **options: Any) -> Protocol:
    protocol = Protocol(**{"max_operations": 3, "message_bytes": 10_000, **options})
    if state is not State.WAITING:
        protocol.receive_text('{"type":"connection_init"}')
    if state is State.READY:
        protocol.session_opened()
    return protocol


def said(protocol: Protocol, **message: Any) -> Any:
    return protocol.receive_text(json.dumps(message))


def message_of(actions: Iterable[Action]) -> Any:
    """Of the only action: a message that is sent."""
    (sent,) = actions
    assert isinstance(sent, Send)
    return json.loads(sent.text)


def subscribed(protocol: Protocol, id: str = "1") -> Protocol:
    said(protocol, type="subscribe", id=id, payload={"query": "{ a }"})
    return protocol


def assert_closed(protocol: Protocol, actions: Any, code: CloseCode, words: str) -> None:
    assert [type(action) for action in actions] == [Close]
    assert actions[0].code is code
    assert words in actions[0].reason
    assert protocol.state is State.CLOSED
    assert not protocol.operations


def test_init_asks_who_it_is() -> None:
    protocol = a_protocol(State.WAITING)
    assert said(protocol, type="connection_init", payload={"a": 1}) == (OpenSession({"a": 1}),)
    assert protocol.state is State.INITIALISING


def test_open_session_is_acknowledged_once() -> None:
    protocol = a_protocol(State.INITIALISING)
    assert protocol.session_opened() == (Send('{"type":"connection_ack"}'),)
    assert protocol.session_opened() == ()


@pytest.mark.parametrize("state", [State.INITIALISING, State.READY])
def test_second_init_closes_4429(state: State) -> None:
    protocol = a_protocol(state)
    actions = said(protocol, type="connection_init")
    assert_closed(protocol, actions, CloseCode.TOO_MANY_INITIALISATION_REQUESTS, "Too many initialisation requests")


@pytest.mark.parametrize("state", [State.WAITING, State.INITIALISING])
def test_subscribe_before_acknowledgement_closes_4401(state: State) -> None:
    protocol = a_protocol(state)
    actions = said(protocol, type="subscribe", id="1", payload={"query": "{ a }"})
    assert_closed(protocol, actions, CloseCode.UNAUTHORIZED, "Unauthorized")


def test_init_that_comes_too_late_closes_4408() -> None:
    protocol = a_protocol(State.WAITING)
    actions = protocol.initialisation_timed_out()
    assert_closed(protocol, actions, CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout")


@pytest.mark.parametrize("state", [State.INITIALISING, State.READY])
def test_init_under_way_is_in_time(state: State) -> None:
    protocol = a_protocol(state)
    assert protocol.initialisation_timed_out() == ()
    assert protocol.state is state


def test_refused_session_closes_4403() -> None:
    protocol = a_protocol(State.INITIALISING)
    assert_closed(protocol, protocol.session_refused("no"), CloseCode.FORBIDDEN, "Forbidden: no")


def test_id_in_use_closes_4409() -> None:
    protocol = subscribed(a_protocol(), "one")
    actions = said(protocol, type="subscribe", id="one", payload={"query": "{ a }"})
    assert_closed(protocol, actions, CloseCode.SUBSCRIBER_ALREADY_EXISTS, "Subscriber for one already exists")


def test_id_may_be_used_again_after_completion() -> None:
    protocol = subscribed(a_protocol(), "one")
    protocol.operation_completed("one")
    assert said(protocol, type="subscribe", id="one", payload={"query": "{ a }"}) == (
        Start("one", OperationRequest(query="{ a }")),
    )


def test_subscribe_carries_all_its_parts() -> None:
    payload = {"query": "q", "operationName": "n", "variables": {"v": 1}, "extensions": {"e": 2}}
    (action,) = said(a_protocol(), type="subscribe", id="1", payload=payload)
    assert action.request == OperationRequest(query="q", operation_name="n", variables={"v": 1}, extensions={"e": 2})


def test_complete_stops_the_operation_and_what_it_still_says() -> None:
    protocol = subscribed(a_protocol())
    assert said(protocol, type="complete", id="1") == (Stop("1"),)
    assert protocol.operation_next("1", b"{}") == ()
    assert protocol.operation_failed("1", []) == ()
    assert protocol.operation_completed("1") == ()


def test_complete_of_unknown_id_is_no_mistake() -> None:
    """Both sides may complete at the same moment."""
    protocol = a_protocol()
    assert said(protocol, type="complete", id="never") == ()
    assert protocol.state is State.READY


def test_next_error_and_complete_have_the_id_and_payload() -> None:
    protocol = subscribed(subscribed(a_protocol(), 'a"b'), "2")
    assert message_of(protocol.operation_next('a"b', b'{"data":1}')) == {
        "id": 'a"b',
        "type": "next",
        "payload": {"data": 1},
    }
    assert message_of(protocol.operation_failed('a"b', [{"message": "m"}])) == {
        "id": 'a"b',
        "type": "error",
        "payload": [{"message": "m"}],
    }
    assert message_of(protocol.operation_completed("2")) == {"id": "2", "type": "complete"}
    assert protocol.state is State.READY


def test_one_operation_too_many_is_an_error_of_that_one() -> None:
    protocol = a_protocol(max_operations=1)
    subscribed(protocol, "1")
    message = message_of(said(protocol, type="subscribe", id="2", payload={"query": "{ a }"}))
    assert (message["id"], message["type"]) == ("2", "error")
    assert message["payload"][0]["extensions"] == {"code": "LIMIT_EXCEEDED", "limit": 1, "figure": 2}
    assert protocol.operations == {"1"}


@pytest.mark.parametrize("state", [State.WAITING, State.INITIALISING, State.READY])
def test_ping_is_answered_at_any_time(state: State) -> None:
    assert said(a_protocol(state), type="ping") == (Send('{"type":"pong"}'),)


def test_ping_with_payload_offers_it_to_the_session_one_at_a_time() -> None:
    protocol = a_protocol()
    assert said(protocol, type="ping", payload={"Authorization": "x"}) == (Renew({"Authorization": "x"}),)
    assert said(protocol, type="ping", payload={"Authorization": "y"}) == (Send('{"type":"pong"}'),)
    assert message_of(protocol.renewed(True)) == {"type": "pong", "payload": {"renewed": True}}
    assert said(protocol, type="ping", payload={"Authorization": "z"}) == (Renew({"Authorization": "z"}),)


def test_ping_with_payload_before_initialisation_is_a_ping() -> None:
    assert said(a_protocol(State.WAITING), type="ping", payload={"a": 1}) == (Send('{"type":"pong"}'),)


def test_pong_is_taken_silently() -> None:
    assert said(a_protocol(), type="pong", payload={}) == ()


BAD_TEXTS = [
    "",
    "42",
    "null",
    "[]",
    '"x"',
    "true",
    "{",
    "[" * 100_000,
    "9" * 5000,
    "{}",
    '{"type":1}',
    '{"type":null}',
    '{"type":"unheard"}',
    '{"type":"next","id":"1","payload":{}}',
    '{"type":"error","id":"1","payload":[]}',
    '{"type":"connection_ack"}',
    '{"type":"start","id":"1","payload":{"query":"{a}"}}',
    '{"type":"connection_init","payload":null}',
    '{"type":"connection_init","payload":[]}',
    '{"type":"ping","payload":null}',
    '{"type":"ping","payload":"x"}',
    '{"type":"pong","payload":7}',
    '{"type":"complete"}',
    '{"type":"complete","id":7}',
    '{"type":"complete","id":""}',
    '{"type":"subscribe"}',
    '{"type":"subscribe","id":"1"}',
    '{"type":"subscribe","payload":{"query":"{a}"}}',
    '{"type":"subscribe","id":1,"payload":{"query":"{a}"}}',
    '{"type":"subscribe","id":{},"payload":{"query":"{a}"}}',
    '{"type":"subscribe","id":"","payload":{"query":"{a}"}}',
    '{"type":"subscribe","id":"1","payload":null}',
    '{"type":"subscribe","id":"1","payload":[]}',
    '{"type":"subscribe","id":"1","payload":{}}',
    '{"type":"subscribe","id":"1","payload":{"query":null}}',
    '{"type":"subscribe","id":"1","payload":{"query":7}}',
    '{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":[]}}',
    '{"type":"subscribe","id":"1","payload":{"query":"{a}","operationName":1}}',
    '{"type":"subscribe","id":"1","payload":{"query":"{a}","extensions":"x"}}',
    '{"type":"ping","payload":{"x":"' + "y" * 10_000 + '"}}',
]


@pytest.mark.parametrize("text", BAD_TEXTS, ids=lambda text: text[:60] or "empty")
@pytest.mark.parametrize("state", [State.WAITING, State.READY])
def test_bad_message_closes_4400(text: str, state: State) -> None:
    protocol = a_protocol(state)
    assert_closed(protocol, protocol.receive_text(text), CloseCode.BAD_REQUEST, "")


def test_bad_message_ends_what_runs() -> None:
    protocol = subscribed(a_protocol())
    assert_closed(protocol, protocol.receive_text("42"), CloseCode.BAD_REQUEST, "Message has to be an object")
    assert protocol.operation_next("1", b"{}") == ()


def test_binary_frame_closes_4400() -> None:
    protocol = a_protocol()
    assert_closed(protocol, protocol.receive_bytes(), CloseCode.BAD_REQUEST, "text frames")


def test_nothing_leaves_a_closed_socket() -> None:
    protocol = a_protocol()
    protocol.close(CloseCode.GOING_AWAY, "bye")
    assert said(protocol, type="ping") == ()
    assert said(protocol, type="connection_init") == ()
    assert protocol.session_opened() == ()
    assert protocol.renewed(True) == ()
    assert protocol.receive_bytes() == ()
    assert protocol.close(CloseCode.BAD_REQUEST, "again") == ()
    assert protocol.state is State.CLOSED


def test_reason_fits_a_close_frame() -> None:
    """RFC 6455 section 5.5: a control frame holds 125 bytes, two of them the code."""
    (action,) = a_protocol().session_refused("é" * 200)
    assert isinstance(action, Close)
    assert len(action.reason.encode()) <= 123


# Any order of happenings

ids = st.sampled_from(["1", "2", "3", "4"])
happenings = st.one_of(
    st.sampled_from(BAD_TEXTS[:30]).map(lambda text: lambda p: p.receive_text(text)),
    st.sampled_from(["connection_init", "ping", "pong"]).map(lambda type: lambda p: said(p, type=type)),
    st.just(lambda p: said(p, type="ping", payload={"Authorization": "x"})),
    ids.map(lambda id: lambda p: said(p, type="subscribe", id=id, payload={"query": "{ a }"})),
    ids.map(lambda id: lambda p: said(p, type="complete", id=id)),
    ids.map(lambda id: lambda p: p.operation_next(id, b"{}")),
    ids.map(lambda id: lambda p: p.operation_completed(id)),
    ids.map(lambda id: lambda p: p.operation_failed(id, [{"message": "m"}])),
    st.just(lambda p: p.session_opened()),
    st.just(lambda p: p.session_refused("no")),
    st.just(lambda p: p.renewed(True)),
    st.just(lambda p: p.initialisation_timed_out()),
)


@settings(max_examples=count(long=5000), deadline=None)
@given(st.lists(happenings, max_size=40))
def test_any_order_of_happenings_keeps_the_rules(order: list[Any]) -> None:
    """One acknowledgement, one close and nothing after it, and what is sent for an operation stands between start and end."""
    protocol = Protocol(max_operations=3, message_bytes=10_000)
    running: set[str] = set()
    acknowledged = closed = 0
    for happen in order:
        for action in happen(protocol):
            assert not closed
            closed += isinstance(action, Close)
            if isinstance(action, Start):
                assert action.id not in running
                assert acknowledged
                running.add(action.id)
            if isinstance(action, Stop):
                running.remove(action.id)
            if isinstance(action, Send):
                message = json.loads(action.text)
                acknowledged += message["type"] == "connection_ack"
                if message["type"] == "next":
                    assert message["id"] in running
                if message["type"] == "complete":
                    running.remove(message["id"])
                if message["type"] == "error" and "extensions" not in message["payload"][0]:
                    running.remove(message["id"])
        assert protocol.operations == (set() if closed else running)
        assert (protocol.state is State.CLOSED) is bool(closed)
    assert acknowledged <= 1
    assert len(running) <= 3
