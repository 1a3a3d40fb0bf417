"""GraphiQL and pages of other origins in a real browser: Chromium, where there is one."""

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, Request, Response, WebSocket, expect, sync_playwright

from tests.gateway import Gateway, running_gateway

pytestmark = pytest.mark.slow

NAMES = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if name and (path := shutil.which(name))), None)
if CHROMIUM is None:
    pytest.skip(
        "no Chromium found (CHROMIUM, PATH): GraphiQL and pages of other origins were not tried in a browser",
        allow_module_level=True,
    )

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SELECT_ALL = "ControlOrMeta+a"
RUN = "ControlOrMeta+Enter"


@pytest.fixture(scope="module")
def chromium() -> str:
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(
            "no Chromium found (CHROMIUM, PATH): GraphiQL and pages of other origins were not tried in a browser"
        )
    return found


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway() as gateway:
        yield gateway


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


class Watched:
    """A browser that has never been anywhere, and what it asked for and complained of."""

    def __init__(self, context: BrowserContext, screenshots: Path) -> None:
        self.context = context
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        self.posts: list[str] = []
        self.frames: list[str] = []
        self._screenshots = screenshots
        context.on("request", self._note_request)
        context.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("page", lambda page: page.on("websocket", self._note_socket))

    def _note_request(self, request: Request) -> None:
        self.addresses.append(request.url)
        if request.method == "POST":
            self.posts.append(request.post_data or "")

    def _note_socket(self, socket: WebSocket) -> None:
        self.addresses.append(socket.url)
        socket.on("framereceived", lambda frame: self.frames.append(str(frame)))

    def wait_for_frame(self, page: Page, text: str) -> None:
        """Until a socket received a frame with this text, perhaps before this was called."""
        for _ in range(1000):
            if any(text in frame for frame in self.frames):
                return
            page.wait_for_timeout(20)  # it is in here that the browser's events are taken note of
        raise AssertionError(f"no frame with {text!r} in 20 s, but {self.frames}")

    def open(self, url: str) -> Page:
        page = self.context.new_page()
        page.goto(url)
        return page

    def shoot(self, page: Page, name: str) -> None:
        page.screenshot(path=self._screenshots / f"{name}.png")

    def hosts(self) -> set[str]:
        """Everybody that was asked for anything; `data:` and `blob:` ask nobody."""
        parts = [urlsplit(address) for address in self.addresses]
        return {part.netloc for part in parts if part.scheme not in ("data", "blob")}


@pytest.fixture
def browser(playwright: Playwright, tmp_path: Path) -> Iterator[Watched]:
    context = playwright.chromium.launch_persistent_context(
        tmp_path / "profile",
        executable_path=CHROMIUM,
        headless=True,
        args=FLAGS,
        viewport={"width": 1360, "height": 850},
    )
    context.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield Watched(context, tmp_path)
    context.close()


def paste_operation(page: Page, text: str) -> None:
    """Replaces the text of the operation editor by what is pasted."""
    page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
    page.locator(".graphiql-query-editor .view-lines").click()
    page.keyboard.press(SELECT_ALL)
    page.keyboard.press("ControlOrMeta+v")
    expect(page.locator(".graphiql-query-editor .view-lines")).to_have_text(shown(text[:30]))


def shown(text: str) -> re.Pattern[str]:
    """The text as the editor shows it, with no-break spaces."""
    return re.compile(r"\s".join(map(re.escape, text.split(" "))))


def response_of(page: Page) -> str:
    """The visible lines of the answer."""
    return "\n".join(page.locator(".result-window .view-line").all_inner_texts())


def expect_response(page: Page, text: str) -> None:
    expect(page.locator(".result-window .view-lines")).to_contain_text(shown(text))


def open_graphiql(browser: Watched, gateway: Gateway) -> Page:
    page = browser.open(gateway.url)
    expect(page).to_have_title("Switchboard")
    # What stands there: the examples, or what another tab of this browser wrote.
    expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text(re.compile("query|subscription"))
    return page


