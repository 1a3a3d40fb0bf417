"""Creating, opening, changing, listing, importing and deleting chats and their messages."""

import json
from typing import Any

from tests.open_webui.asking import Asking
from tests.open_webui.builders import CHATS, FOLDERS, create, tree

IMPORTED_AT = 1_700_000_000


def creating(asking: Asking) -> None:
    new = f"{CHATS}/new"
    asking.ask("create, no body", "POST", new)
    asking.ask("validation_422", "POST", new, json={})
    asking.ask("create, chat null", "POST", new, json={"chat": None})
    asking.ask("create, chat a text", "POST", new, json={"chat": "x"})
    asking.ask("create, a list", "POST", new, json=[])
    asking.ask("create, no content type", "POST", new, content=b'{"chat":{}}')
    plain, typed = {"content-type": "text/plain"}, {"content-type": "application/json"}
    asking.ask("create, text/plain", "POST", new, content=b'{"chat":{}}', headers=plain)
    asking.ask("create, half a JSON", "POST", new, content=b'{"chat":', headers=typed)
    asking.ask("create, half a JSON, nobody", "POST", new, who="nobody", content=b'{"chat":', headers=typed)
    asking.ask("create, not UTF-8", "POST", new, content=b"\xff", headers=typed)
    asking.ask("create, nobody", "POST", new, who="nobody", json={})
    asking.ask("create, title null", "POST", new, json={"chat": {"title": None}})
    asking.ask("create, title a number", "POST", new, json={"chat": {"title": 7}})
    asking.ask("create, history null", "POST", new, json={"chat": {"history": None}})
    asking.ask("create, message null", "POST", new, json={"chat": {"history": {"messages": {"q": None}}}})
    asking.ask("create, unknown folder", "POST", new, json={"chat": {}, "folder_id": "nope"})
    asking.ask("create, folder a number", "POST", new, json={"chat": {}, "folder_id": 7})
    create(asking, "empty", "create, empty", {})
    loose = {"title": "Loose", "history": {"messages": {"m": {"role": "user", "content": "q"}}, "currentId": "zz"}}
    chat_id = create(asking, "loose", "create, loose tree", loose, unknown_field=1)
    asking.ask("get, loose tree", "GET", f"{CHATS}/{chat_id}")
    odd = {"title": "Odd", "messages": [{"role": "user", "content": "a\x00b\ud83d"}], "big": 12345678901234567890123}
    text = json.dumps({"chat": odd}).encode()
    answer = asking.ask("create, odd texts", "POST", new, content=text, headers=typed)
    odd_id = asking.know("odd", answer["id"])
    asking.ask("get, odd texts", "GET", f"{CHATS}/{odd_id}")


def opening_and_changing(asking: Asking) -> str:
    chat = create(asking, "chat", "create_chat", {"title": "Animals", "models": ["fake-gpt"], "history": tree("a3")})
    path = f"{CHATS}/{chat}"
    asking.ask("get_chat", "GET", path)
    asking.ask("get as admin", "GET", path, who="admin")
    asking.ask("get_chat_missing", "GET", f"{CHATS}/00000000-0000-4000-8000-000000000000")
    asking.ask("get, not an id", "GET", f"{CHATS}/nope")
    asking.ask("rename", "POST", path, json={"chat": {"title": "Striped animals"}})
    asking.ask("rename, unknown", "POST", f"{CHATS}/nope", json={"chat": {"title": "x"}})
    asking.ask("rename, no chat", "POST", path, json={})
    asking.ask("rename as admin", "POST", path, who="admin", json={"chat": {"title": "x"}})
    asking.ask("rename to null", "POST", path, json={"chat": {"title": None}})
    asking.ask("history to null", "POST", path, json={"chat": {"history": None}})
    asking.ask("other keys are merged", "POST", path, json={"chat": {"custom": {"k": 1}}})
    return chat


def messages(asking: Asking, chat: str) -> None:
    path = f"{CHATS}/{chat}"
    inner = {"history": {"currentId": "u1"}}
    asking.ask("current message set to an inner one", "POST", path, json={"chat": inner})
    asking.ask("and read again", "GET", path)
    added = {"messages": {"u3": {"id": "u3", "parentId": "a1", "role": "user", "content": "Again?"}}, "currentId": "u3"}
    asking.ask("append_message", "POST", path, json={"chat": {"history": added}})
    nowhere = {"messages": {}, "currentId": "nowhere"}
    asking.ask("current message set to none", "POST", path, json={"chat": {"history": nowhere}})
    bare = {"messages": {"a1": {"id": "a1", "parentId": "u1", "role": "assistant", "content": "Replaced."}}}
    asking.ask("a message sent is replaced whole", "POST", path, json={"chat": {"history": bare}})
    asking.ask("edit_message", "POST", f"{path}/messages/a1", json={"content": "Edited."})
    asking.ask("edit, nothing said", "POST", f"{path}/messages/a1", json={})
    asking.ask("edit, content a number", "POST", f"{path}/messages/a1", json={"content": 7})
    asking.ask("edit, unknown message", "POST", f"{path}/messages/made", json={"content": "Made."})
    asking.ask("edit as admin", "POST", f"{path}/messages/a1", who="admin", json={"content": "Edited by another."})
    asking.ask("edit, unknown chat", "POST", f"{CHATS}/nope/messages/a1", json={"content": "x"})
    asking.ask("delete_message", "DELETE", f"{path}/messages/a2")
    asking.ask("delete a message that is gone", "DELETE", f"{path}/messages/a2")
    asking.ask("delete a leaf", "DELETE", f"{path}/messages/made")
    asking.ask("delete, unknown chat", "DELETE", f"{CHATS}/nope/messages/a1")
    asking.ask("set parameters", "PATCH", f"{path}/params", json={"temperature": 0.1})


