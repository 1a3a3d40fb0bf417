"""Chats and their history: what the documents say, and what they leave open as a switch."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from simulators import splox
from tests.simulators.splox.asking import WORKFLOW, Clock, Splox, rows_of, text_of

pytestmark = pytest.mark.anyio
NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_a_chat_is_answered_with_another_type_than_it_was_made_with(mine: Splox) -> None:
    """The second example of the page "Create Chat"."""
    made = await mine.create(metadata={"k": 1})
    assert set(made) == {
        *("id", "name", "user_id", "resource_type", "resource_id", "is_public"),
        *("public_share_token", "metadata", "created_at", "updated_at"),
    }
    assert (made["resource_type"], made["metadata"], made["is_public"]) == ("workflow", {"k": 1}, False)
    await mine.switch(created_type="echo")
    assert (await mine.create())["resource_type"] == "api"


async def test_what_is_not_there_is_null_or_missing(mine: Splox) -> None:
    made = await mine.create()
    assert (made["public_share_token"], made["metadata"]) == (None, None)
    await mine.switch(optional_fields="omitted")
    assert not {"public_share_token", "metadata"} & set((await mine.get(f"/chats/{made['id']}")).json())


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"resource_type": "workflow"}, "resource_type"),
        ({"resource_id": 7}, "resource_id"),
        ({"metadata": []}, "metadata"),
    ],
)
async def test_a_chat_without_what_it_needs_is_refused(mine: Splox, more: dict[str, object], names: str) -> None:
    said = {"name": "Ops", "resource_type": "api", "resource_id": WORKFLOW} | more
    answer = await mine.client.post("/chats", json=said)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert names in answer.json()["error"]


@pytest.mark.parametrize("raw", [b'{"name":', b"[]", b""])
async def test_a_body_that_is_no_object_is_refused(mine: Splox, raw: bytes) -> None:
    assert (await mine.client.post("/chats", content=raw)).status_code == 400


@pytest.mark.parametrize("header", [None, "Bearer wrong", splox.TOKEN, f"Basic {splox.TOKEN}"])
async def test_only_a_bearer_token_is_a_credential(mine: Splox, header: str | None) -> None:
    del mine.client.headers["authorization"]
    headers = {"authorization": header} if header else {}
    for path in (f"/chats/{splox.seeded_chat_id(0)}", f"/chats/workflow/{WORKFLOW}", "/workflows"):
        answer = await mine.client.get(path, headers=headers)
        assert (answer.status_code, list(answer.json())) == (401, ["error"])


async def test_a_list_has_one_resource_and_no_pages(mine: Splox) -> None:
    before = await mine.listed()
    made = [(await mine.create())["id"] for _ in range(70)]
    assert {row["id"] for row in await mine.listed()} == {*made, *(row["id"] for row in before)}
    assert await mine.listed(resource_id=NOBODY) == []
    assert (await mine.get(f"/chats/folder/{WORKFLOW}")).status_code == 400


async def test_which_type_lists_a_chat_is_a_switch(mine: Splox) -> None:
    made = await mine.create()
    listed = {}
    for under in ("both", "shown", "asked"):
        await mine.switch(list_under=under)
        listed[under] = [made in await mine.listed(kind) for kind in ("api", "workflow", "gui")]
    assert listed == {"both": [True, True, False], "shown": [False, True, False], "asked": [True, False, False]}


async def test_an_agent_lists_the_callers_chats_and_a_workflow_everybodys(mine: Splox, theirs: Splox) -> None:
    made = {client: (await client.create(resource_id=splox.AGENT_ID))["id"] for client in (mine, theirs)}
    for client, other in ((mine, theirs), (theirs, mine)):
        ids = {row["id"] for row in await client.listed("agent", splox.AGENT_ID)}
        assert made[client] in ids
        assert made[other] not in ids
    hers = (await theirs.create())["id"]
    assert hers in {row["id"] for row in await mine.listed()}


@pytest.mark.parametrize(("switch", "status"), [("missing", 404), ("forbidden", 403), ("visible", 200)])
async def test_a_strangers_chat_is_missing_or_forbidden(mine: Splox, theirs: Splox, switch: str, status: int) -> None:
    made = await mine.create()
    await theirs.switch(foreign_chats=switch)
    for path in (f"/chats/{made['id']}", f"/chat-history/{made['id']}/paginated"):
        assert (await theirs.get(path)).status_code == status


async def test_the_owner_of_a_workflow_reads_what_its_list_shows(mine: Splox, theirs: Splox) -> None:
    made = await theirs.create()
    assert (await mine.get(f"/chats/{made['id']}")).json() == made


async def test_a_deleted_chats_messages_stay_until_its_history_is_deleted(mine: Splox) -> None:
    made = (await mine.create())["id"]
    await mine.control("POST", "emit", chat_id=made, text="kept")
    gone = await mine.client.delete(f"/chats/{made}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await mine.get(f"/chats/{made}")).status_code == 404
    assert [text_of(message) for message in await mine.history(made)] == ["kept"]
    assert list((await mine.client.delete(f"/chat-history/{made}")).json()) == ["message"]
    assert (await mine.get(f"/chat-history/{made}/paginated")).status_code == 404


async def test_a_missing_chat_is_not_found(mine: Splox) -> None:
    for path in (f"/chats/{NOBODY}", "/chats/none", f"/chat-history/{NOBODY}/paginated", "/chat-history/x/paginated"):
        assert (await mine.get(path)).status_code == 404
    for path in (f"/chats/{NOBODY}", f"/chat-history/{NOBODY}"):
        assert (await mine.client.delete(path)).status_code == 404
    await mine.switch(missing_history="empty", malformed_id_status=400)
    assert await mine.history(NOBODY) == []
    assert (await mine.get("/chats/none")).status_code == 400


async def test_an_unknown_path_has_the_vendors_error_body(mine: Splox) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("PATCH", f"/chats/{NOBODY}", 405)):
        answer = await mine.client.request(method, path)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])


# History


@pytest.fixture
async def long_chat(mine: Splox, clock: Clock) -> str:
    """Seven messages, a second apart, apart from the middle three, which share a moment."""
    chat_id: str = (await mine.create())["id"]
    for number in range(7):
        clock.now += 0 if number in (3, 4) else 1
        await mine.control("POST", "emit", chat_id=chat_id, text=f"m{number}", role=("user", "assistant")[number % 2])
    return chat_id


async def test_history_is_newest_first_in_either_shape(mine: Splox, long_chat: str) -> None:
    whole = (await mine.get(f"/chat-history/{long_chat}/paginated", limit=5)).json()
    assert [text_of(message) for message in whole["messages"]] == ["m6", "m5", "m4", "m3", "m2"]
    assert whole["has_more"] is True
    await mine.switch(history_shape="array")
    assert (await mine.get(f"/chat-history/{long_chat}/paginated", limit=5)).json() == whole["messages"]


@pytest.mark.parametrize(
    ("before", "older"), [("exclusive", ["m1", "m0"]), ("inclusive", ["m4", "m3", "m2", "m1", "m0"])]
)
async def test_messages_of_one_moment_are_lost_or_repeated_by_a_page(
    mine: Splox, long_chat: str, before: str, older: list[str]
) -> None:
    """The page ends within the three: asked with their own time, exclusive skips the rest, inclusive repeats."""
    await mine.switch(before=before)
    page = await mine.history(long_chat, limit=4)
    rest = (await mine.get(f"/chat-history/{long_chat}/paginated", before=page[-1]["created_at"])).json()
    assert [text_of(message) for message in rest["messages"]] == older
    assert rest["has_more"] is False


async def test_a_microsecond_later_shows_the_whole_moment(mine: Splox, long_chat: str) -> None:
    page = await mine.history(long_chat, limit=4)
    later = datetime.fromisoformat(page[-1]["created_at"]) + timedelta(microseconds=1)
    found = await mine.history(long_chat, before=later.isoformat().replace("+00:00", "Z"))
    assert [text_of(message) for message in found] == ["m4", "m3", "m2", "m1", "m0"]
    offset = await mine.history(long_chat, before=later.isoformat())
    assert offset == found


async def test_whole_seconds_make_ties(mine: Splox, clock: Clock) -> None:
    await mine.switch(fraction_digits=0)
    chat_id: str = (await mine.create())["id"]
    for _ in range(3):
        clock.now += 0.2
        await mine.control("POST", "emit", chat_id=chat_id)
    assert {message["created_at"] for message in await mine.history(chat_id)} == {"2026-11-18T11:06:40Z"}


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"before": "yesterday"}, {"before": "2026-13-01T00:00:00Z"}]
)
async def test_a_page_that_makes_no_sense_is_refused(mine: Splox, query: dict[str, object]) -> None:
    answer = await mine.get(f"/chat-history/{splox.seeded_chat_id(0)}/paginated", **query)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


async def test_a_limit_out_of_range_may_be_clamped(mine: Splox, long_chat: str) -> None:
    await mine.switch(limit_out_of_range="clamped")
    assert len(await mine.history(long_chat, limit=0)) == 1
    assert len(await mine.history(long_chat, limit=1000)) == 7


async def test_a_message_has_the_documented_fields(mine: Splox, long_chat: str) -> None:
    (newest, older, *_) = await mine.history(long_chat)
    assert set(newest) == {
        *("id", "chat_id", "role", "content", "parent_id", "status"),
        *("metadata", "files", "created_at", "updated_at"),
    }
    assert (newest["chat_id"], newest["parent_id"], newest["status"]) == (long_chat, older["id"], None)
    await mine.switch(message_status={"type": "t", "reason": "r"}, optional_fields="omitted")
    (question, reply, *_) = await mine.history(long_chat)
    assert reply["status"] == {"type": "t", "reason": "r"}
    assert not {"status", "metadata", "files"} & set(question)


async def test_a_message_moves_its_chat_unless_switched(mine: Splox, clock: Clock) -> None:
    made = await mine.create()
    clock.now += 5
    await mine.control("POST", "emit", chat_id=made["id"])
    moved = (await mine.get(f"/chats/{made['id']}")).json()
    assert moved["updated_at"] > made["updated_at"]
    await mine.switch(message_touches_chat=False)
    clock.now += 5
    await mine.control("POST", "emit", chat_id=made["id"])
    assert (await mine.get(f"/chats/{made['id']}")).json() == moved


async def test_the_seed_shows_twelve_chats_to_its_owner(mine: Splox, theirs: Splox) -> None:
    rows = [*await mine.listed(), *await mine.listed("agent", splox.AGENT_ID)]
    assert len({row["id"] for row in rows}) == 12
    assert len({row["user_id"] for row in rows}) == 2
    assert [row["public_share_token"] for row in rows if row["is_public"]] == ["share-8"]
    for row in rows:
        assert (await mine.get(f"/chats/{row['id']}")).json() == row
    assert len(await theirs.listed("agent", splox.AGENT_ID)) == 1


async def test_a_history_of_nobodys_is_refused_to_be_emitted_into(mine: Splox) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        await mine.control("POST", "emit", chat_id=NOBODY)


async def test_the_page_of_the_seed_is_answered_as_it_shows(mine: Splox) -> None:
    """The request of the page "Create Chat", field by field; its resource is known to nobody here."""
    page = json.loads((Path(__file__).parent / "create_chat_page.json").read_text())
    answer = await mine.client.post("/chats", json=page["request"]["body"])
    assert answer.status_code == page["status"]
    assert set(answer.json()) == set(page["body"])
    assert answer.json()["resource_type"] == page["body"]["resource_type"]
    assert rows_of(await mine.listed("api", page["request"]["body"]["resource_id"])) == [answer.json()]
