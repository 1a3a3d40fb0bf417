"""A model answers: plain, waiting, in the background, failing, stopped."""

from typing import Any

from tests.open_webui.asking import Asking
from tests.open_webui.builders import CHATS, COMPLETE, create, question, tree


def completing(asking: Asking) -> None:
    plain = {"model": "fake-gpt", "messages": [{"role": "user", "content": "hi there"}]}
    asking.ask("complete, plain", "POST", COMPLETE, json=plain)
    asking.ask("complete, plain stream", "POST", COMPLETE, json=plain | {"stream": True})
    asking.ask("complete, other path", "POST", "/api/v1/chat/completions", json=plain)
    asking.ask("complete, unknown model", "POST", COMPLETE, json=plain | {"model": "nope"})
    asking.ask("complete, no model", "POST", COMPLETE, json={"messages": []})
    asking.ask("complete, failing model", "POST", COMPLETE, json=plain | {"model": "fake-error"})
    asking.ask("complete, no body", "POST", COMPLETE)
    asking.ask("complete, a list", "POST", COMPLETE, json=[])
    chat = create(asking, "talk", "chat to talk in", {"title": "Talk", "history": tree("a3")})
    path = f"{CHATS}/{chat}"
    asking.ask("complete, waiting", "POST", COMPLETE, json=turn(chat, "2", "a3", "two", stream=False, session_id=None))
    asking.ask("complete, waiting: the chat", "GET", path)
    asking.ask("complete, null", "POST", COMPLETE, json=turn(chat, "3", "r2", "three", session_id=None))
    answer = asking.ask("send", "POST", COMPLETE, json=turn(chat, "4", "r3", "four"))
    assert answer["status"] is True
    asking.wait_until(path, done("r4"))
    asking.ask("send: the chat", "GET", path)
    again = {"model": "fake-gpt", "user_message": question("u1", None, "Zebra stripes?")}
    asking.ask("regenerate", "POST", COMPLETE, json=turn(chat, "5", "u1", "Zebra stripes?") | again)
    asking.wait_until(path, done("r5"))
    asking.ask("regenerate: the chat", "GET", path)
    asking.ask("send to the failing model", "POST", COMPLETE, json=turn(chat, "6", "r5", "six", model="fake-error"))
    asking.wait_until(path, done("r6"))
    asking.ask("failing model: the chat", "GET", path)
    asking.ask("send to an unknown model", "POST", COMPLETE, json=turn(chat, "7", "r5", "x", model="nope"))
    asking.ask("send to an unknown chat", "POST", COMPLETE, json=turn("nope", "7", None, "x"))
    asking.ask("send below an unknown message", "POST", COMPLETE, json=turn(chat, "7", "nope", "x"))
    asking.ask("send with an id that is taken", "POST", COMPLETE, json=turn(chat, "4", "r3", "x"))
    without = {key: value for key, value in turn(chat, "7", "r5", "x").items() if key != "id"}
    asking.ask("send without an id", "POST", COMPLETE, json=without)
    orphan = {key: value for key, value in turn(chat, "8", "u1", "eight").items() if key != "user_message"}
    asking.ask("send without a question", "POST", COMPLETE, json=orphan)
    asking.wait_until(path, done("r8"))
    asking.ask("without a question: the chat", "GET", path)
    first = {key: value for key, value in turn("", "1", None, "brand new").items() if key != "chat_id"}
    made = asking.know("made", asking.ask("send into a new chat", "POST", COMPLETE, json=first)["chat_id"])
    asking.wait_until(f"{CHATS}/{made}", done("r1"))
    asking.ask("the new chat", "GET", f"{CHATS}/{made}")


def turn(chat: str, number: str, parent: str | None, text: str, **more: Any) -> dict[str, Any]:
    """What asks for a reply: the question `q<number>`, answered by `r<number>`, in the background unless `session_id` is None."""
    body = {
        "model": "fake-gpt",
        "stream": True,
        "messages": [{"role": "user", "content": text}],
        "chat_id": chat,
        "id": f"r{number}",
        "parent_id": parent,
        "session_id": "made-up",
        "user_message": question(f"q{number}", parent, text),
    }
    return {key: value for key, value in (body | more).items() if value is not None or key == "parent_id"}


def done(message_id: str) -> Any:
    """Whether a chat that was read has this reply, whole."""

    def holds(chat: Any) -> bool:
        return bool(chat["chat"]["history"]["messages"][message_id].get("done"))

    return holds


