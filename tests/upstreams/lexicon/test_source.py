"""What is particular to Lexicon's chats and messages; each test is named after its quirk."""

import json
from contextlib import suppress
from typing import Any

import httpx
import pytest

from domain.capabilities import Capability, ChatOrder, ChatOrderField
from domain.errors import (
    CapabilityMissing,
    Conflict,
    InvalidArgument,
    NotFound,
    UnexpectedAnswer,
    UpstreamError,
    UpstreamRejected,
    UpstreamTooLarge,
    UpstreamUnavailable,
)
from domain.records import Account, AccountKind, Attachment, Chat, MessageRole, Person
from domain.source import FirstMessage, MessagesRead, MessageWindow, NewChat
from resolvers.forms import check_form
from tests.upstreams.lexicon.tenant import KEY, Place, Tenant, a_chat, a_message, a_place
from tests.upstreams.recorded import Replay, load
from tests.upstreams.wire import Exchange, a_source, an_answer, wire
from upstreams.http import UpstreamClients
from upstreams.lexicon.forms import CREATE_CHAT_SCHEMA, CREDENTIALS_SCHEMA, OPTIONS_SCHEMA
from upstreams.lexicon.source import lexicon
from upstreams.policy import UpstreamSettings

pytestmark = pytest.mark.anyio
NEWEST = ChatOrder(ChatOrderField.CREATED_AT, descending=True)
OLDEST = ChatOrder(ChatOrderField.CREATED_AT, descending=False)
WHOLE = MessageWindow(last=100)


def chats(count: int, user_id: str = "anna", prefix: str = "c") -> list[dict[str, Any]]:
    """Oldest first, as a tenant keeps them."""
    return [
        a_chat(f"{prefix}{n:03}", user_id, created_at=f"2026-01-01T{n // 60:02}:{n % 60:02}:00Z") for n in range(count)
    ]


def talk(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        a_message(f"m{n:04}", ("user", "assistant")[n % 2], f"words {n}", at=f"2026-01-01T{n // 60:02}:{n % 60:02}:00Z")
        for n in range(first, first + count)
    ]


async def listed(place: Place, order: ChatOrder) -> list[list[str]]:
    """All native pages, by id."""
    pages, token = [], None
    while True:
        page = await place.source.list_chats(order, token)
        pages.append([chat.native_id for chat in page.rows])
        if page.next is None:
            return pages
        token = page.next


async def drained(place: Place) -> list[Chat]:
    return [chat async for page in place.source.drain_chats(frozenset()) for chat in page.rows]


async def read(place: Place, **window: Any) -> MessagesRead:
    found = await place.source.read_messages("c", MessageWindow(**window))
    assert found is not None
    return found


def ids(found: MessagesRead) -> list[str]:
    return [message.native_id for message in found.messages]


# Chats


async def test_metadata_goes_in_as_such_and_comes_out_of_the_config() -> None:
    transport = Replay(load("lexicon"), ["create_chat", "get_chat"])
    connector = lexicon(UpstreamClients(transport=transport))
    source = connector.connect(a_source("lexicon", user_ids=["user123"]), {"api_key": KEY})
    metadata = {"department": "technical", "priority": "high"}
    made = await source.create_chat(NewChat(title="Support Session", metadata=metadata))
    assert transport.bodies == [{"user_id": "user123", "title": "Support Session", "metadata": metadata}]
    assert (made.title, made.metadata, made.owner) == ("Support Session", metadata, Person("user123"))
    assert "message_count" not in made.told
    found = await source.get_chat("0e5cba52-97b6-4a1c-8d53-1c6c1c8f4a01")
    assert found is not None
    assert (found.message_count, found.metadata) == (2, metadata)
    assert found.raw is not None
    assert found.raw["status"] == "active"
    assert "config" not in found.raw
    assert [request.headers["x-api-key"] for request in transport.requests] == [KEY] * 2