def test_typed_query_is_answered_and_nobody_else_is_asked(browser: Watched, gateway: Gateway) -> None:
    page = open_graphiql(browser, gateway)
    page.locator(".graphiql-query-editor .view-lines").click()
    page.keyboard.press(SELECT_ALL)
    page.keyboard.type("query Typed { viewer { organization { name", delay=10)  # the editor closes the braces
    page.keyboard.press(RUN)
    expect_response(page, '"organization"')
    assert '"data"' in response_of(page)
    browser.shoot(page, "typed-query")
    assert browser.complaints == []
    assert browser.hosts() == {urlsplit(gateway.url).netloc}


def test_first_tab_lists_chats_with_the_key_of_the_demo(browser: Watched, gateway: Gateway) -> None:
    page = open_graphiql(browser, gateway)
    page.locator("button[aria-label^='Execute']").click()
    page.get_by_role("menuitem", name="Chats", exact=True).click()
    expect_response(page, '"chats"')
    assert '"errors"' not in response_of(page)
    browser.shoot(page, "first-tab")
    assert browser.complaints == []


def test_first_tab_shows_life_without_anybody_writing(browser: Watched) -> None:
    """What a newcomer does: runs the query, then the subscription, and looks."""
    with running_gateway(life="0.5", quiet=False) as lively:
        page = open_graphiql(browser, lively)
        page.locator("button[aria-label^='Execute']").click()
        page.get_by_role("menuitem", name="Chats", exact=True).click()
        expect_response(page, '"chats"')
        browser.shoot(page, "lively-query")
        page.locator("button[aria-label^='Execute']").click()
        page.get_by_role("menuitem", name="NewMessages", exact=True).click()
        for text in ('"role":"USER"', '"role":"ASSISTANT"'):
            browser.wait_for_frame(page, text)
        expect_response(page, '"messageAdded"')
        first = response_of(page)
        expect(page.locator(".result-window .view-lines")).not_to_have_text(shown(first))
        browser.shoot(page, "lively-subscription")
        assert browser.complaints == []


def test_documentation_is_readable(browser: Watched, gateway: Gateway) -> None:
    page = open_graphiql(browser, gateway)
    page.get_by_role("button", name=re.compile("Documentation")).click()
    docs = page.locator(".graphiql-doc-explorer")
    docs.get_by_role("link", name="Subscription").first.click()
    expect(docs).to_contain_text("messageAdded")
    browser.shoot(page, "documentation")
    assert browser.complaints == []


# The page keeps its tabs a moment after the last change. (`wait_for_function` is what the page's policy forbids.)
UNTIL_KEPT = """(text) => new Promise((resolve) => {
  const look = () => Object.values(localStorage).some((kept) => kept.includes(text)) ? resolve() : setTimeout(look, 20);
  look();
})"""


def test_key_is_not_kept_in_the_browser(browser: Watched, gateway: Gateway) -> None:
    page = open_graphiql(browser, gateway)
    paste_operation(page, "{ viewer { role } }")
    page.keyboard.press(RUN)
    expect_response(page, '"role"')
    page.evaluate(UNTIL_KEPT, "viewer { role }")
    page.reload()
    expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text("role")  # the tab, however, is kept
    kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert "viewer" in kept
    assert gateway.api_key not in kept
    expect(page.locator(".graphiql-editors")).to_contain_text(gateway.api_key)  # asked for anew


