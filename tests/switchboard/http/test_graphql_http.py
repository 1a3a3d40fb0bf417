"""GraphQL over HTTP through real sockets. Sections are those of the specification of the GraphQL Foundation."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from switchboard.http.settings import TransportSettings
from tests.switchboard.http.toy import Served, Stage, ToySessions, serve, until

pytestmark = pytest.mark.anyio

GRAPHQL_JSON = {"Accept": "application/graphql-response+json"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(allowed_origins=["http://localhost:*"]) as served:
        yield served


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served.url) as client:
        yield client


def assert_problem(response: httpx.Response, status: int, code: str, words: str = "") -> None:
    """A JSON answer in the shape of GraphQL errors, with code and request id."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].endswith("json; charset=utf-8")
    body = response.json()
    assert "data" not in body
    (error,) = body["errors"]
    assert error["extensions"]["code"] == code
    assert error["extensions"]["requestId"] == response.headers["x-request-id"]
    assert words in error["message"]


# Media types


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "application/json; charset=utf-8"),
        ("*/*", "application/json; charset=utf-8"),
        ("application/json", "application/json; charset=utf-8"),
        ("application/graphql-response+json", "application/graphql-response+json; charset=utf-8"),
        (
            "application/graphql-response+json, application/json;q=0.9",
            "application/graphql-response+json; charset=utf-8",
        ),
        ("application/json, application/graphql-response+json;q=0.9", "application/json; charset=utf-8"),
    ],
)
async def test_answer_has_the_preferred_media_type(served: Served, accept: str | None, content_type: str) -> None:
    async with httpx.AsyncClient(headers={"Accept": accept or ""}) as client:
        if accept is None:
            del client.headers["accept"]
        response = await client.post(served.url, json={"query": "{ hello }"})
    assert response.status_code == 200
    assert response.headers["content-type"] == content_type
    assert response.json() == {"data": {"hello": "world"}}


async def test_406_when_nothing_acceptable_is_left(client: httpx.AsyncClient) -> None:
    response = await client.post("", json={"query": "{ hello }"}, headers={"Accept": "image/png"})
    assert_problem(response, 406, "INVALID_ARGUMENT", "application/graphql-response+json")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "text/plain; application/json",
    ],
)
async def test_415_for_any_body_but_json(client: httpx.AsyncClient, served: Served, content_type: str | None) -> None:
    """A page can send the others to a foreign host without asking, so they would let it execute mutations (CSRF)."""
    headers = {"Content-Type": content_type} if content_type else {}
    response = await client.post("", content=b'{"query":"mutation { note(text: \\"x\\") }"}', headers=headers)
    assert_problem(response, 415, "INVALID_ARGUMENT", "application/json")
    assert response.headers["accept"] == "application/json"
    assert served.stage.mutations == []


async def test_415_for_another_charset(client: httpx.AsyncClient) -> None:
    response = await client.post("", content=b"{}", headers={"Content-Type": "application/json; charset=utf-16"})
    assert_problem(response, 415, "INVALID_ARGUMENT", "UTF-8")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
async def test_405_for_other_methods(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, "")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST, OPTIONS"


# Bodies


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"1",
        b'"x"',
        b"true",
        b"[]",
        b"[1]",
        b"{",
        b'{"query":',
        b"\xff\xfe",
        b'{"query":"\xff"}',
        b'{"query":"\\ud800"}',
        b"[" * 100_000,
        b'{"query":' + b"[" * 100_000,
        b"9" * 5000,
        b'{"query":"{hello}","variables":{"a":' + b"9" * 5000 + b"}}",
        b'{"query":"{hello}","variables":{"a":NaN}}',
        b"{}",
        b'{"query":null}',
        b'{"query":7}',
        b'{"query":"{hello}","operationName":7}',
        b'{"query":"{hello}","variables":"{}"}',
        b'{"query":"{hello}","variables":[]}',
        b'{"query":"{hello}","extensions":"x"}',
        b'[{"query":"{hello}"}]',
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: repr(body[:40]),
)
@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
async def test_400_for_a_bad_body(client: httpx.AsyncClient, body: bytes, accept: str) -> None:
    response = await client.post("", content=body, headers={**JSON, "Accept": accept})
    assert_problem(response, 400, "INVALID_ARGUMENT")
    assert response.headers["content-type"].startswith(accept)