async def test_example_of_the_documentation_arrives_field_by_field() -> None:
    """The request of the page "Create Chat"."""
    place = a_place(Tenant(), user_ids=["user123"])
    metadata = {"department": "technical", "priority": "high"}
    new = NewChat(user_id="user123", title="Support Session", metadata=metadata)
    made = await place.source.create_chat(new)
    (request,) = place.transport.requests
    assert place.lines == ["POST /api/v1/chats/"]
    assert json.loads(request.content) == {"user_id": "user123", "title": "Support Session", "metadata": metadata}
    assert made.metadata == metadata


@pytest.mark.parametrize(("order", "first"), [(NEWEST, "c119"), (OLDEST, "c000")])
async def test_chats_of_one_user_are_paged_by_offset_both_ways(order: ChatOrder, first: str) -> None:
    place = a_place(Tenant(chats=chats(120)))
    pages = await listed(place, order)
    assert [len(page) for page in pages] == [50, 50, 20]
    assert pages[0][0] == first
    assert len({chat_id for page in pages for chat_id in page}) == 120
    last = await place.source.list_chats(order, "100")
    assert last.previous == "50"
    assert (await place.source.list_chats(order, "50")).previous == "0"
    assert (await place.source.list_chats(order, "0")).previous is None


async def test_user_without_chats_is_an_empty_list() -> None:
    """Lexicon answers 404 for an unknown user and for one without chats."""
    place = a_place(Tenant())
    page = await place.source.list_chats(NEWEST, None)
    assert (list(page.rows), page.next, page.previous) == ([], None, None)
    assert await drained(place) == []


@pytest.mark.parametrize(
    ("total", "has_more", "calls"),
    [(2, False, 1), (3, False, 2), (2, True, 2), (None, None, 2), (None, False, 1), (2, None, 1), (2**70, True, 2)],
)
async def test_end_of_a_list_is_believed_only_where_total_and_has_more_agree(
    total: int | None, has_more: bool | None, calls: int
) -> None:
    """The documentation's own example has rows, a greater `total` and `has_more: false`."""
    tenant = Tenant()
    page: dict[str, Any] = {"chats": chats(2)}
    page |= {name: value for name, value in (("total", total), ("has_more", has_more)) if value is not None}
    tenant.overrides["GET /api/v1/chats/user/anna"] = [an_answer(page), an_answer({**page, "chats": []})]
    place = a_place(tenant)
    assert len(await drained(place)) == 2
    assert len(place.lines) == calls


async def test_list_that_never_ends_is_left_when_nothing_new_comes() -> None:
    tenant = Tenant()
    page = {"chats": chats(50), "total": 10**9, "has_more": True}
    tenant.overrides["GET /api/v1/chats/user/anna"] = [an_answer(page)]
    place = a_place(tenant)
    assert len(await drained(place)) == 50
    assert len(place.lines) == 2


async def test_chat_that_two_pages_show_is_drained_once() -> None:
    tenant = Tenant()
    many = chats(60)
    tenant.overrides["GET /api/v1/chats/user/anna"] = [
        an_answer({"chats": many[:50], "total": 60, "has_more": True}),
        an_answer({"chats": many[48:], "total": 60, "has_more": False}),
    ]
    assert [chat.native_id for chat in await drained(a_place(tenant))] == [chat["id"] for chat in many]


async def test_chats_of_several_users_are_drained_and_have_no_order() -> None:
    place = a_place(
        Tenant(chats=[*chats(60), *chats(3, "ben", "b"), *chats(2, "eve", "e")]), user_ids=["anna", "ben", "nobody"]
    )
    assert place.source.capabilities.native_orders == ()
    found = await drained(place)
    assert len(found) == 63
    assert {chat.owner for chat in found} == {Person("anna"), Person("ben")}
    with pytest.raises(CapabilityMissing):
        await place.source.list_chats(NEWEST, None)


async def test_source_without_users_has_no_list_and_says_so_before_any_call() -> None:
    place = a_place(Tenant(), user_ids=None, user_id="viewer")
    assert not place.source.capabilities.can(Capability.LIST_CHATS)
    with pytest.raises(CapabilityMissing, match="`user_ids`"):
        await place.source.list_chats(NEWEST, None)
    assert place.lines == []
    assert [check.passed for check in await place.source.check()] == [True, True]