def stopping(asking: Asking) -> None:
    chat = create(asking, "long talk", "chat for a long talk", {"title": "Long", "history": tree("a3")})
    path = f"{CHATS}/{chat}"
    sent = asking.ask("send_slow", "POST", COMPLETE, json=turn(chat, "2", "a3", "long please", model="fake-slow"))
    asking.know("#task", sent["task_ids"][0])
    first = asking.wait_until(path, _has_text("r2"))["chat"]["history"]["messages"]["r2"]["content"]
    asking.wait_until(path, lambda now: _text(now, "r2") != first)
    _record_growing(asking, "get_while_streaming", path, "r2", first)
    asking.ask("list while streaming", "GET", f"{CHATS}/?page=1", only_known=True)
    asking.ask("fork while streaming", "POST", f"{path}/fork", json={})
    asking.ask("tasks", "GET", f"/api/tasks/chat/{chat}")
    asking.ask("tasks, not mine", "GET", f"/api/tasks/chat/{chat}", who="admin")
    asking.ask("tasks, unknown chat", "GET", "/api/tasks/chat/nope")
    asking.ask("stop one task as user", "POST", f"/api/tasks/stop/{sent['task_ids'][0]}")
    asking.ask("stop, not mine", "POST", f"/api/tasks/chat/{chat}/stop", who="admin")
    asking.ask("stop", "POST", f"/api/tasks/chat/{chat}/stop")
    asking.wait_until(path, done("r2"))
    _record_growing(asking, "get after stop", path, "r2", first)
    asking.ask("stop again", "POST", f"/api/tasks/chat/{chat}/stop")
    asking.ask("tasks after stop", "GET", f"/api/tasks/chat/{chat}")
    asking.ask("stop, unknown chat", "POST", "/api/tasks/chat/nope/stop")
    other = asking.quietly("POST", COMPLETE, json=turn(chat, "3", "r2", "long please", model="fake-slow"))
    task = asking.know("#other task", other["task_ids"][0])
    asking.wait_until(path, _has_text("r3"))
    asking.ask("stop one task", "POST", f"/api/tasks/stop/{task}", who="admin")
    asking.wait_until(path, done("r3"))
    _odd_endings(asking, chat)
    asking.ask("stop one task again", "POST", f"/api/tasks/stop/{task}", who="admin")


def _text(chat: Any, message_id: str) -> str:
    text: str = chat["chat"]["history"]["messages"].get(message_id, {}).get("content", "")
    return text


def _has_text(message_id: str) -> Any:
    return lambda chat: _text(chat, message_id) != ""


def _record_growing(asking: Asking, name: str, path: str, message_id: str, begins: str) -> None:
    """More than nothing and less than the whole, and told twice in one message."""
    message = asking.ask(name, "GET", path)["chat"]["history"]["messages"][message_id]
    text = message["content"]
    assert text.startswith(begins)
    assert len(text) < len(" ".join(f"word{place}" for place in range(200)))
    assert message["output"][0]["content"][0]["text"] == text


def _odd_endings(asking: Asking, chat: str) -> None:
    """A reply that is deleted while it runs, two at once, and a chat that is deleted below its reply."""
    path = f"{CHATS}/{chat}"
    slow = {"model": "fake-slow"}
    asking.quietly("POST", COMPLETE, json=turn(chat, "4", "a3", "long please") | slow)
    asking.wait_until(path, _has_text("r4"))
    asking.ask("running reply deleted", "DELETE", f"{path}/messages/r4")
    asking.ask("stop the deleted reply", "POST", f"/api/tasks/chat/{chat}/stop")
    back = asking.wait_until(path, lambda now: "r4" in now["chat"]["history"]["messages"])
    begins = _text(back, "r4").split(" ")[0]
    _record_growing(asking, "deleted reply is back", path, "r4", begins)
    for number in ("5", "6"):
        answer = asking.quietly("POST", COMPLETE, json=turn(chat, number, "a3", "long please") | slow)
        asking.know(f"#task {number}", answer["task_ids"][0])
    asking.ask("two tasks", "GET", f"/api/tasks/chat/{chat}")
    asking.wait_until(path, _has_text("r6"))
    asking.ask("stop two tasks", "POST", f"/api/tasks/chat/{chat}/stop")
    gone = create(asking, "gone", "chat to delete below its reply", {"title": "Gone", "history": tree("a3")})
    task = asking.quietly("POST", COMPLETE, json=turn(gone, "2", "a3", "long please") | slow)["task_ids"][0]
    asking.know("#last task", task)
    asking.wait_until(f"{CHATS}/{gone}", _has_text("r2"))
    asking.ask("chat deleted below its reply", "DELETE", f"{CHATS}/{gone}")
    asking.ask("its task is gone too", "POST", f"/api/tasks/stop/{task}", who="admin")
