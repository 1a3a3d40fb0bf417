"""How `Accept` is read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.http.negotiation import Accepted, Form, read_accept
from tests.tier import count

J, G = Form.JSON, Form.GRAPHQL_JSON


@pytest.mark.parametrize(
    ("header", "single"),
    [
        (None, J),
        ("", J),
        ("*/*", J),
        ("application/*", J),
        ("application/json;q=0", None),
        ("*/*, application/json;q=0", G),
        ("application/graphql-response+json", G),
        ("APPLICATION/JSON", J),
        ("application/json; charset=utf-8", J),
        ("application/json;q=0.5, application/graphql-response+json;q=0.6", G),
        ("application/json;q=0.5, application/*;q=0.6", G),
        ("application/json;q=nonsense", J),
        ("text/plain", None),
        (",,;;", None),
    ],
)
def test_form_of_a_single_response(header: str | None, single: Form | None) -> None:
    assert read_accept(header).single is single


@pytest.mark.parametrize(
    ("header", "prefers", "takes"),
    [
        ("text/event-stream", True, True),
        ("text/event-stream, */*", True, True),
        ("text/event-stream, application/json", True, True),
        ("application/json, text/event-stream", False, True),
        ("application/json, text/event-stream;q=0", False, False),
        ("text/*", True, True),
        ("*/*", False, False),
    ],
)
def test_stream_is_preferred_or_only_taken(header: str, prefers: bool, takes: bool) -> None:
    accepted = read_accept(header)
    assert (accepted.prefers_stream, accepted.takes_stream) == (prefers, takes)


@pytest.mark.parametrize(
    ("header", "prefers_page"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", True),
        ("text/html", True),
        ("application/json, text/html;q=0.9", False),
        ("*/*", False),
        (None, False),
    ],
)
def test_page_is_for_browsers(header: str | None, prefers_page: bool) -> None:
    assert read_accept(header).prefers_page is prefers_page


@settings(max_examples=count(long=2000))
@given(st.text(alphabet="ajnopst/*+,;=.q019 -", max_size=80))
def test_any_header_is_read(header: str) -> None:
    assert isinstance(read_accept(header), Accepted)