async def test_chat_of_somebody_else_is_as_absent_as_one_that_does_not_exist() -> None:
    """The tenant's key reads the chats of all of its users."""
    tenant = Tenant(chats=[a_chat("c", "ben")], messages={"c": talk(2)})
    place = a_place(tenant)
    for _ in range(2):  # the second time it is known whose it is
        assert await place.source.get_chat("c") is None
        assert await place.source.read_messages("c", WHOLE) is None
        assert await place.source.get_message("c", "m0000") is None
        with pytest.raises(NotFound):
            await place.source.delete_chat("c")
    assert tenant.chats
    assert not any("messages" in line or "DELETE" in line for line in place.lines)


@pytest.mark.parametrize(
    ("options", "asked", "used"),
    [
        ({"user_ids": ["anna"]}, None, "anna"),
        ({"user_ids": ["anna", "ben"]}, "ben", "ben"),
        ({"user_ids": ["anna", "ben"], "user_id": "robot"}, None, "robot"),
        ({"user_ids": None, "user_id": "robot"}, "robot", "robot"),
        ({"user_ids": None, "user_id": "viewer"}, "whoever", "whoever"),
    ],
)
async def test_user_of_a_new_chat_follows_the_options(options: dict[str, Any], asked: str | None, used: str) -> None:
    place = a_place(Tenant(), **options)
    made = await place.source.create_chat(NewChat(user_id=asked))
    assert json.loads(place.transport.requests[0].content) == {"user_id": used}
    assert made.owner == Person(used)
    assert await place.source.get_chat(made.native_id) is not None


@pytest.mark.parametrize(
    ("options", "new", "path"),
    [
        ({"user_ids": ["anna", "ben"]}, NewChat(), "userId"),
        ({"user_ids": ["anna"]}, NewChat(user_id="eve"), "userId"),
        ({"user_ids": ["anna"], "user_id": "viewer"}, NewChat(), "userId"),
        ({"user_id": "viewer"}, NewChat(user_id="a\nb"), "userId"),
        ({}, NewChat(options={"x": 1}), "options"),
        ({}, NewChat(messages=(FirstMessage(id="m", role=MessageRole.USER, text="hi"),)), "messages"),
    ],
    ids=["which user", "stranger", "key without subject", "no header carries it", "options", "messages"],
)
async def test_impossible_chat_is_refused_before_any_call(options: dict[str, Any], new: NewChat, path: str) -> None:
    place = a_place(Tenant(), **options)
    with pytest.raises(InvalidArgument) as caught:
        await place.source.create_chat(new)
    assert caught.value.path == (path,)
    assert place.lines == []


async def test_tenant_is_known_from_any_chat() -> None:
    place = a_place(Tenant(chats=chats(1, "ben")), user_ids=["anna", "ben"])
    assert await place.source.account() == Account(kind=AccountKind.TENANT, native_id="t-1")
    assert await a_place(Tenant()).source.account() is None


# Messages


async def test_short_chat_is_read_whole_in_one_call() -> None:
    place = a_place(Tenant(chats=[a_chat()], messages={"c": talk(100)}))
    await place.source.get_chat("c")
    found = await read(place, last=3)
    assert (found.is_complete, found.total, found.active_leaf) == (True, 100, "m0099")
    assert ids(found) == [f"m{n:04}" for n in range(100)]
    assert [message.parent_id for message in found.messages][:3] == [None, "m0000", "m0001"]
    assert place.lines[1:] == ["GET /api/v1/chats/c/messages?offset=0&limit=100&order=desc"]


async def test_message_carries_model_and_attachment() -> None:
    transport = Replay(load("lexicon"), ["get_chat", "list_messages"])
    connector = lexicon(UpstreamClients(transport=transport))
    source = connector.connect(a_source("lexicon", user_ids=["user123"]), {"api_key": KEY})
    found = await source.read_messages("0e5cba52-97b6-4a1c-8d53-1c6c1c8f4a01", WHOLE)
    assert found is not None
    question, answer = found.messages
    assert question.attachments == (Attachment(url="https://files.example.com/printer.png"),)
    assert (answer.model, answer.role, answer.metadata) == (
        "support-1",
        MessageRole.ASSISTANT,
        {"model": "support-1", "tokens_used": 17},
    )


