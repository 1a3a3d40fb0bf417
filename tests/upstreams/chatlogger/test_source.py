"""What is particular to writing at ChatLogger, and to having one credential of two; each test is named after its quirk."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from domain.capabilities import Capability, SupportLevel
from domain.errors import (
    CapabilityMissing,
    InvalidArgument,
    NotFound,
    UnexpectedAnswer,
    UpstreamError,
    UpstreamRejected,
    UpstreamUnauthorized,
    UpstreamUnavailable,
)
from domain.records import Account, AccountKind, Attachment, MessageRole, Person
from domain.source import ChatSource, FirstMessage, MessageWindow, NewChat, NewMessage, Progress, SearchRequest
from tests.upstreams.chatlogger.server import BEGIN, BOTH, KEY, KEY_ALONE, LOGIN, Server, a_message, a_row
from tests.upstreams.recorded import load
from tests.upstreams.wire import an_answer
from upstreams.chatlogger.capabilities import CAPABILITIES, CREATED_DESC, table_of
from upstreams.chatlogger.forms import CREATE_CHAT_SCHEMA, CREDENTIALS_SCHEMA, OPTIONS_SCHEMA

pytestmark = pytest.mark.anyio
C = Capability
ALL_TWELVE = {
    "avg_response_time": 42.0,
    "country_code": "NL",
    "ip_address": "192.0.2.1",
    "is_escalated": True,
    "is_forwarded_to_hr": True,
    "language_code": "tr",
    "question_category": "leave",
    "sentiment": "calm",
    "session_id": "s-1",
    "token_count": 42,
    "transcript_link": "https://example.com/t",
    "user_rating": 5,
}


def to_send(text: str = "hi", **more: Any) -> NewMessage:
    known: dict[str, Any] = {"role": MessageRole.USER, "parent_id": None, "chat_id": "1"}
    return NewMessage(id="ours", reply_id="ours-too", text=text, **{**known, **more})


async def sent(source: ChatSource, new: NewMessage) -> list[Progress]:
    return [progress async for progress in source.send_message(new)]


# Creating


async def test_every_field_of_the_documented_example_arrives_as_it_was_given() -> None:
    server = Server(chats=[a_row(1)])
    new = NewChat(title="Leave", tags=("b", "a"), metadata=ALL_TWELVE, user_id="42")
    await server.connect(user_ids=["42"]).create_chat(new)
    assert server.asked == ["POST /v1/orgs/acme/chats", "GET /v1/chats/1"]
    assert server.sent == [{"title": "Leave", "tags": ["b", "a"], "metadata": ALL_TWELVE, "user_id": 42}]


async def test_chat_that_was_created_is_read_again_for_its_times() -> None:
    server = Server(chats=[a_row(1, title="As stored", user_id=42)])
    chat = await server.connect().create_chat(NewChat(title="Asked"))
    assert (chat.native_id, chat.title, chat.owner) == ("1", "As stored", Person("42"))
    assert chat.created_at is not None


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_chat_that_was_created_and_cannot_be_read_is_a_success(status: int) -> None:
    server = Server()
    server.routes["GET /v1/chats/1"] = lambda request: an_answer({"error": "no"}, status)
    chat = await server.connect().create_chat(NewChat(title="Asked", tags=("b", "a"), metadata={"is_escalated": False}))
    assert (chat.native_id, chat.title, chat.tags, chat.metadata) == ("1", "Asked", ("a", "b"), None)
    assert chat.told == {"title", "tags", "metadata", "owner"}


async def test_first_messages_follow_one_after_the_other() -> None:
    server = Server(chats=[a_row(1)])
    first = (
        FirstMessage(id="a", role=MessageRole.SYSTEM, text="be kind"),
        FirstMessage(id="b", role=MessageRole.ASSISTANT, text="hello", metadata={"token_count": 2}),
    )
    source = server.connect()
    await source.create_chat(NewChat(messages=first))
    assert server.sent[1:] == [
        {"role": "system", "content": "be kind"},
        {"role": "assistant", "content": "hello", "metadata": {"token_count": 2}},
    ]
    found = await source.read_messages("1", MessageWindow(last=9))
    assert found is not None
    assert [message.text for message in found.messages] == ["be kind", "hello"]


async def test_chat_whose_first_message_failed_is_not_reported_as_undone() -> None:
    server = Server()
    server.routes["POST /v1/orgs/acme/chats/1/messages"] = lambda request: an_answer({"error": "no"}, 401)
    first = (FirstMessage(id="a", role=MessageRole.USER, text="hello"),)
    with pytest.raises(UpstreamUnauthorized) as caught:
        await server.connect().create_chat(NewChat(messages=first))
    assert caught.value.perhaps_executed


@pytest.mark.parametrize(
    ("new", "path"),
    [
        (NewChat(agent="a"), ("agent",)),
        (NewChat(options={"x": 1}), ("options",)),
        (NewChat(metadata={"colour": "red"}), ("metadata", "colour")),
        (NewChat(metadata={"token_count": True}), ("metadata", "token_count")),
        (NewChat(metadata={"token_count": 2**63}), ("metadata", "token_count")),
        (NewChat(metadata={"token_count": 1.5}), ("metadata", "token_count")),
        (NewChat(metadata={"is_escalated": 1}), ("metadata", "is_escalated")),
        (NewChat(metadata={"session_id": None}), ("metadata", "session_id")),
        (NewChat(metadata={"avg_response_time": "1"}), ("metadata", "avg_response_time")),
        (NewChat(user_id="stranger"), ("userId",)),
        (NewChat(user_id="99"), ("userId",)),
        (NewChat(user_id="007"), ("userId",)),
        (NewChat(user_id=str(2**64)), ("userId",)),
        (NewChat(messages=(FirstMessage(id="a", role=MessageRole.TOOL, text="x"),)), ("messages", "0", "role")),
        (
            NewChat(messages=(FirstMessage(id="a", role=MessageRole.USER, text="x", metadata={"n": 1}),)),
            ("messages", "0", "metadata", "n"),
        ),
    ],
)
async def test_impossible_chat_is_refused_before_any_request(new: NewChat, path: tuple[str, ...]) -> None:
    server = Server()
    with pytest.raises(InvalidArgument) as caught:
        await server.connect(user_ids=["42"]).create_chat(new)
    assert caught.value.path == path
    assert server.transport.requests == []


async def test_rating_may_be_null() -> None:
    server = Server()
    await server.connect(KEY_ALONE).create_chat(NewChat(metadata={"user_rating": None}))
    assert server.sent == [{"metadata": {"user_rating": None}}]


@pytest.mark.parametrize(
    ("options", "asked", "used"),
    [
        ({"user_ids": ["42"]}, "42", 42),
        ({"user_ids": ["42"]}, None, None),
        ({"user_id": "5"}, None, 5),
        ({"user_id": "viewer"}, "18446744073709551615", 2**64 - 1),
        ({"user_id": "viewer"}, None, None),
    ],
)
async def test_user_of_a_new_chat_follows_the_options(
    options: dict[str, Any], asked: str | None, used: int | None
) -> None:
    server = Server()
    chat = await server.connect(KEY_ALONE, **options).create_chat(NewChat(title="x", user_id=asked))
    assert server.sent == [{"title": "x"} | ({"user_id": used} if used else {})]
    assert chat.owner == (Person(str(used)) if used else None)


async def test_unknown_user_may_be_why_creating_failed() -> None:
    server = Server()
    server.routes["POST /v1/orgs/acme/chats"] = lambda request: load("chatlogger")["create_chat_failed"].response()
    with pytest.raises(UpstreamUnavailable, match="no user with the id in `userId`") as caught:
        await server.connect(KEY_ALONE, user_ids=["9"]).create_chat(NewChat(user_id="9"))
    assert caught.value.perhaps_executed
    assert len(server.asked) == 1


@pytest.mark.parametrize("name", ["create_chat_wrong_slug", "create_chat_no_organization"])
async def test_slug_that_does_not_fit_the_key_is_named(name: str) -> None:
    server = Server()
    server.routes["POST /v1/orgs/acme/chats"] = lambda request: load("chatlogger")[name].response()
    with pytest.raises(UpstreamUnauthorized, match="`slug`") as caught:
        await server.connect().create_chat(NewChat())
    assert not caught.value.perhaps_executed


async def test_refused_input_is_the_inputs_fault() -> None:
    server = Server()
    server.routes["POST /v1/orgs/acme/chats"] = lambda request: load("chatlogger")["create_chat_invalid"].response()
    with pytest.raises(UpstreamRejected, match="Check `title`, `tags`, `metadata` and `userId`"):
        await server.connect().create_chat(NewChat())


# Changing


async def test_metadata_is_replaced_whole_and_emptied_by_an_object() -> None:
    """Null would leave it as it is."""
    server = Server(chats=[a_row(1, metadata='{"session_id": "old", "sentiment": "sad"}')])
    source = server.connect()
    assert (await source.set_metadata("1", {"sentiment": "calm"})).metadata == {"sentiment": "calm"}
    assert (await source.set_metadata("1", None)).metadata is None
    assert server.sent == [{"metadata": {"sentiment": "calm"}}, {"metadata": {}}]


async def test_other_metadata_is_refused_before_any_call() -> None:
    server = Server()
    with pytest.raises(InvalidArgument, match="would drop it without a word") as caught:
        await server.connect().set_metadata("1", {"sentiment": "calm", "colour": "red"})
    assert caught.value.path == ("metadata", "colour")
    assert server.transport.requests == []


@pytest.mark.parametrize("title", [None, ""])
async def test_title_cannot_be_emptied(title: str | None) -> None:
    server = Server()
    with pytest.raises(InvalidArgument, match="cannot be emptied") as caught:
        await server.connect().rename_chat("1", title)
    assert caught.value.path == ("title",)
    assert server.transport.requests == []


async def test_tags_are_set_whole_and_may_be_none() -> None:
    server = Server(chats=[a_row(1, tags='["old"]')])
    source = server.connect()
    assert (await source.set_tags("1", ["b", "a", "b"])).tags == ("a", "b")
    assert (await source.set_tags("1", [])).tags == ()
    assert server.sent == [{"tags": ["a", "b"]}, {"tags": []}]


async def test_change_whose_connection_broke_is_made_again() -> None:
    """Setting the same twice changes nothing."""
    server = Server(chats=[a_row(1)])
    row, broken = server.chats[0], [True]

    def once(request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH" and broken.pop() if broken else False:
            raise httpx.RemoteProtocolError("cut")
        return server.one_chat(request, row)

    server.routes["PATCH /v1/chats/1"] = once
    assert (await server.connect().rename_chat("1", "New")).title == "New"
    assert server.asked == ["PATCH /v1/chats/1"] * 2


# Deleting


async def test_database_that_cannot_delete_a_chat_with_messages_is_named() -> None:
    server = Server(chats=[a_row(1)], messages=[a_message(5)])
    server.routes["DELETE /v1/chats/1"] = lambda request: load("chatlogger")["delete_chat_failed"].response()
    with pytest.raises(UpstreamRejected, match="ON DELETE CASCADE") as caught:
        await server.connect().delete_chat("1")
    assert not caught.value.perhaps_executed
    assert server.asked[-1] == "GET /v1/chats/1/messages"


async def test_other_failure_to_delete_is_an_outage() -> None:
    server = Server(chats=[a_row(1)])
    server.routes["DELETE /v1/chats/1"] = lambda request: load("chatlogger")["panic"].response()
    with pytest.raises(UpstreamUnavailable) as caught:
        await server.connect().delete_chat("1")
    assert caught.value.perhaps_executed


async def test_chat_that_a_failed_answer_deleted_all_the_same_is_deleted() -> None:
    server = Server(chats=[a_row(1)])

    def fails_late(request: httpx.Request) -> httpx.Response:
        if not server.chats:
            return an_answer({"error": "no such chat"}, 404)
        server.chats.clear()
        return an_answer({"error": "late"}, 500)

    server.routes["DELETE /v1/chats/1"] = fails_late
    await server.connect().delete_chat("1")


# Sending


@pytest.mark.parametrize("role", [MessageRole.USER, MessageRole.ASSISTANT, MessageRole.SYSTEM])
async def test_any_role_may_be_sent_and_nobody_answers(role: MessageRole) -> None:
    server = Server(chats=[a_row(1)], messages=[a_message(5)])
    (progress,) = await sent(server.connect(), to_send("so", role=role, metadata={"response_time": 2}))
    assert progress.reply is None
    assert progress.message is not None
    assert (progress.message.native_id, progress.message.role, progress.message.parent_id) == ("101", role, "5")
    assert progress.message.metadata == {"response_time": 2}
    assert server.asked == ["POST /v1/orgs/acme/chats/1/messages", "GET /v1/chats/1/messages"]


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_message_that_was_sent_and_cannot_be_read_is_a_success(status: int) -> None:
    server = Server()
    server.routes["GET /v1/chats/1/messages"] = lambda request: an_answer({}, status)
    (progress,) = await sent(server.connect(), to_send(parent_id="5"))
    assert progress.message is not None
    assert (progress.message.native_id, progress.message.parent_id) == ("100", "5")
    assert progress.message.created_at is None


@pytest.mark.parametrize(
    "fault",
    [an_answer({"error": "x"}, 500), an_answer({"message": "ok"}, 201), httpx.ReadError("reset")],
    ids=["500", "no id", "reset"],
)
async def test_message_is_never_sent_twice(fault: httpx.Response | Exception) -> None:
    server = Server()

    def fail(request: httpx.Request) -> httpx.Response:
        if isinstance(fault, Exception):
            raise fault
        return fault

    server.routes["POST /v1/orgs/acme/chats/1/messages"] = fail
    with pytest.raises(UpstreamError) as caught:
        await sent(server.connect(), to_send())
    assert caught.value.perhaps_executed
    assert server.asked == ["POST /v1/orgs/acme/chats/1/messages"]


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"role": MessageRole.TOOL}, ("role",)),
        ({"role": MessageRole.OTHER}, ("role",)),
        ({"model": "m"}, ("model",)),
        ({"metadata": {"mood": "x"}}, ("metadata", "mood")),
        ({"attachments": (Attachment(name="a.txt"),)}, ("attachments",)),
        ({"text": ""}, ("text",)),
    ],
)
async def test_message_takes_nothing_that_would_be_dropped(more: dict[str, Any], path: tuple[str, ...]) -> None:
    server = Server()
    with pytest.raises(InvalidArgument) as caught:
        await sent(server.connect(), to_send(**more))
    assert caught.value.path == path
    assert server.transport.requests == []


async def test_message_to_a_chat_that_is_gone_is_not_found() -> None:
    server = Server()
    server.routes["POST /v1/orgs/acme/chats/1/messages"] = lambda request: load("chatlogger")[
        "get_chat_missing"
    ].response()
    with pytest.raises(NotFound):
        await sent(server.connect(), to_send())


# One credential of two


async def test_api_key_alone_writes_and_reads_nothing() -> None:
    server = Server()
    source = server.connect(KEY_ALONE)
    chat = await source.create_chat(NewChat(title="x", tags=("t",)))
    assert (chat.native_id, chat.title, chat.tags, chat.created_at) == ("1", "x", ("t",), None)
    (progress,) = await sent(source, to_send("hello"))
    assert progress.message is not None
    assert progress.message.native_id == "100"
    assert server.asked == ["POST /v1/orgs/acme/chats", "POST /v1/orgs/acme/chats/1/messages"]
    assert await source.account() == Account(kind=AccountKind.ORGANIZATION, slug="acme")
    assert server.logins == 0


async def test_api_key_alone_is_refused_everything_else_without_a_call() -> None:
    server = Server()
    source = server.connect(KEY_ALONE)

    async def drain() -> None:
        async for _ in source.drain_chats(frozenset()):
            raise AssertionError

    tries: dict[Capability, Callable[[], Awaitable[object]]] = {
        C.LIST_CHATS: drain,
        C.READ_CHAT: lambda: source.get_chat("1"),
        C.LIST_MESSAGES: lambda: source.read_messages("1", MessageWindow(last=1)),
        C.READ_MESSAGE: lambda: source.get_message("1", "2"),
        C.RENAME_CHAT: lambda: source.rename_chat("1", "x"),
        C.TAG_CHAT: lambda: source.set_tags("1", ["x"]),
        C.EDIT_METADATA: lambda: source.set_metadata("1", {}),
        C.DELETE_CHAT: lambda: source.delete_chat("1"),
    }
    for capability, attempt in tries.items():
        assert not source.capabilities.can(capability)
        with pytest.raises(CapabilityMissing, match="`email` and `password`") as caught:
            await attempt()
        assert caught.value.capability is capability
    with pytest.raises(CapabilityMissing):
        await source.list_chats(CREATED_DESC, None)
    assert source.capabilities.native_orders == ()
    assert server.transport.requests == []


async def test_login_alone_writes_no_messages() -> None:
    server = Server(chats=[a_row(1)])
    source = server.connect(LOGIN)
    assert await source.get_chat("1") is not None
    await source.create_chat(NewChat(title="x"))
    assert server.asked[1] == "POST /v1/chats"
    asked = len(server.asked)
    with pytest.raises(CapabilityMissing, match="`api_key`"):
        await sent(source, to_send())
    first = (FirstMessage(id="a", role=MessageRole.USER, text="x"),)
    for new, path in ((NewChat(messages=first), ("messages",)), (NewChat(user_id="42"), ("userId",))):
        with pytest.raises(InvalidArgument) as caught:
            await source.create_chat(new)
        assert caught.value.path == path
    assert len(server.asked) == asked


async def test_api_key_without_its_organization_is_told() -> None:
    server = Server()
    source = server.connect(KEY_ALONE, slug=None)
    assert not source.capabilities.can(C.CREATE_CHAT)
    with pytest.raises(CapabilityMissing, match="`slug`"):
        await source.create_chat(NewChat())
    assert {check.name: check.passed for check in await source.check()}["credentials"] is False


def test_tables_of_fewer_credentials_only_take_away() -> None:
    for has_login in (True, False):
        for has_key in (True, False):
            table = table_of(has_login=has_login, has_key=has_key)
            assert set(table.support) == set(Capability)
            lost = [c for c in Capability if table.can(c) < CAPABILITIES.can(c)]
            assert all(table.of(c).note for c in Capability if table.level(c) is SupportLevel.UNSUPPORTED)
            assert not any(table.can(c) > CAPABILITIES.can(c) for c in Capability)
            assert bool(lost) is not (has_login and has_key)
    assert table_of(has_login=True, has_key=True).support == CAPABILITIES.support


# Checks, account, what there is not


async def test_account_is_the_organization_of_the_login() -> None:
    assert await Server().connect().account() == Account(kind=AccountKind.ORGANIZATION, native_id="3", slug="acme")


async def test_both_credentials_are_checked_without_writing() -> None:
    server = Server(chats=[a_row(1)])
    checks = {check.name: check.passed for check in await server.connect().check()}
    assert checks == {"reachable": True, "version": True, "credentials": True, "api_key": True}
    assert server.messages == []


@pytest.mark.parametrize(
    ("credentials", "options", "failed"),
    [
        ({**BOTH, "password": "wrong"}, {}, "credentials"),
        ({**BOTH, "api_key": "wrong"}, {}, "api_key"),
        ({"api_key": "wrong"}, {}, "credentials"),
        (BOTH, {"slug": "other"}, "api_key"),
        (BOTH, {"slug": None}, "api_key"),
        (BOTH, {"path_prefix": "/api/v1"}, "credentials"),
    ],
)
async def test_check_names_what_is_wrong(credentials: dict[str, str], options: dict[str, Any], failed: str) -> None:
    checks = {check.name: check for check in await Server().connect(credentials, **options).check()}
    assert checks[failed].passed is False
    assert KEY not in checks[failed].message


async def test_organization_that_does_not_exist_is_told_from_a_chat_that_does_not() -> None:
    server = Server()
    path = "POST /v1/orgs/acme/chats/0/messages"
    for error, passed in (("Organization not found", False), ("Chat not found", True)):
        server.routes[path] = lambda request, error=error: an_answer({"error": error}, 404)  # type: ignore[misc]  # bound
        checks = {check.name: check.passed for check in await server.connect().check()}
        assert checks["api_key"] is passed


async def test_release_may_stay_untold_where_the_prefix_is_set() -> None:
    server = Server(chats=[a_row(1)])
    server.routes["GET /version"] = lambda request: an_answer(
        status=404, content=b"404", headers={"Content-Type": "text/plain"}
    )
    checks = {check.name: check.passed for check in await server.connect(path_prefix="/v1").check()}
    assert checks == {"reachable": True, "version": None, "credentials": True, "api_key": True}
    with pytest.raises(UnexpectedAnswer, match="`path_prefix`"):
        await server.connect().get_chat("1")


async def test_nothing_is_searched_or_answered_at_chatlogger() -> None:
    server = Server()
    source = server.connect()
    with pytest.raises(CapabilityMissing):
        await source.search(SearchRequest(text="x", limit=1))
    assert list(await source.list_folders()) == []
    assert await source.list_agents() is None
    assert source.source.created_at == BEGIN
    await source.aclose()
    assert server.transport.requests == []


# Forms


@pytest.mark.parametrize(
    ("credentials", "possible"),
    [
        (BOTH, True),
        (LOGIN, True),
        (KEY_ALONE, True),
        ({}, False),
        ({"email": "a@example.com"}, False),
        ({**KEY_ALONE, "password": "p"}, False),
        ({**KEY_ALONE, "token": "t"}, False),
    ],
)
def test_form_of_credentials(credentials: dict[str, str], possible: bool) -> None:
    assert Draft202012Validator(CREDENTIALS_SCHEMA).is_valid(credentials) is possible


@pytest.mark.parametrize(
    ("form", "possible"),
    [
        ({"title": "x", "tags": ["a"], "metadata": ALL_TWELVE, "userId": "42"}, True),
        ({"metadata": {"user_rating": None}}, True),
        ({"metadata": {"colour": "red"}}, False),
        ({"metadata": {"token_count": "many"}}, False),
        ({"userId": "anna"}, False),
        ({"agent": "a"}, False),
        ({"messages": [{"role": "TOOL", "text": "x"}]}, False),
    ],
)
def test_form_of_a_new_chat(form: dict[str, Any], possible: bool) -> None:
    assert Draft202012Validator(CREATE_CHAT_SCHEMA).is_valid(form) is possible


def test_examples_of_the_forms_are_possible() -> None:
    for schema in (CREDENTIALS_SCHEMA, OPTIONS_SCHEMA):
        Draft202012Validator.check_schema(schema)
        assert all(Draft202012Validator(schema).is_valid(example) for example in schema["examples"])
    json.dumps(CREATE_CHAT_SCHEMA)