async def test_deep_variables_are_an_error_and_no_crash(client: httpx.AsyncClient) -> None:
    deep = b'{"query":"query($t:String!){echo(text:$t)}","variables":{"t":' + b"[" * 900 + b"]" * 900 + b"}}"
    response = await client.post("", content=deep, headers={**JSON, **GRAPHQL_JSON})
    assert_problem(response, 400, "GRAPHQL_VALIDATION_FAILED")


@pytest.mark.parametrize("chunked", [False, True])
async def test_413_beyond_the_limit_of_a_body(client: httpx.AsyncClient, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    content: Any = chunks() if chunked else b" " * (40 * 65536)
    response = await client.post("", content=content, headers=JSON)
    assert_problem(response, 413, "LIMIT_EXCEEDED", "1048576 is the limit")
    assert response.json()["errors"][0]["extensions"]["limit"] == 1048576
    assert response.headers["connection"] == "close"


async def test_body_at_the_limit_is_read(client: httpx.AsyncClient) -> None:
    document = b'{"query":"{ hello }"}'
    response = await client.post("", content=document + b" " * (1048576 - len(document)), headers=JSON)
    assert response.json() == {"data": {"hello": "world"}}


async def test_413_comes_before_a_body_that_waits_for_the_word(served: Served) -> None:
    """`Expect: 100-continue`: the client has not begun to send, so there is nothing to read first."""
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
    assert (await raw_exchange(served, head)).startswith(b"HTTP/1.1 413 ")


async def test_408_for_a_body_that_does_not_come() -> None:
    async with serve(settings=TransportSettings(body_timeout_seconds=0.05)) as served:
        head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"
        answer = await raw_exchange(served, head)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"LIMIT_EXCEEDED"' in answer


async def test_client_that_leaves_in_the_middle_of_its_body_is_forgotten(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""


async def raw_exchange(served: Served, request: bytes) -> bytes:
    """What the server says to these bytes until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            return head + await reader.readexactly(size)
    finally:
        writer.close()
        await writer.wait_closed()


# Documents


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", {}, "GRAPHQL_PARSE_FAILED"),
        ("", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ unknown }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("fragment F on Query { hello }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("query($t: String!) { echo(text: $t) }", {"t": None}, "GRAPHQL_VALIDATION_FAILED"),
        ("{ " + "me { " * 13 + "hello" + "}" * 14, {}, "LIMIT_EXCEEDED"),
        ("{" + " hello" * 2500 + "}", {}, "LIMIT_EXCEEDED"),
    ],
    ids=["syntax", "empty", "validation", "no operation", "coercion", "depth", "tokens"],
)
async def test_request_error_is_400_or_200_by_media_type(
    client: httpx.AsyncClient, query: str, variables: Any, code: str
) -> None:
    """Section "Status Codes": application/json clients of old do not read the body of a 400."""
    body = {"query": query, "variables": variables}
    assert_problem(await client.post("", json=body, headers=GRAPHQL_JSON), 400, code)
    assert_problem(await client.post("", json=body), 200, code)


async def test_partial_answer_is_200_with_data_and_errors(client: httpx.AsyncClient) -> None:
    for headers in ({}, GRAPHQL_JSON):
        response = await client.post("", json={"query": "{ hello fail }"}, headers=headers)
        assert response.status_code == 200
        body = response.json()
        assert body["data"] == {"hello": "world", "fail": None}
        assert body["errors"][0]["path"] == ["fail"]
        assert "password" not in response.text


async def test_no_suggestions_are_made(client: httpx.AsyncClient) -> None:
    response = await client.post("", json={"query": "{ hell }"})
    assert "Did you mean" not in response.text


# GET


async def test_query_by_get(client: httpx.AsyncClient) -> None:
    parameters = {
        "query": "query Q($t: String!) { echo(text: $t) }",
        "variables": '{"t": "a&b é"}',
        "operationName": "Q",
    }
    response = await client.get("", params=parameters)
    assert response.json() == {"data": {"echo": "a&b é"}}


@pytest.mark.parametrize(
    ("query_string", "words"),
    [
        ("", "`query` is missing"),
        ("query=%7Bhello%7D&variables=%7B", "`variables` is not JSON"),
        ("query=%7Bhello%7D&variables=[]", "`variables` has to be an object"),
        ("query=%7Bhello%7D&query=%7Bhello%7D", "given 2 times"),
        ("query=%ff", "URL-encoded UTF-8"),
    ],
)
async def test_400_for_bad_parameters_of_a_get(
    client: httpx.AsyncClient, served: Served, query_string: str, words: str
) -> None:
    assert_problem(await client.get(f"{served.url}?{query_string}"), 400, "INVALID_ARGUMENT", words)


async def test_414_for_a_long_url(served: Served) -> None:
    """From 64 KiB on httptools answers by itself, and not in JSON."""
    request = b"GET /graphql?query=%%7Bhello%%7D&x=%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"y" * 33_000)
    answer = await raw_exchange(served, request)
    assert answer.startswith(b"HTTP/1.1 414 ")
    assert b'"code":"LIMIT_EXCEEDED"' in answer


async def test_405_for_a_mutation_by_get(client: httpx.AsyncClient, served: Served) -> None:
    response = await client.get("", params={"query": 'mutation { note(text: "x") }'})
    assert_problem(response, 405, "INVALID_ARGUMENT", "Use POST")
    assert response.headers["allow"] == "POST"
    assert served.stage.mutations == []


async def test_mutation_by_post(client: httpx.AsyncClient, served: Served) -> None:
    response = await client.post("", json={"query": 'mutation { note(text: "x") }'})
    assert response.json() == {"data": {"note": "x"}}
    assert served.stage.mutations == ["x"]


async def test_subscription_by_plain_post_is_refused_and_names_the_transports(
    client: httpx.AsyncClient, served: Served
) -> None:
    response = await client.post("", json={"query": "subscription { ticks }"})
    assert_problem(response, 406, "INVALID_ARGUMENT", "text/event-stream")
    assert "graphql-transport-ws" in response.text
    assert not served.stage.reached.is_set()


# The page


async def page(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"<title>GraphiQL</title>"})


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def test_browser_gets_the_page_without_a_key() -> None:
    async with serve(ToySessions(key="k"), page=page) as served, httpx.AsyncClient() as client:
        response = await client.get(served.url, headers={"Accept": BROWSER})
        assert response.text == "<title>GraphiQL</title>"
        assert response.headers["x-request-id"]
        queried = await client.get(served.url, params={"query": "{ hello }"}, headers={"Authorization": "Bearer k"})
        assert queried.json() == {"data": {"hello": "world"}}


async def test_browser_gets_json_where_there_is_no_page(client: httpx.AsyncClient) -> None:
    response = await client.get("", params={"query": "{ hello }"}, headers={"Accept": BROWSER})
    assert response.json() == {"data": {"hello": "world"}}


# Credentials


@pytest.mark.parametrize("query", ["{ hello }", "{ __schema { types { name } } }", "{", "subscription { ticks }"])
@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json", "text/event-stream"])
async def test_401_without_a_credential(query: str, accept: str) -> None:
    async with serve(ToySessions(key="k")) as served, httpx.AsyncClient() as client:
        response = await client.post(served.url, json={"query": query}, headers={"Accept": accept})
        assert_problem(response, 401, "UNAUTHENTICATED", "Authorization")
        assert response.headers["www-authenticate"] == "Bearer"


async def test_whoever_has_no_credential_has_no_body_read() -> None:
    async with serve(ToySessions(key="k")) as served:
        head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
        assert (await raw_exchange(served, head)).startswith(b"HTTP/1.1 401 ")


async def test_credential_of_the_request_reaches_the_context() -> None:
    async with serve(ToySessions(key="k")) as served, httpx.AsyncClient() as client:
        headers = {"Authorization": "Bearer k"}
        response = await client.post(served.url, json={"query": "{ subject }"}, headers=headers)
        assert response.json() == {"data": {"subject": "Bearer k"}}
        assert served.sessions.asked[0]["transport"] == "http"


async def test_500_is_one_neutral_sentence(client: httpx.AsyncClient) -> None:
    response = await client.post("", json={"query": "{ hello }"}, headers={"Authorization": "Bearer explode"})
    assert_problem(response, 500, "INTERNAL", "Report the request id")
    assert "key store" not in response.text


# Request ids


async def test_harmless_request_id_is_echoed(client: httpx.AsyncClient, served: Served) -> None:
    response = await client.post("", json={"query": "{ hello }"}, headers={"X-Request-Id": "a-1.b_2:C"})
    assert response.headers["x-request-id"] == "a-1.b_2:C"
    assert served.stage.contexts[0].request_id == "a-1.b_2:C"


@pytest.mark.parametrize("given", ["a b", "x" * 129, 'a"b', "ü".encode().decode("latin-1")])
async def test_other_request_ids_are_replaced(client: httpx.AsyncClient, given: str) -> None:
    response = await client.post("", json={"query": "{ hello }"}, headers={b"X-Request-Id": given.encode("latin-1")})
    assert response.headers["x-request-id"] != given
    assert len(response.headers["x-request-id"]) == 24


# Origins


ALLOWED = {"Origin": "http://localhost:3000"}
FOREIGN = {"Origin": "http://evil.example"}


async def test_preflight_needs_no_key() -> None:
    async with (
        serve(ToySessions(key="k"), allowed_origins=["http://localhost:*"]) as served,
        httpx.AsyncClient() as client,
    ):
        asked = {**ALLOWED, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        response = await client.options(served.url, headers=asked)
    assert response.status_code == 204
    assert response.content == b""
    assert response.headers["access-control-allow-origin"] == "http://localhost:3000"
    allowed = {name.strip().lower() for name in response.headers["access-control-allow-headers"].split(",")}
    assert allowed >= {"authorization", "content-type", "x-organization", "last-event-id", "x-request-id"}
    assert "POST" in response.headers["access-control-allow-methods"]


async def test_allowed_page_may_read_the_answer(client: httpx.AsyncClient) -> None:
    response = await client.post("", json={"query": "{ hello }"}, headers=ALLOWED)
    assert response.json() == {"data": {"hello": "world"}}
    assert response.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert response.headers["access-control-expose-headers"] == "X-Request-Id, Retry-After"
    assert "Origin" in response.headers["vary"]
    assert "access-control-allow-credentials" not in response.headers


async def test_allowed_page_may_read_the_refusal_of_its_key() -> None:
    async with serve(ToySessions(key="k"), allowed_origins=["*"]) as served, httpx.AsyncClient() as client:
        response = await client.post(served.url, json={"query": "{ hello }"}, headers=FOREIGN)
        assert_problem(response, 401, "UNAUTHENTICATED")
        assert response.headers["access-control-allow-origin"] == "http://evil.example"


@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost.evil.example:1"])
async def test_other_pages_are_refused(client: httpx.AsyncClient, served: Served, method: str, origin: str) -> None:
    response = await client.request(method, "", headers={"Origin": origin, **JSON}, content=b'{"query":"{ hello }"}')
    assert_problem(response, 403, "FORBIDDEN", "`allowed_origins`")
    assert "access-control-allow-origin" not in response.headers
    assert served.stage.contexts == []


async def test_own_page_is_always_allowed(client: httpx.AsyncClient, served: Served) -> None:
    response = await client.post("", json={"query": "{ hello }"}, headers={"Origin": f"http://127.0.0.1:{served.port}"})
    assert response.json() == {"data": {"hello": "world"}}


# Leaving


async def leave_in_the_middle(served: Served, query: str) -> None:
    body = json.dumps({"query": query}).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (len(body), body)
    )
    await served.stage.reached.wait()
    writer.close()
    await writer.wait_closed()


async def test_query_whose_client_left_is_cancelled(served: Served) -> None:
    await leave_in_the_middle(served, "{ wait }")
    async with asyncio.timeout(10):
        await served.stage.cancelled.wait()


async def test_mutation_whose_client_left_runs_to_its_end() -> None:
    stage = Stage()
    async with serve(ToySessions(stage=stage)) as served:
        await leave_in_the_middle(served, "mutation { wait }")
        stage.release.set()
    assert stage.mutations == ["waited"]
    assert not stage.cancelled.is_set()


async def test_mutation_is_told_that_its_client_left(served: Served) -> None:
    await leave_in_the_middle(served, "mutation { waitUntilLeft }")
    await until(lambda: served.stage.mutations == ["left"])


async def test_slow_query_is_answered(client: httpx.AsyncClient, served: Served) -> None:
    """Longer than the time after which its client is watched."""
    asking = asyncio.create_task(client.post("", json={"query": "{ wait }"}))
    await served.stage.reached.wait()
    await asyncio.sleep(0.1)  # past `watch_after_seconds`
    served.stage.release.set()
    assert (await asking).json() == {"data": {"wait": "waited"}}


async def test_pipelined_requests_on_one_connection_are_all_answered(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    body = b'{"query":"{ hello }"}'
    request = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )
    writer.write(request * 3)
    async with asyncio.timeout(10):
        for _ in range(3):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(26) == b'{"data":{"hello":"world"}}'
    writer.close()
    await writer.wait_closed()