@pytest.mark.parametrize("size", [1, 50, 99, 100])
async def test_long_chat_is_paged_backwards_by_windows_that_join_without_hole(size: int) -> None:
    place = a_place(Tenant(chats=[a_chat()], messages={"c": talk(335)}))
    found = await read(place, last=size)
    assert (found.is_complete, found.has_after, found.active_leaf) == (False, False, "m0334")
    seen = ids(found)
    for page in range(2, 400):
        assert len(found.messages) == size or not found.has_before
        if not found.has_before:
            break
        # New messages push all others to other rows; the window goes on where it stood all the same.
        place.tenant.store("c", *talk(1, 1000 + page))
        calls = len(place.lines)
        found = await read(place, last=size, before=seen[0])
        assert found.has_after
        assert len(place.lines) - calls <= 2 + (size + 2) // 100 + page // 100
        seen = [*ids(found), *seen]
    assert seen == [f"m{n:04}" for n in range(335)]


@pytest.mark.parametrize("size", [1, 50, 100])
async def test_long_chat_is_paged_forwards(size: int) -> None:
    place = a_place(Tenant(chats=[a_chat()], messages={"c": talk(335)}))
    found = await read(place, first=size)
    seen = ids(found)
    assert not found.has_before
    while found.has_after:
        found = await read(place, first=size, after=seen[-1])
        assert found.has_before
        seen += ids(found)
    assert seen == [f"m{n:04}" for n in range(335)]
    assert found.active_leaf == "m0334"


async def test_parents_are_the_same_in_every_window() -> None:
    """A parent that came and went with the window would look like an edit."""
    place = a_place(Tenant(chats=[a_chat()], messages={"c": talk(250)}))
    parents: dict[str, str | None] = {}
    for window in (
        {"last": 7},
        {"last": 100},
        {"last": 30, "before": "m0200"},
        {"first": 9},
        {"first": 20, "after": "m0100"},
        {"last": 100, "before": "m0050"},
    ):
        for message in (await read(place, **window)).messages:
            assert parents.setdefault(message.native_id, message.parent_id) == message.parent_id
    assert all(parent == f"m{int(child[1:]) - 1:04}" for child, parent in parents.items() if child != "m0000")


async def test_position_that_the_chat_does_not_have_is_left_to_whoever_cuts() -> None:
    place = a_place(Tenant(chats=[a_chat()], messages={"c": talk(150)}))
    for window in ({"last": 5, "before": "never"}, {"first": 5, "after": "never"}):
        found = await read(place, **window)  # everything was read: whoever cuts the window says so
        assert found.is_complete
        assert len(found.messages) == 150


async def test_place_of_a_message_that_moved_is_searched_from_the_end() -> None:
    place = a_place(Tenant(chats=[a_chat()], messages={"c": talk(250)}))
    oldest = ids(await read(place, last=100, before="m0120"))[0]
    del place.tenant.messages["c"][150:]  # Lexicon has no call for it, its operators may
    found = await read(place, last=10, before=oldest)
    assert found.is_complete or ids(found) == [f"m{n:04}" for n in range(10, 20)]
    missing = await read(place, last=10, before="m0200")
    assert missing.is_complete
    assert len(missing.messages) == 150


async def test_message_of_a_long_chat_is_found_with_its_parent() -> None:
    place = a_place(Tenant(chats=[a_chat()], messages={"c": talk(250)}))
    for message_id, parent_id in (("m0249", "m0248"), ("m0150", "m0149"), ("m0149", "m0148"), ("m0000", None)):
        found = await place.source.get_message("c", message_id)
        assert found is not None
        assert found.parent_id == parent_id
    assert await place.source.get_message("c", "never") is None


async def test_messages_that_two_pages_show_are_there_once_and_a_list_that_never_ends_is_left() -> None:
    tenant = Tenant(chats=[a_chat()])
    page = {"messages": talk(100)[::-1], "total": 10**9, "has_more": True}
    tenant.overrides["GET /api/v1/chats/c/messages"] = [an_answer(page)]
    place = a_place(tenant)
    found = await read(place, last=100)
    assert len(found.messages) == 100
    assert len(place.lines) == 3
    assert await place.source.get_message("c", "never") is None


