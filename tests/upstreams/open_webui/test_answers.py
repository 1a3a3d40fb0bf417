"""Writing, over answers that a running Open WebUI gave: paths and bodies are the recorded ones, and the chat comes out as it is afterwards."""

from typing import Any

import pytest

from domain.records import AgentKind, FolderRef
from domain.source import ChatSource, FolderContents
from tests.upstreams.recorded import Recorded, Replay, load
from tests.upstreams.wire import a_source
from upstreams.http import UpstreamClients
from upstreams.open_webui.source import open_webui

pytestmark = pytest.mark.anyio


@pytest.fixture
def answers() -> dict[str, Recorded]:
    """Every recorded answer, by name."""
    return load("open_webui")


def replaying(answers: dict[str, Recorded], *names: str, **options: Any) -> tuple[ChatSource, Replay]:
    transport = Replay(answers, ["version", *names])
    source = a_source("open_webui", all_users=True, **options)
    return open_webui(UpstreamClients(transport=transport)).connect(source, {"api_key": "sk-0123456789"}), transport


def chat_of(answer: Recorded) -> str:
    return answer.path.split("/")[4]


def folder_of(answer: Recorded) -> str:
    return answer.path.split("/")[4]


async def test_rename(answers: dict[str, Recorded]) -> None:
    source, transport = replaying(answers, "rename")
    title = answers["rename"].sent["chat"]["title"]
    assert (await source.rename_chat(chat_of(answers["rename"]), title)).title == title
    assert transport.bodies == [answers["rename"].sent]


async def test_move_into_a_folder_and_out(answers: dict[str, Recorded]) -> None:
    source, transport = replaying(answers, "move", "move_out")
    folder_id = answers["move"].sent["folder_id"]
    moved = await source.move_chat(chat_of(answers["move"]), folder_id)
    assert (moved.folder, moved.pinned, moved.archived) == (FolderRef(7, folder_id), False, False)
    assert (await source.move_chat(chat_of(answers["move_out"]), None)).folder is None
    assert transport.bodies == [answers["move"].sent, answers["move_out"].sent]


async def test_share_and_unshare(answers: dict[str, Recorded]) -> None:
    source, _ = replaying(answers, "share", "unshare", "get_chat")
    chat_id = chat_of(answers["share"])
    assert (await source.share_chat(chat_id)).native_id == chat_id
    assert (await source.unshare_chat(chat_id)).native_id == chat_id


async def test_pin_of_a_pinned_chat_asks_nothing(answers: dict[str, Recorded]) -> None:
    source, transport = replaying(answers, "get_chat")
    chat_id = chat_of(answers["get_chat"])
    found = await source.get_chat(chat_id)
    assert found is not None
    assert found.pinned is not None
    assert (await source.set_pinned(chat_id, found.pinned)).pinned is found.pinned
    assert {request.method for request in transport.requests} == {"GET"}


async def test_edit_sends_the_words_alone(answers: dict[str, Recorded]) -> None:
    recorded = answers["edit_message"]
    chat_id, message_id = chat_of(recorded), recorded.path.split("/")[6]
    # The chat before the edit is not recorded; the one after it has the message too.
    before = Recorded("before", "GET", recorded.path.rsplit("/", 2)[0], {}, None, 200, recorded.headers, recorded.body)
    source, transport = replaying({**answers, "before": before}, "before", "edit_message")
    edited = await source.edit_message(chat_id, message_id, recorded.sent["content"])
    assert (edited.native_id, edited.text) == (message_id, recorded.sent["content"])
    assert transport.bodies == [recorded.sent]


async def test_delete_chat(answers: dict[str, Recorded]) -> None:
    source, transport = replaying(answers, "delete_chat")
    await source.delete_chat(chat_of(answers["delete_chat"]))
    assert [request.method for request in transport.requests] == ["GET", "DELETE"]


async def test_folders_are_listed_made_and_changed(answers: dict[str, Recorded]) -> None:
    source, transport = replaying(answers, "folders_create", "folders_list")
    made = await source.create_folder(answers["folders_create"].sent["name"], None)
    assert (made.name, made.parent_id) == (answers["folders_create"].sent["name"], None)
    folders = await source.list_folders()
    assert len(folders) == len(answers["folders_list"].body)
    assert all(folder.created_at and folder.updated_at for folder in folders)
    assert transport.bodies[0]["name"] == made.name


async def test_folder_is_deleted_without_its_chats(answers: dict[str, Recorded]) -> None:
    source, _ = replaying(answers, "folders_delete_keep")
    await source.delete_folder(folder_of(answers["folders_delete_keep"]), FolderContents.KEEP_CHATS)


async def test_models_are_agents(answers: dict[str, Recorded]) -> None:
    models = Recorded(
        "models_below", "GET", "/api/v1/models", {}, None, 200, answers["models"].headers, answers["models"].body
    )
    source, _ = replaying({**answers, "models_below": models}, "models_below")
    agents = await source.list_agents()
    assert agents
    assert [agent.native_id for agent in agents] == [model["id"] for model in answers["models"].body["data"]]
    assert {agent.kind for agent in agents} == {AgentKind.MODEL}


async def test_page_past_the_end_is_the_last(answers: dict[str, Recorded]) -> None:
    source, _ = replaying(answers, "list_chats_past_end")
    page = await source.list_chats(source.capabilities.native_orders[0], "99")
    assert (list(page.rows), page.next, page.previous) == ([], None, "98")
