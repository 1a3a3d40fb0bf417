"""Play the conversation against a real server and write down what it said.

    OPEN_WEBUI_URL=… OPEN_WEBUI_API_KEY=… OPEN_WEBUI_USER_API_KEY=… OPEN_WEBUI_USER_JWT=… python -m tests.open_webui.record

writes `recorded_shapes.json` beside this file (ids, times and secrets replaced by what they are; one line for each step), `recorded_events.json`
(what the server's Socket.IO tells)
and the answers that the connectors' contract suite reads. Nothing of the vendor's pages is kept: HTML becomes one line.
"""

import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.open_webui import on_the_socket
from tests.open_webui.asking import Asking, Step
from tests.open_webui.conversation import play

SHAPES = Path(__file__).parent / "recorded_shapes.json"
EVENTS = Path(__file__).parent / "recorded_events.json"
ANSWERS = Path(__file__).parents[1] / "upstreams" / "answers" / "open_webui"
_HTML = "<!doctype html>\n<html><body>The web app, shortened.</body></html>\n"

OPERATIONS = {
    name: name
    for name in [
        "version",
        "models",
        "unauthorized",
        "unknown_path_html",
        "validation_422",
        "server_error_500",
        "list_chats",
        "list_chats_past_end",
        "list_pinned",
        "list_archived",
        "get_chat",
        "get_chat_missing",
        "create_chat",
        "rename",
        "pin",
        "pin_again",
        "archive",
        "archive_again",
        "move",
        "move_out",
        "tags_add",
        "tags_list",
        "tags_remove",
        "share",
        "unshare",
        "append_message",
        "edit_message",
        "delete_message",
        "delete_chat",
        "delete_chat_missing",
        "search",
        "send",
        "send_slow",
        "regenerate",
        "get_while_streaming",
        "tasks",
        "stop",
        "folders_list",
        "folders_create",
        "folders_rename",
        "folders_move",
        "folders_delete",
        "folders_delete_keep",
    ]
} | {
    "rename_missing": "rename, unknown",
    "pin_missing": "pin, unknown",
    "get_chat_of_another": "another's chat: GET ",
    "get_chat_after_send": "send: the chat",
    "get_chat_after_stop": "get after stop",
    "get_chat_after_failure": "failing model: the chat",
    "send_missing_chat": "send to an unknown chat",
    "send_missing_parent": "send below an unknown message",
    "send_taken_id": "send with an id that is taken",
    "send_unknown_model": "send to an unknown model",
    "complete_failing_model": "complete, failing model",
    "unknown_key": "unknown key",
    "garbage_token": "garbage token",
    "forbidden": "not an admin",
    "wrong_method": "wrong method",
    "old_path": "path of the vendor's page",
    "folder_missing": "folder missing",
    "folder_twin": "folder, twin",
    "folder_under_itself": "folder under itself",
    "folder_chats": "rows of a folder",
    "folder_full_chats": "full chats of a folder and below",
    "move_missing_folder": "move to an unknown folder",
    "search_empty_text": "search, empty text",
    "task_stopped_already": "stop one task again",
}
"""Answer of the contract suite → step of the conversation."""


def write_shapes(asking: Asking) -> None:
    lines = [f"{json.dumps(name)}: {json.dumps(said)}" for name, said in asking.normalised().items()]
    SHAPES.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def write_events(heard: dict[str, Any]) -> None:
    lines = [f"{json.dumps(name)}: {json.dumps(said)}" for name, said in heard.items()]
    EVENTS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def write_answers(asking: Asking, version: str) -> None:
    ANSWERS.mkdir(parents=True, exist_ok=True)
    steps = {step.name: step for step in asking.steps}
    names = Pseudonyms()
    for file, step in OPERATIONS.items():
        told = names.replace(_answer(steps[step], f"recorded from Open WebUI {version}, {datetime.now(UTC):%Y-%m-%d}"))
        (ANSWERS / f"{file}.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def _answer(step: Step, origin: str) -> dict[str, Any]:
    body = step.answer
    if isinstance(body, str) and body.lstrip().lower().startswith("<!doctype html"):
        body = _HTML
    if isinstance(body, list) and all("updated_at" in row for row in body):
        body = sorted(body, key=lambda row: -row["updated_at"])  # as the server lists them; `only_known` sorted by name
    path, _, query = step.path.partition("?")
    request = {"method": step.method, "path": path, "query": query, "body": step.sent}
    headers = {"content-type": step.headers["content-type"]}
    return {"origin": origin, "request": request, "status": step.status, "headers": headers, "body": body}


class Pseudonyms:
    """One stable UUID for each that was met, so that the files tell nothing of the server they came from."""

    UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

    def __init__(self) -> None:
        self._met: dict[str, str] = {}

    def replace(self, told: dict[str, Any]) -> Any:
        return json.loads(self.UUID.sub(self._other, json.dumps(told)))

    def _other(self, found: re.Match[str]) -> str:
        met = found[0]
        if met.startswith("00000000-"):
            return met
        return self._met.setdefault(met, f"00000000-0000-4000-8000-{len(self._met) + 1:012x}")


def main() -> int:
    try:
        url, key = os.environ["OPEN_WEBUI_URL"], os.environ["OPEN_WEBUI_API_KEY"]
        asking = Asking(url, key, os.environ["OPEN_WEBUI_USER_API_KEY"])
        token = os.environ["OPEN_WEBUI_USER_JWT"]
    except KeyError as missing:
        print(f"Recording needs a real server: set {missing.args[0]}.", file=sys.stderr)  # noqa: T201
        return 1
    listening = Asking(url, key, asking.user_key)
    write_events(on_the_socket.play(listening, token))
    listening.close()
    play(asking)
    asking.close()
    write_shapes(asking)
    write_answers(asking, asking.steps[0].answer["version"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
