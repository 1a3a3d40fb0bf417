"""What the conversation sends: paths, a small tree of messages, a question, a new chat."""

from typing import Any

from tests.open_webui.asking import Asking

CHATS, FOLDERS = "/api/v1/chats", "/api/v1/folders"
COMPLETE = "/api/chat/completions"
T0 = 1_709_164_800


def tree(current: str = "a2") -> dict[str, Any]:
    """A question with two answers; the second one goes on."""
    return {
        "messages": {
            "u1": message("u1", None, ["a1", "a2"], "user", "Zebra stripes?", 0, models=["fake-gpt"]),
            "a1": message("a1", "u1", [], "assistant", "One quagga.", 1, model="fake-gpt", done=True),
            "a2": message("a2", "u1", ["u2"], "assistant", "Two okapis.", 2, model="fake-gpt", done=True),
            "u2": message("u2", "a2", ["a3"], "user", "More stripes?", 3, models=["fake-gpt"]),
            "a3": message("a3", "u2", [], "assistant", "Plenty.", 4, model="fake-gpt", done=True),
        },
        "currentId": current,
    }


def message(
    message_id: str, parent: str | None, children: list[str], role: str, content: str, after: int, **more: Any
) -> dict[str, Any]:
    links = {"id": message_id, "parentId": parent, "childrenIds": children}
    return {**links, "role": role, "content": content, "timestamp": T0 + after, **more}


def question(message_id: str, parent: str | None, text: str) -> dict[str, Any]:
    return message(message_id, parent, [], "user", text, 100, models=["fake-gpt"])


def create(asking: Asking, name: str, step: str, body: dict[str, Any], **more: Any) -> str:
    answer = asking.ask(step, "POST", f"{CHATS}/new", json={"chat": body, **more})
    chat_id = asking.know(name, answer["id"])
    asking.know("#user", answer["user_id"])
    for message in answer["chat"].get("history", {}).get("messages", {}).values():
        if "user" in message:
            asking.know("#user's name", message["user"]["name"])
    return chat_id