def test_message_sent_in_one_tab_arrives_live_in_another(browser: Watched, gateway: Gateway) -> None:
    """The subscription is run right after a paste: it must go over the socket although GraphiQL still names the former operation."""
    listener = open_graphiql(browser, gateway)
    paste_operation(listener, "subscription Live { messageAdded { message { text } } }")
    listener.keyboard.press(RUN)
    browser.wait_for_frame(listener, "connection_ack")

    speaker = open_graphiql(browser, gateway)
    paste_operation(speaker, "{ sources { id vendor } chats(first: 100) { nodes { id source { vendor } } } }")
    with speaker.expect_response(is_answer_about("sources")) as answered:
        speaker.keyboard.press(RUN)
    chats = answered.value.json()["data"]["chats"]["nodes"]
    chat = next(chat["id"] for chat in chats if chat["source"]["vendor"] == "local")
    paste_operation(
        speaker,
        f'mutation {{ sendMessage(input: {{ chatId: "{chat}", text: "Hello from the other tab", reply: NONE }})'
        " { message { id } userErrors { message } } }",
    )
    speaker.keyboard.press(RUN)
    expect_response(speaker, '"userErrors"')

    listener.bring_to_front()
    expect_response(listener, "Hello from the other tab")
    browser.shoot(listener, "subscription")
    assert not any("subscription Live" in post for post in browser.posts)
    assert browser.complaints == []
    assert browser.hosts() == {urlsplit(gateway.url).netloc}


def is_answer_about(field: str) -> Callable[[Response], bool]:
    """Tells the answer to an operation from the introspection that opened the page."""
    return lambda response: response.request.method == "POST" and field in (response.request.post_data or "")[:40]


FOREIGN_PAGE = """<!doctype html><meta charset="utf-8"><title>A front end</title><link rel="icon" href="data:,">
<script>
const url = %(url)r, key = %(key)r;
const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
window.ask = async (query) => {
  try { return await (await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query }) })).json(); }
  catch (error) { return `refused: ${error.name}`; }
};
// Resolves to the first message of a subscription, or to how the socket ended.
window.subscribe = (query) => new Promise((resolve) => {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), 'graphql-transport-ws');
  socket.onopen = () => socket.send(JSON.stringify({ type: 'connection_init', payload: { Authorization: `Bearer ${key}` } }));
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'connection_ack') socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
    if (message.type === 'next' || message.type === 'error') { resolve(message.payload); socket.close(); }
  };
  socket.onclose = ({ code }) => resolve(`closed: ${code}`);
});
</script>"""


class FrontEnd(BaseHTTPRequestHandler):
    def __init__(self, *args: object, page: bytes) -> None:
        self._page = page
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self._page)

    def log_message(self, *_: object) -> None:
        """Nothing: the tests speak for themselves."""


@pytest.fixture
def front_end(gateway: Gateway) -> Iterator[int]:
    """The port of somebody's front end, which asks the gateway from another origin."""
    page = (FOREIGN_PAGE % {"url": gateway.url, "key": gateway.api_key}).encode()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(FrontEnd, page=page)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_page_of_a_listed_origin_queries_and_subscribes(browser: Watched, front_end: int) -> None:
    """The demo lists every port of `localhost` and `127.0.0.1`."""
    page = browser.open(f"http://127.0.0.1:{front_end}/")
    answer = page.evaluate("ask('{ viewer { role } chats(first: 1) { eventCursor } }')")
    assert answer["data"]["viewer"]["role"]
    after = answer["data"]["chats"]["eventCursor"]
    live = page.evaluate(
        "(after) => subscribe(`subscription { chatEvents(after: ${JSON.stringify(after)}) { __typename } }`)", after
    )
    assert live["data"]["chatEvents"]["__typename"]
    assert browser.complaints == []


def test_page_of_an_origin_that_is_not_listed_is_refused_both(browser: Watched, front_end: int) -> None:
    """`app.localhost` is this machine to a browser, and not one of the names that the demo lists."""
    page = browser.open(f"http://app.localhost:{front_end}/")
    assert page.evaluate("location.origin") == f"http://app.localhost:{front_end}"
    assert page.evaluate("ask('{ viewer { role } }')") == "refused: TypeError"
    ended = page.evaluate("subscribe('subscription { chatEvents { __typename } }')")
    assert re.fullmatch(r"closed: (1006|4403)", ended)
