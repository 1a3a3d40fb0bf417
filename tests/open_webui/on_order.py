"""Pins, archive, folders, tags, search, shares and copies."""

from tests.open_webui.asking import Asking
from tests.open_webui.builders import CHATS, FOLDERS


def organizing(asking: Asking, chat: str) -> None:
    path = f"{CHATS}/{chat}"
    asking.ask("pin", "POST", f"{path}/pin")
    asking.ask("is pinned", "GET", f"{path}/pinned")
    asking.ask("list_pinned", "GET", f"{CHATS}/pinned", only_known=True)
    asking.ask("pinned are left out", "GET", f"{CHATS}/?page=1", only_known=True)
    asking.ask("pinned are brought back", "GET", f"{CHATS}/?page=1&include_pinned=true", only_known=True)
    asking.ask("archive", "POST", f"{path}/archive")
    asking.ask("list_archived", "GET", f"{CHATS}/archived?page=1", only_known=True)
    asking.ask("archived by title", "GET", f"{CHATS}/archived?order_by=title&direction=asc", only_known=True)
    asking.ask("archived that match", "GET", f"{CHATS}/archived?query=STRIPED", only_known=True)
    asking.ask("server_error_500", "GET", f"{CHATS}/archived?order_by=nope&direction=asc")
    asking.ask("archived, direction up", "GET", f"{CHATS}/archived?order_by=title&direction=up")
    asking.ask_twice_on_one_connection("dropped after a 500", f"{CHATS}/archived?order_by=nope&direction=asc")
    asking.ask("archived are left out", "GET", f"{CHATS}/?page=1&include_pinned=true", only_known=True)
    asking.ask("archived as full chats", "GET", f"{CHATS}/all/archived", only_known=True)
    asking.ask("archive_again", "POST", f"{path}/archive")
    asking.ask("pin_again", "POST", f"{path}/pin")
    for action in ("pin", "archive"):
        asking.ask(f"{action}, unknown", "POST", f"{CHATS}/nope/{action}")
    asking.ask("is pinned, unknown", "GET", f"{CHATS}/nope/pinned")


def folders(asking: Asking, chat: str) -> None:
    top = asking.know("folder top", asking.ask("folders_create", "POST", f"{FOLDERS}/", json={"name": "Zoo"})["id"])
    inside = {"name": "Stripes", "parent_id": top, "meta": {"icon": "x"}, "data": {"k": 1}}
    sub = asking.know("folder sub", asking.ask("folder below", "POST", f"{FOLDERS}/", json=inside)["id"])
    asking.ask("folder, twin", "POST", f"{FOLDERS}/", json={"name": "ZOO"})
    asking.ask("folder, unknown field", "POST", f"{FOLDERS}/", json={"name": "x", "extra": 1})
    asking.ask("folder, no name", "POST", f"{FOLDERS}/", json={})
    asking.ask("folder, name a number", "POST", f"{FOLDERS}/", json={"name": 7})
    orphan = asking.ask("folder, unknown parent", "POST", f"{FOLDERS}/", json={"name": "Orphan", "parent_id": "nope"})
    asking.know("folder orphan", orphan["id"])
    asking.ask("folders_list", "GET", f"{FOLDERS}/", only_known=True)
    asking.ask("folder", "GET", f"{FOLDERS}/{sub}")
    asking.ask("folder missing", "GET", f"{FOLDERS}/nope")
    asking.ask("folders_rename", "POST", f"{FOLDERS}/{sub}/update", json={"name": "Lines"})
    asking.ask("folder rename to a twin", "POST", f"{FOLDERS}/{orphan['id']}/update", json={"name": "zoo"})
    asking.ask("folder rename, nothing said", "POST", f"{FOLDERS}/{sub}/update", json={})
    asking.ask("folder rename to null", "POST", f"{FOLDERS}/{sub}/update", json={"name": None})
    asking.ask("folder rename, unknown", "POST", f"{FOLDERS}/nope/update", json={"name": "x"})
    asking.ask("folder under itself", "POST", f"{FOLDERS}/{top}/update/parent", json={"parent_id": sub})
    asking.ask("folder to the root", "POST", f"{FOLDERS}/{sub}/update/parent", json={"parent_id": None})
    asking.ask("folders_move", "POST", f"{FOLDERS}/{sub}/update/parent", json={"parent_id": top})
    asking.ask("folder move, unknown", "POST", f"{FOLDERS}/nope/update/parent", json={"parent_id": None})
    asking.ask("folder expanded", "POST", f"{FOLDERS}/{sub}/update/expanded", json={"is_expanded": True})
    _chats_in_folders(asking, chat, top, sub)