async def test_strange_rows_are_left_out_and_counted() -> None:
    odd: list[Any] = [
        None,
        {},
        a_message("../x"),
        {**a_message("x"), "created_at": "today"},
        {**a_message("y"), "content": 7},
    ]
    place = a_place(Tenant(chats=[a_chat()], messages={"c": [a_message("a"), *odd, a_message("b", "robot")]}))
    found = await read(place, last=100)
    assert (ids(found), found.skipped.count, found.total) == (["a", "b"], 5, None)
    assert found.messages[1].role is MessageRole.OTHER
    assert place.source.health().contract_drift == 5


@pytest.mark.parametrize(
    ("row", "json_path"),
    [
        ({**a_chat(), "user_id": None}, "$.user_id"),
        ({**a_chat(), "created_at": 7}, "$.created_at"),
        ({**a_chat(), "config": []}, "$.config"),
        ({**a_chat(), "config": {"metadata": "x"}}, "$.config.metadata"),
        ({**a_chat(), "id": "\x00"}, "$.id"),
    ],
)
async def test_chat_of_another_shape_names_the_place(row: dict[str, Any], json_path: str) -> None:
    tenant = Tenant(overrides={"GET /api/v1/chats/c": [an_answer(row)], "GET /api/v1/chats/user/anna": []})
    tenant.overrides["GET /api/v1/chats/user/anna"] = [
        an_answer({"chats": [row, a_chat("good")], "total": 2, "has_more": False})
    ]
    place = a_place(tenant)
    with pytest.raises(UnexpectedAnswer) as caught:
        await place.source.get_chat("c")
    assert caught.value.json_path == json_path
    page = await place.source.list_chats(NEWEST, None)
    assert ([chat.native_id for chat in page.rows], page.skipped.count) == (["good"], 1)


async def test_number_beyond_every_count_tells_nothing() -> None:
    place = a_place(Tenant(chats=[a_chat(message_count=2**53 + 1), a_chat("d", message_count=-1, status="frozen")]))
    for chat in await drained(place):
        assert chat.message_count is None
        assert "message_count" not in chat.told


@pytest.mark.parametrize(
    "more",
    [{"config": None}, {"config": {}}, {"config": {"metadata": None}}, {"title": None}, {"last_message_at": None}],
)
async def test_what_may_be_missing_is_not_set(more: dict[str, Any]) -> None:
    place = a_place(Tenant(chats=[a_chat(**more)]))
    found = await place.source.get_chat("c")
    assert found is not None
    assert found.metadata is None or "config" not in more
    assert "metadata" in found.told


# Failures


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "no way"},
        {"detail": [{"loc": ["body"], "msg": "no way", "input": "private words"}]},
        {"error": "no way"},
        {"error": {"message": "no way", "code": 7}},
        {"message": "no way"},
        "no way",
    ],
    ids=lambda body: json.dumps(body),
)
async def test_words_of_an_error_are_found_in_every_usual_place(body: Any) -> None:
    """The shape of errors is not documented."""
    place = a_place(Tenant(overrides={"POST /api/v1/chats/": [an_answer(body, 400)]}))
    with pytest.raises(UpstreamRejected) as caught:
        await place.source.create_chat(NewChat())
    assert '"no way"' in caught.value.message
    assert "private words" not in caught.value.message


@pytest.mark.parametrize("body", [{}, [], None, 7, {"detail": 7}, {"detail": {"deep": {"er": 1}}}])
async def test_error_of_another_shape_is_still_that_error(body: Any) -> None:
    place = a_place(Tenant(overrides={"GET /api/v1/chats/c": [an_answer(body, 500)]}))
    with pytest.raises(UpstreamUnavailable):
        await place.source.get_chat("c")


