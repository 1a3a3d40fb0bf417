import gzip
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from graphql import build_schema, parse, validate
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from switchboard.http.graphiql import GraphiQLPage

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[3] / "switchboard" / "graphiql" / "src" / "examples"
SCHEMA = Path(__file__).parents[3] / "schema" / "schema.graphql"
LOOPBACK = ("127.0.0.1", 50000)
SCRIPT = b"console.log('hello')"


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "graphiql").mkdir()
    (tmp_path / "index.html").write_bytes(b"<!doctype html><title>Switchboard</title>")
    (tmp_path / "graphiql" / "index-abc.js").write_bytes(SCRIPT)
    (tmp_path / "graphiql" / "index-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "secret.js").write_bytes(b"not to be served")
    return tmp_path


def a_client(
    dist: Path,
    *,
    key: Callable[[], str | None] = lambda: "sb_demo",
    client: tuple[str, int] = LOOPBACK,
    url: str = "http://127.0.0.1:4000",
    root_path: str = "",
) -> httpx.AsyncClient:
    """A browser at the address `client` that was told to open `url`."""
    page = GraphiQLPage(dist, key)
    app = Starlette(routes=[Route("/graphql", page), Mount("/graphiql", app=page.assets)])
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=client, root_path=root_path),
        base_url=url,
        headers={"Accept-Encoding": "identity"},
    )


async def test_page_may_load_from_its_own_host_only(dist: Path) -> None:
    async with a_client(dist) as browser:
        answer = await browser.get("/graphql", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["worker-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "http" not in answer.headers["content-security-policy"]


async def test_page_is_asked_for_again_and_what_it_names_is_kept_for_good(dist: Path) -> None:
    """The page names files by a hash of their content: an old page would look for files that are gone."""
    async with a_client(dist) as browser:
        page = await browser.get("/graphql")
        script = await browser.get("/graphiql/index-abc.js")
    assert page.headers["cache-control"] == "no-cache"
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert script.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("accept_encoding", "sent"),
    [("gzip, br", "gzip"), ("br;q=1, gzip;q=0.5", "gzip"), ("gzip;q=0", None), ("identity", None), ("", None)],
)
async def test_compressed_neighbour_is_sent_to_who_takes_it(dist: Path, accept_encoding: str, sent: str | None) -> None:
    async with a_client(dist) as browser:
        answer = await browser.get("/graphiql/index-abc.js", headers={"Accept-Encoding": accept_encoding})
    assert answer.headers.get("content-encoding") == sent
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content == SCRIPT


@pytest.mark.parametrize(
    "name",
    [
        "../secret.js",
        "..%2fsecret.js",
        "%2e%2e/secret.js",
        "..%5csecret.js",
        "/secret.js",
        "index-abc.js.gz",
        "index-abc.js%00",
        "index-abc.js%0a",
        "missing.js",
        "index.html",
        "x" * 5000 + ".js",
    ],
)
async def test_nothing_but_the_page_s_own_files_is_served(dist: Path, name: str) -> None:
    async with a_client(dist) as browser:
        answer = await browser.send(browser.build_request("GET", f"http://127.0.0.1:4000/graphiql/{name}"))
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/graphql", "/graphiql/index-abc.js", "/graphiql/demo-key"])
async def test_files_are_read_and_never_written(dist: Path, path: str) -> None:
    async with a_client(dist) as browser:
        answer = await browser.put(path)
        head = await browser.head(path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert (head.status_code, head.content) == (200, b"")


async def test_folder_of_the_assets_leads_to_the_page(dist: Path) -> None:
    async with a_client(dist) as browser:
        answer = await browser.get("/graphiql/", follow_redirects=True)
    assert answer.url == "http://127.0.0.1:4000/graphql"
    assert answer.status_code == 200


async def test_page_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    async with a_client(tmp_path) as browser:
        answer = await browser.get("/graphql")
    assert answer.status_code == 503
    assert "make graphiql" in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("url", ["http://127.0.0.1:4000", "http://localhost:4000", "http://[::1]:4000"])
async def test_demo_gives_its_key_to_its_own_page(dist: Path, url: str) -> None:
    async with a_client(dist, url=url) as browser:
        answer = await browser.get("/graphiql/demo-key", headers={"Sec-Fetch-Site": "same-origin"})
    assert (answer.status_code, answer.json()) == (200, {"api_key": "sb_demo"})
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def assert_no_key(browser: httpx.AsyncClient, headers: dict[str, str] | None = None) -> None:
    async with browser:
        answer = await browser.get("/graphiql/demo-key", headers=headers or {})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"


async def test_start_that_is_no_demo_has_no_key_to_give(dist: Path) -> None:
    await assert_no_key(a_client(dist, key=lambda: None))


async def test_key_is_not_given_to_another_machine(dist: Path) -> None:
    await assert_no_key(a_client(dist, client=("192.0.2.7", 50000)))


async def test_key_is_not_given_over_an_address_that_others_reach(dist: Path) -> None:
    await assert_no_key(a_client(dist, url="http://192.0.2.1:4000"))


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example.com:4000"},
        {"Host": "127.0.0.1.example.com"},
        {"Host": "localhost@example.com"},
        {"Host": "[::1"},
        {"Host": ""},
        {"X-Forwarded-For": "192.0.2.7"},
        {"X-Real-IP": "127.0.0.1"},
        {"Forwarded": "for=192.0.2.7"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_key_is_not_given_to_a_page_or_proxy_of_somebody_else(dist: Path, headers: dict[str, str]) -> None:
    """A name that points here, a proxy on this machine, a page of another port: all reach loopback."""
    await assert_no_key(a_client(dist), headers)


@pytest.mark.parametrize("name", ["chats", "open-chat", "send-message"])
async def test_example_is_valid(name: str) -> None:
    schema = build_schema(SCHEMA.read_text())
    assert validate(schema, parse((EXAMPLES / f"{name}.graphql").read_text())) == []