def listing(asking: Asking, chat: str) -> None:
    everything = "include_pinned=true&include_folders=true"
    asking.ask("list, everything at once", "GET", f"{CHATS}/", only_known=True)
    asking.ask("list_chats", "GET", f"{CHATS}/?page=1&{everything}", only_known=True)
    asking.ask("list, other path", "GET", f"{CHATS}/list?page=1", only_known=True)
    asking.ask("list, page 0", "GET", f"{CHATS}/?page=0", only_known=True)
    asking.ask("list_chats_past_end", "GET", f"{CHATS}/?page=99&{everything}")
    asking.ask("list, page x", "GET", f"{CHATS}/?page=x")
    asking.ask("list, include maybe", "GET", f"{CHATS}/?include_pinned=maybe")
    asking.ask("list, unknown order", "GET", f"{CHATS}/?page=1&sort_by=nope&sort_dir=up", only_known=True)
    asking.ask("list by title", "GET", f"{CHATS}/?page=1&sort_by=title&sort_dir=asc", only_known=True)
    asking.ask("mark unread", "POST", f"{CHATS}/{chat}/unread")
    asking.ask("list, one unread", "GET", f"{CHATS}/?page=1", only_known=True)
    asking.ask("list of another, as user", "GET", f"{CHATS}/list/user/nobody")
    asking.ask("export of everybody, as user", "GET", f"{CHATS}/all/db")


def _import(asking: Asking, name: str) -> Any:
    item = {"chat": {"title": "Imported", "history": tree("a1")}, "meta": {"tags": ["old"]}, "pinned": False}
    body = {"chats": [item | {"created_at": IMPORTED_AT, "updated_at": IMPORTED_AT + 100}]}
    answer = asking.ask(name, "POST", f"{CHATS}/import", json=body)
    asking.know(name, answer[0]["id"])
    return answer[0]["id"]


def what_moves_the_time(asking: Asking) -> None:
    """The imported chat is years old: whatever touches `updated_at` brings it to now."""
    touches: list[tuple[str, str, str, Any]] = [
        ("rename", "POST", "", {"chat": {"title": "Still old"}}),
        ("another key", "POST", "", {"chat": {"models": ["x"]}}),
        ("tag", "POST", "/tags", {"name": "t"}),
        ("share", "POST", "/share", None),
        ("unknown message deleted", "DELETE", "/messages/nope", None),
        ("unread", "POST", "/unread", None),
        ("params", "PATCH", "/params", {"a": 1}),
        ("current message", "POST", "", {"chat": {"history": {"currentId": "a3"}}}),
    ]
    old = _import(asking, "import")
    for name, method, more, body in touches:
        sent = {} if body is None else {"json": body}
        asking.quietly(method, f"{CHATS}/{old}{more}", **sent)
        asking.ask(f"does it move the time: {name}", "GET", f"{CHATS}/{old}")
    moving: dict[str, Any] = {
        "pin": None,
        "archive": None,
        "folder": {"folder_id": None},
        "messages/a1": {"content": "x"},
    }
    for name, body in moving.items():
        chat_id = _import(asking, f"import before {name}")
        asking.ask(f"{name} moves the time", "POST", f"{CHATS}/{chat_id}/{name}", json=body)
    _order(asking)
    asking.ask("import, no chats", "POST", f"{CHATS}/import", json={})


def _order(asking: Asking) -> None:
    """Chats of different seconds, imported in another order than they are listed in."""
    for name, after in (("second", 2), ("third", 1), ("first", 3)):
        item = {"chat": {"title": name.upper()}, "created_at": 1, "updated_at": IMPORTED_AT + after}
        asking.know(name, asking.quietly("POST", f"{CHATS}/import", json={"chats": [item]})[0]["id"])
    for order in ("", "?sort_by=title&sort_dir=asc", "?sort_by=title", "?sort_dir=asc", "?sort_by=nope&sort_dir=up"):
        asking.ask(f"order: {order or 'none'}", "GET", f"{CHATS}/{order}", only_in_order=("first", "second", "third"))


def deleting(asking: Asking, chat: str) -> None:
    asking.ask("delete_chat", "DELETE", f"{CHATS}/{chat}")
    asking.ask("delete_chat_missing", "DELETE", f"{CHATS}/{chat}")
    asking.ask("get after delete", "GET", f"{CHATS}/{chat}")
    top, sub = asking.id_of("folder top"), asking.id_of("folder sub")
    kept = create(asking, "kept", "chat to keep", {"title": "Kept"}, folder_id=sub)
    asking.ask("folders_delete_keep", "DELETE", f"{FOLDERS}/{sub}?delete_contents=false")
    asking.ask("chat that was kept", "GET", f"{CHATS}/{kept}")
    below = {"name": "Below", "parent_id": top}
    new = asking.know("folder new", asking.quietly("POST", f"{FOLDERS}/", json=below)["id"])
    asking.quietly("POST", f"{CHATS}/{kept}/folder", json={"folder_id": new})
    asking.ask("delete folder, maybe", "DELETE", f"{FOLDERS}/{top}?delete_contents=maybe")
    asking.ask("folders_delete", "DELETE", f"{FOLDERS}/{top}")
    asking.ask("folder deleted again", "DELETE", f"{FOLDERS}/{top}")
    asking.ask("folder below went too", "GET", f"{FOLDERS}/{new}")
    asking.ask("chat in it went too", "GET", f"{CHATS}/{kept}")
    asking.ask("export", "GET", f"{CHATS}/all", only_known=True)
