"""Credentials, paths and methods that are wrong, and what belongs to somebody else."""

from typing import Any

from tests.open_webui.asking import Asking
from tests.open_webui.builders import CHATS, FOLDERS


def public_and_credentials(asking: Asking) -> None:
    asking.ask("version", "GET", "/api/version", who="nobody")
    asking.ask("config", "GET", "/api/config", who="nobody")
    asking.ask("health", "GET", "/health", who="nobody")
    asking.ask("models", "GET", "/api/models")
    asking.ask("models, other path", "GET", "/api/v1/models")
    asking.ask("unauthorized", "GET", f"{CHATS}/", who="nobody")
    wrong = {"unknown key": "Bearer sk-0000", "garbage token": "Bearer garbage", "other scheme": "Basic YTpi"}
    for name, value in wrong.items():
        asking.ask(name, "GET", f"{CHATS}/", who="nobody", headers={"authorization": value})
    scheme = {"authorization": f"Token {asking.user_key}"}
    asking.ask("key with another scheme", "GET", f"{CHATS}/nope", who="nobody", headers=scheme)
    asking.ask("key without scheme", "GET", f"{CHATS}/", who="nobody", headers={"authorization": asking.user_key})
    key = {"x-api-key": asking.user_key}
    asking.ask("key in its own header", "GET", f"{CHATS}/archived/count?x=1", who="nobody", headers=key)
    asking.ask("session asked with a key", "GET", "/api/v1/auths/")
    asking.ask("models without credentials", "GET", "/api/models", who="nobody")
    wrong_login = {"email": "nobody@example.test", "password": "wrong"}
    asking.ask("sign in, wrong", "POST", "/api/v1/auths/signin", who="nobody", json=wrong_login)
    asking.ask("own key", "GET", "/api/v1/auths/api_key")
    asking.ask("not an admin", "GET", "/api/tasks")


def paths_and_methods(asking: Asking) -> None:
    asking.ask("unknown_path_html", "GET", "/api/v1/nosuch")
    asking.ask("list without slash", "GET", CHATS)
    asking.ask("folders without slash", "GET", FOLDERS)
    asking.ask("list with one slash too many", "GET", f"{CHATS}/list/")
    asking.ask("path of the vendor's page, GET", "GET", "/api/chats/new")
    asking.ask("path of the vendor's page", "POST", "/api/chats/new", json={"chat": {}})
    asking.ask("POST to an unknown path", "POST", "/api/v1/nosuch", json={})
    asking.ask("wrong method", "PUT", f"{CHATS}/", json={})
    asking.ask("HEAD of the list", "HEAD", f"{CHATS}/")
    asking.ask("a word where an id belongs", "GET", f"{CHATS}/new")


def not_mine(asking: Asking, mine: str) -> None:
    body = {"chat": {"title": "The admin's"}}
    other = asking.know("other", asking.quietly("POST", f"{CHATS}/new", who="admin", json=body)["id"])
    calls: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("POST", "", {"chat": {"title": "x"}}),
        ("DELETE", "", None),
        ("POST", "/pin", None),
        ("POST", "/archive", None),
        ("POST", "/share", None),
        ("GET", "/tags", None),
        ("POST", "/tags", {"name": "x"}),
        ("DELETE", "/tags", {"name": "x"}),
        ("POST", "/folder", {"folder_id": None}),
        ("POST", "/messages/x", {"content": "x"}),
        ("DELETE", "/messages/x", None),
        ("POST", "/clone", {}),
        ("POST", "/fork", {}),
    ]
    for method, path, sent in calls:
        more = {} if sent is None else {"json": sent}
        asking.ask(f"another's chat: {method} {path}", method, f"{CHATS}/{other}{path}", **more)
    for method, path, sent in [("POST", "/pin", None), ("POST", "/tags", {"name": "x"}), ("GET", "/tags", None)]:
        more = {} if sent is None else {"json": sent}
        asking.ask(f"as admin: {method} {path}", method, f"{CHATS}/{mine}{path}", who="admin", **more)
