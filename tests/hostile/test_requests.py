"""Requests that are no GraphQL: each is answered with the right status, one error with a code, and a sentence that says what to do."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.client import Client
from tests.gateway import Gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

QUERY = b'{"query": "{ __typename }"}'
JSON = {"Content-Type": "application/json"}
MIB = 1024 * 1024


async def post(gateway: Gateway, content: bytes, headers: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(timeout=20) as http:
        return await http.post(gateway.url, content=content, headers={**gateway.headers, **headers})


def the_error(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert list(body) == ["errors"]
    (error,) = body["errors"]
    assert error["extensions"]["requestId"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return error


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty. Send"),
        (b" \n", "it is empty. Send"),
        (b'{"query":', "it is not JSON in UTF-8"),
        (b"{ __typename }", "it is not JSON in UTF-8"),
        (b'{"query": "{ \xff }"}', "it is not JSON in UTF-8"),
        (b"\xef\xbb\xbf" + QUERY, "it is not JSON in UTF-8"),
        (QUERY.decode().encode("utf-16"), "it is not JSON in UTF-8"),
        (b"\x00", "it is not JSON in UTF-8"),
        (b"[" * 200_000, "it is not JSON in UTF-8"),
        (b'{"query": "{ __typename }", "variables": {"a": NaN}}', "it is not JSON in UTF-8"),
        (b'{"query": "query ($a: ID!) { node(id: $a) { id } }", "variables": {"a": "\\ud800"}}', "it is not JSON"),
        (b"[" + QUERY + b"]", "batches of operations are not supported. Send one"),
        (b"1", "an operation is an object with `query`. Send"),
        (b"null", "an operation is an object with `query`. Send"),
        (b"{}", "`query` is missing. Send"),
        (b'{"query": 1}', "`query` has to be a text. Send"),
        (b'{"query": "{ __typename }", "variables": "x"}', "`variables` has to be an object or null. Send"),
        (b'{"query": "{ __typename }", "operationName": 1}', "`operationName` has to be a text or null. Send"),
    ],
)
async def test_body_that_is_no_operation_is_400(demo: Gateway, content: bytes, says: str) -> None:
    answer = await post(demo, content, JSON)
    error = the_error(answer)
    assert (answer.status_code, error["extensions"]["code"]) == (400, "INVALID_ARGUMENT")
    assert error["message"].startswith("Reading the ")
    assert says in error["message"]


@pytest.mark.parametrize(
    ("content_type", "says"),
    [
        (None, "`Content-Type` is missing. Send application/json."),
        ("text/plain", "`Content-Type` is 'text/plain'. Send application/json."),
        ("application/x-www-form-urlencoded", "Send application/json."),
        ("multipart/form-data; boundary=x", "Send application/json."),
        ("application/json; charset=latin-1", "its charset is not UTF-8. Send application/json in UTF-8."),
    ],
)
async def test_other_media_type_is_415(demo: Gateway, content_type: str | None, says: str) -> None:
    """A form of a foreign page can be sent without asking first; it must not reach the engine."""
    answer = await post(demo, QUERY, {"Content-Type": content_type} if content_type else {})
    error = the_error(answer)
    assert (answer.status_code, error["extensions"]["code"]) == (415, "INVALID_ARGUMENT")
    assert error["message"].startswith("Reading the body: ")
    assert error["message"].endswith(says)
    assert answer.headers["accept"] == "application/json"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic YTpi", "Bearer sb_", "Bearer x", "Bearer é"])
async def test_without_a_credential_nothing_is_told(demo: Gateway, authorization: str | None) -> None:
    """The body is not even read: a wrong one is answered alike."""
    headers = dict(JSON) if authorization is None else {**JSON, "Authorization": authorization}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    async with httpx.AsyncClient() as http:
        for content in (b'{"query": "{ __schema { types { name } } }"}', b"{"):
            answer = await http.post(demo.url, content=content, headers=raw)
            assert (answer.status_code, the_error(answer)["extensions"]["code"]) == (401, "UNAUTHENTICATED")
            assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("media_type", ["application/graphql-response+json", "application/json"])
@pytest.mark.parametrize(
    ("query", "code", "says"),
    [
        ("{ viewerx { role } }", "GRAPHQL_VALIDATION_FAILED", "Cannot query field 'viewerx' on type 'Query'."),
        ("{ chats(first: 1, foo: 1) { nodes { id } } }", "GRAPHQL_VALIDATION_FAILED", "Unknown argument 'foo'"),
        ('mutation { deleteChat(input: {chatId: "x", foo: 1}) { deletedChatId } }', "GRAPHQL_VALIDATION_FAILED", "foo"),
        ("{ chats(first: 1.5) { nodes { id } } }", "GRAPHQL_VALIDATION_FAILED", "Int cannot represent non-integer"),
        ("{ viewer { ", "GRAPHQL_PARSE_FAILED", "Syntax Error"),
        ('{ search(query: "\\ud800", first: 1) { edges { cursor } } }', "GRAPHQL_PARSE_FAILED", "Unicode escape"),
    ],
)
async def test_document_with_unknown_things_is_refused(
    demo: Gateway, media_type: str, query: str, code: str, says: str
) -> None:
    """GraphQL over HTTP: 400 under its own media type, 200 under the older one."""
    answer = await post(demo, json.dumps({"query": query}).encode(), {**JSON, "Accept": media_type})
    (error,) = answer.json()["errors"]
    assert answer.status_code == (400 if "graphql" in media_type else 200)
    assert error["extensions"]["code"] == code
    assert says in error["message"]


@pytest.mark.parametrize("size", [MIB + 1, MIB + 300, 5 * MIB])
@pytest.mark.parametrize("announced", [True, False])
async def test_body_above_1_mib_is_413(demo: Gateway, size: int, announced: bool) -> None:
    """A message of 1 MB has no room in a body of 1 MiB with its operation around it."""
    whole = b'{"query": "{ __typename }", "x": "' + b"x" * (size - 36) + b'"}'
    assert len(whole) == size

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 100_000):
            yield whole[start : start + 100_000]

    async with httpx.AsyncClient(timeout=20) as http:
        content = whole if announced else pieces()
        answer = await http.post(demo.url, content=content, headers={**demo.headers, **JSON})
    error = the_error(answer)
    assert answer.status_code == 413
    assert (error["extensions"]["code"], error["extensions"]["limit"]) == ("LIMIT_EXCEEDED", MIB)
    assert error["extensions"]["figure"] > MIB
    assert error["message"].endswith("1048576 is the limit. Send less at once.")


async def test_body_of_exactly_1_mib_is_read(demo: Gateway) -> None:
    whole = b'{"query": "{ __typename }", "x": "' + b"x" * (MIB - 36) + b'"}'
    answer = await post(demo, whole, JSON)
    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("arguments", "says", "argument"),
    [
        ("first: 0", "A page of 0 rows was asked for. `first` takes 1 to 100.", "first"),
        ("first: -1", "A page of -1 rows was asked for. `first` takes 1 to 100.", "first"),
        ("first: 101", "A page of 101 rows was asked for. `first` takes 1 to 100.", "first"),
        ("last: 0", "A page of 0 rows was asked for. `last` takes 1 to 100.", "last"),
        ("last: 101", "A page of 101 rows was asked for. `last` takes 1 to 100.", "last"),
        ("first: null", "The list has no size. Give `first` (with `after`) or `last` (with `before`).", "first"),
        ("first: 1, last: 1", "Both `first` and `last` were given. Give one of them.", "last"),
        ('first: 1, before: "x"', "`before` goes with `last`. With `first` use `after`.", "before"),
        ('last: 1, after: "x"', "`after` goes with `first`. With `last` use `before`.", "after"),
    ],
)
@pytest.mark.parametrize(
    "field",
    [
        "chats({}) {{ pageInfo {{ hasNextPage }} }}",
        "folders({}) {{ pageInfo {{ hasNextPage }} }}",
        'search(query: "offsite", {}) {{ pageInfo {{ hasNextPage }} }}',
        "organizations({}) {{ pageInfo {{ hasNextPage }} }}",
        "organization {{ members({}) {{ pageInfo {{ hasNextPage }} }} }}",
        "organization {{ apiKeys({}) {{ pageInfo {{ hasNextPage }} }} }}",
        "organization {{ auditLog({}) {{ pageInfo {{ hasNextPage }} }} }}",
    ],
)
async def test_page_of_an_impossible_size_is_refused(
    client: Client, field: str, arguments: str, says: str, argument: str
) -> None:
    (error,) = (await client.post("{ " + field.format(arguments) + " }"))["errors"]
    assert (error["extensions"]["code"], error["message"]) == ("INVALID_ARGUMENT", says)
    assert error["extensions"]["argument"] == [argument]


@pytest.mark.parametrize("within", [0, -1, 30_001])
async def test_impossible_deadline_is_refused(client: Client, within: int) -> None:
    body = await client.post(f"{{ chats(first: 1, withinMs: {within}) {{ nodes {{ id }} }} }}")
    (error,) = body["errors"]
    assert error["message"] == f"A deadline of {within} ms was asked for. `withinMs` takes 1 to 30000."
    assert (error["extensions"]["code"], error["extensions"]["argument"]) == ("INVALID_ARGUMENT", ["withinMs"])


async def test_more_than_100_ids_are_refused(client: Client) -> None:
    (error,) = (await client.post("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=["x"] * 101))["errors"]
    assert error["extensions"]["code"] in ("INVALID_ARGUMENT", "LIMIT_EXCEEDED")
    assert "100" in error["message"]