async def test_recorded_refusals_mean_what_they_say() -> None:
    answers = load("lexicon")
    tenant = Tenant(chats=[a_chat()])
    place = a_place(tenant)
    tenant.overrides["POST /api/v1/chats/"] = [answers["create_chat_invalid"].response()]
    with pytest.raises(UpstreamRejected, match="Field required") as rejected:
        await place.source.create_chat(NewChat())
    assert "private words" not in rejected.value.message
    tenant.overrides["DELETE /api/v1/chats/c"] = [answers["delete_chat_open"].response()]
    with pytest.raises(Conflict):
        await place.source.delete_chat("c")
    tenant.overrides["GET /api/v1/chats/c/messages"] = [answers["list_messages_limit"].response()]
    with pytest.raises(UpstreamRejected):
        await place.source.read_messages("c", WHOLE)
    tenant.overrides["GET /api/v1/chats/user/anna"] = [answers["list_chats_none"].response()]
    assert list((await place.source.list_chats(NEWEST, None)).rows) == []


async def test_lost_answer_of_a_creation_counts_as_perhaps_executed_and_is_not_repeated() -> None:
    place = a_place(Tenant(overrides={"POST /api/v1/chats/": [an_answer({"id": "c"}, 201)]}))
    with pytest.raises(UnexpectedAnswer) as caught:
        await place.source.create_chat(NewChat())
    assert caught.value.perhaps_executed
    assert len(place.lines) == 1


async def test_web_page_in_place_of_messages_is_no_empty_chat() -> None:
    page = httpx.Response(200, headers={"Content-Type": "text/html"}, content=b"<html>")
    place = a_place(Tenant(chats=[a_chat()], overrides={"GET /api/v1/chats/c/messages": [page]}))
    with pytest.raises(UnexpectedAnswer):
        await place.source.read_messages("c", WHOLE)


async def endless(exchange: Exchange) -> None:
    await exchange.write(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\n\r\n{")
    with suppress(ConnectionError):
        while True:
            await exchange.write(b" " * 65536)


async def half(exchange: Exchange) -> None:
    await exchange.write(b'HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"chats": [')
    exchange.drop()


async def drip(exchange: Exchange) -> None:
    await exchange.write(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
    await exchange.writer.wait_closed()


@pytest.mark.parametrize(
    ("act", "kind"), [(endless, UpstreamTooLarge), (half, UpstreamUnavailable), (drip, UpstreamError)]
)
async def test_answer_that_is_too_large_breaks_off_or_drips_ends_in_time(act: Any, kind: type[Exception]) -> None:
    settings = UpstreamSettings(
        allow_private_addresses=True, timeout_seconds=0.5, max_answer_bytes=200_000, backoff_seconds=0.01
    )
    clients = UpstreamClients(settings)
    async with wire(act) as server:
        source = lexicon(clients).connect(a_source("lexicon", server.url, user_ids=["anna"]), {"api_key": KEY})
        with pytest.raises(kind):
            await source.list_chats(NEWEST, None)
        await clients.aclose()


# Forms


@pytest.mark.parametrize(
    ("schema", "form", "path"),
    [
        (OPTIONS_SCHEMA, {"user_ids": []}, ("user_ids",)),
        (OPTIONS_SCHEMA, {"user_ids": ["a\r\nX-API-Key: b"]}, ("user_ids", "0")),
        (OPTIONS_SCHEMA, {"user_ids": ["a"], "polling": 1}, ("polling",)),
        (CREDENTIALS_SCHEMA, {"api_key": "a\nb"}, ("api_key",)),
        (CREDENTIALS_SCHEMA, {}, ("api_key",)),
        (CREATE_CHAT_SCHEMA, {"agent": "a"}, ("agent",)),
        (CREATE_CHAT_SCHEMA, {"metadata": [1]}, ("metadata",)),
        (CREATE_CHAT_SCHEMA, {"messages": [{}]}, ("messages",)),
        (CREATE_CHAT_SCHEMA, {"options": {"x": 1}}, ("options",)),
    ],
)
def test_form_names_the_field_that_is_wrong(
    schema: dict[str, Any], form: dict[str, Any], path: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_form(schema, form)
    assert caught.value.path == path


@pytest.mark.parametrize("options", [{"user_ids": ["anna b"]}, {"user_id": "viewer"}, {"user_id": "robot"}])
def test_options_need_one_way_to_know_a_user(options: dict[str, Any]) -> None:
    check_form(OPTIONS_SCHEMA, options)
    with pytest.raises(InvalidArgument):
        check_form(OPTIONS_SCHEMA, {})