def _chats_in_folders(asking: Asking, chat: str, top: str, sub: str) -> None:
    path = f"{CHATS}/{chat}"
    asking.quietly("POST", f"{path}/pin")
    asking.quietly("POST", f"{path}/archive")
    asking.ask("move", "POST", f"{path}/folder", json={"folder_id": sub})
    asking.ask("move to an unknown folder", "POST", f"{path}/folder", json={"folder_id": "nope"})
    asking.ask("move, no body", "POST", f"{path}/folder")
    asking.ask("move, unknown chat", "POST", f"{CHATS}/nope/folder", json={"folder_id": None})
    asking.ask("in a folder: left out", "GET", f"{CHATS}/?page=1", only_known=True)
    asking.ask("in a folder: brought back", "GET", f"{CHATS}/?page=1&include_folders=true", only_known=True)
    asking.ask("full chats of a folder and below", "GET", f"{CHATS}/folder/{top}")
    asking.ask("rows of a folder", "GET", f"{CHATS}/folder/{sub}/list?page=1")
    asking.ask("rows of the folder above", "GET", f"{CHATS}/folder/{top}/list?page=1")
    asking.ask("rows of an unknown folder", "GET", f"{CHATS}/folder/nope/list?page=1")
    asking.ask("pin inside a folder", "POST", f"{path}/pin")
    asking.ask("pinned inside a folder", "GET", f"{CHATS}/folder/{sub}/list?page=1")
    asking.ask("move_out", "POST", f"{path}/folder", json={"folder_id": None})
    asking.quietly("POST", f"{path}/folder", json={"folder_id": sub})
    asking.ask("archive inside a folder", "POST", f"{path}/archive")
    asking.ask("out of no folder while archived", "POST", f"{path}/folder", json={})
    asking.quietly("POST", f"{path}/archive")


def tags(asking: Asking, chat: str) -> None:
    path = f"{CHATS}/{chat}/tags"
    asking.ask("tags_add", "POST", path, json={"name": "Wild Life"})
    asking.ask("tag added again", "POST", path, json={"name": "wild life"})
    asking.ask("second tag", "POST", path, json={"name": "animals"})
    asking.ask("tags_list", "GET", path)
    asking.ask("chat with tags", "GET", f"{CHATS}/{chat}")
    asking.ask("tag none", "POST", path, json={"name": "None"})
    asking.ask("tag, no name", "POST", path, json={})
    asking.ask("chats by tag", "POST", f"{CHATS}/tags", json={"name": "Wild Life"})
    asking.ask("chats by an unknown tag", "POST", f"{CHATS}/tags", json={"name": "nosuch"})
    asking.ask("tag removed that was not there", "DELETE", path, json={"name": "absent"})
    asking.ask("tags_remove", "DELETE", path, json={"name": "animals"})
    asking.ask("remove tag, no body", "DELETE", path)
    asking.ask("tags, unknown chat", "GET", f"{CHATS}/nope/tags")
    asking.ask("tags_add, unknown chat", "POST", f"{CHATS}/nope/tags", json={"name": "x"})
    asking.ask("tags_remove, unknown chat", "DELETE", f"{CHATS}/nope/tags", json={"name": "x"})


def searching(asking: Asking, chat: str) -> None:
    asking.quietly("POST", f"{CHATS}/{chat}/folder", json={"folder_id": asking.id_of("folder top")})
    words = {
        "search": "zebra",
        "search, all words": "stripes zebra",
        "search, title": "STRIPED animals",
        "search, a word is missing": "zebra giraffe",
        "search, tag": "tag:wild_life",
        "search, tag and text": "tag:wild_life zebra",
        "search, unknown tag": "tag:nosuch",
        "search, folder": "folder:zoo zebra",
        "search, not pinned": "pinned:false zebra",
        "search, pinned": "pinned:true zebra",
        "search, shared": "shared:true zebra",
        "search, archived": "archived:true zebra",
        "search, nothing": "xyzzy",
    }
    for name, text in words.items():
        asking.ask(name, "GET", f"{CHATS}/search", params={"text": text}, only_known=True)
    asking.ask("search past the end", "GET", f"{CHATS}/search", params={"text": "zebra", "page": 9})
    asking.ask("search, empty text", "GET", f"{CHATS}/search?text=")
    asking.ask("search, blank text", "GET", f"{CHATS}/search?text=%20")
    asking.ask("search, no text", "GET", f"{CHATS}/search")
    asking.quietly("POST", f"{CHATS}/{chat}/archive")
    asking.ask("search leaves archived out", "GET", f"{CHATS}/search", params={"text": "zebra"}, only_known=True)
    told = {"text": "zebra archived:true"}
    asking.ask("search tells archived", "GET", f"{CHATS}/search", params=told, only_known=True)
    asking.quietly("POST", f"{CHATS}/{chat}/archive")


def sharing_and_copying(asking: Asking, chat: str) -> None:
    path = f"{CHATS}/{chat}"
    share = asking.know("#share", asking.ask("share", "POST", f"{path}/share")["share_id"])
    asking.ask("share again", "POST", f"{path}/share")
    asking.ask("shared chat", "GET", f"{CHATS}/share/{share}")
    asking.ask("shared chat, nobody", "GET", f"{CHATS}/share/{share}", who="nobody")
    asking.ask("shared chat, unknown", "GET", f"{CHATS}/share/nope")
    asking.ask("list of shared chats", "GET", f"{CHATS}/shared?page=1", only_known=True)
    asking.ask("unshare", "DELETE", f"{path}/share")
    asking.ask("unshare again", "DELETE", f"{path}/share")
    asking.ask("share, unknown", "POST", f"{CHATS}/nope/share")
    asking.know("clone", asking.ask("clone", "POST", f"{path}/clone", json={})["id"])
    asking.ask("clone, no body", "POST", f"{path}/clone")
    asking.ask("clone, no history", "POST", f"{CHATS}/{asking.id_of('empty')}/clone", json={})
    asking.know("fork", asking.ask("fork", "POST", f"{path}/fork", json={"message_id": "a1"})["id"])
    asking.ask("fork, unknown message", "POST", f"{path}/fork", json={"message_id": "nope"})
    asking.ask("fork, no messages", "POST", f"{CHATS}/{asking.id_of('empty')}/fork", json={})
