"""The simulator as a whole: accounts, the web app behind every unknown path, and what the control API needs."""

import asyncio
import time
import uuid
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from simulators.control import Clock, Control, EmitError
from simulators.open_webui import chats, copying, folders, models, organizing, search, seeding, tree
from simulators.open_webui.accounts import PASSWORD, SignInLimit, User, accounts, session_of
from simulators.open_webui.completions import Completions
from simulators.open_webui.errors import DetailError
from simulators.open_webui.live import Live
from simulators.open_webui.routing import Access, Call, Entry, build
from simulators.open_webui.store import Chat, Store, Switches
from simulators.open_webui.validation import read_model
from simulators.open_webui.writing import Writer

_WEB_APP = '<!doctype html>\n<html lang="en"><head><title>Open WebUI (simulator)</title></head><body></body></html>\n'
_FEATURES = dict.fromkeys(
    ("slim", "auth_trusted_header", "enable_signup_password_confirmation", "enable_ldap", "enable_signup"), False
) | dict.fromkeys(("auth", "enable_login_form", "enable_websocket"), True)
_AUTHS = "/api/v1/auths"


class OpenWebUI:
    """One server with two accounts."""

    vendor = "open_webui"

    def __init__(self, *, seed: bool = True, clock: Clock = time.time, switches: Switches | None = None) -> None:
        self.store = Store(clock, switches)
        self.users = accounts()
        self._limit = SignInLimit()
        self._live = Live(self.users, self.store.switches)
        self._writer = Writer(self.store, self._live.tell)
        self._completions = Completions(self.store, self._writer)
        self._telling: set[asyncio.Task[None]] = set()
        self._one_by_one = asyncio.Lock()
        routes = build(self.store, self.users, self._live.tell, self._entries())
        web_app = Route("/{path:path}", _web_app, methods=["GET", "HEAD"], name="unknown")
        self.app = Starlette(
            routes=[*self._live.routes(), *routes, web_app], exception_handlers={HTTPException: _wrong_method}
        )
        self.app.router.redirect_slashes = False
        self.reset(seed=seed)

    @property
    def switches(self) -> Switches:
        return self.store.switches

    @property
    def clock(self) -> Clock:
        return self.store.clock

    def _entries(self) -> list[Entry]:
        return [
            Entry("GET", "/api/version", self.version, access=Access.ANYBODY),
            Entry("GET", "/api/config", self.config, access=Access.ANYBODY),
            Entry("GET", "/health", health, access=Access.ANYBODY),
            Entry("GET", "/api/models", list_models),
            Entry("GET", "/api/v1/models", list_models),
            Entry("POST", f"{_AUTHS}/signin", self.sign_in, takes_body=True, access=Access.ANYBODY),
            Entry("GET", f"{_AUTHS}/", self.session_info, access=Access.SESSION),
            Entry("GET", f"{_AUTHS}/api_key", get_api_key),
            Entry("POST", f"{_AUTHS}/api_key", rotate_api_key),
            *self._completions.entries(),
            *chats.FIRST,
            *organizing.FIRST,
            *copying.FIRST,
            *search.FIRST,
            *folders.ALL,
            *chats.LAST,
            *organizing.LAST,
            *copying.LAST,
        ]

    async def version(self, _: Call) -> Any:
        return {"version": self.switches.version, "deployment_id": ""}

    async def config(self, _: Call) -> Any:
        """What anybody may read."""
        return {
            "status": True,
            "name": "Open WebUI",
            "version": self.switches.version,
            "default_locale": "",
            "i18n": {},
            "oauth": {"providers": {}, "auto_redirect": False},
            "features": _FEATURES,
        }

    async def sign_in(self, call: Call) -> Any:
        """A wrong password is a 400. The session also comes as a cookie."""
        form = read_model(call.body, {"email": "str", "password": "str"})
        self._limit.count(form["email"].lower())
        user = next((one for one in self.users if one.email == form["email"].lower()), None)
        if user is None or form["password"] != PASSWORD:
            said = "The email or password provided is incorrect. Please check for typos and try logging in again."
            raise DetailError(400, said)
        token, ends = session_of(user, self.store.now())
        response = JSONResponse(_session(user, token, ends))
        response.set_cookie("token", token, httponly=True, samesite="lax")
        return response

    async def session_info(self, call: Call) -> Any:
        token, ends = session_of(call.user, self.store.now())
        return _session(call.user, token, ends)

    def reset(self, *, seed: bool) -> None:
        self.store.clear()
        self._limit = SignInLimit()
        self.users[:] = accounts()
        if seed:
            seeding.fill(self.store, self.users[0], self.users[1])

    def state(self) -> dict[str, Any]:
        return {
            "chats": [asdict(chat) for chat in self.store.chats.values()],
            "folders": [asdict(folder) for folder in self.store.folders.values()],
            "tags": self.store.tags,
            "shares": [asdict(share) for share in self.store.shares.values()],
            "sockets": self._live.connections,
            "tasks": [task_id for running in self.store.running.values() for task_id in running],
        }

    def emit(self, chat_id: str | None, text: str | None, role: str | None) -> dict[str, str]:
        """An assistant's message is a turn that another client asked for: its sockets are told. A user's is one that a REST call appended: nobody is."""
        if role not in (None, "user", "assistant"):
            raise EmitError(f"role is user or assistant, not {role!r}")
        chat = self._chat_to_emit_into(chat_id)
        history = chat.body.setdefault("history", {})
        messages, parent = history.setdefault("messages", {}), history.get("currentId")
        parent = tree.last_descendant(messages, parent) if parent in messages else None
        message_id = str(uuid.uuid4())
        messages[message_id] = {
            "id": message_id,
            "parentId": parent,
            "childrenIds": [],
            "role": role or "assistant",
            "content": text or "A message from elsewhere.",
            "timestamp": self.store.now(),
            "done": True,
            "user_id": chat.user_id,
        }
        tree.add_child(messages, parent, message_id)
        history["currentId"] = chat.current_message_id = message_id
        chat.updated_at = self.store.now()
        if role != "user":
            task = asyncio.get_running_loop().create_task(self._tell_turn(chat, messages[message_id]))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)
        return {"chat_id": chat.id, "message_id": message_id}

    async def _tell_turn(self, chat: Chat, message: dict[str, Any]) -> None:
        async with self._one_by_one:
            for event in self._writer.as_another_client(chat, message):
                await event

    def _chat_to_emit_into(self, chat_id: str | None) -> Chat:
        if chat_id is None:
            mine = self.store.chats_of(self.users[0].id)
            return mine[0] if mine else self.store.add_chat(self.users[0], {"title": "New Chat"})
        if chat_id not in self.store.chats:
            raise EmitError(f"there is no chat {chat_id!r}")
        return self.store.chats[chat_id]

    def rooms(self) -> dict[str, int]:
        return {
            chat.id: len(tree.messages_of(chat.body))
            for chat in self.store.chats_of(self.users[0].id)
            if not chat.archived
        }

    def begin(self, title: str) -> str:
        return self.store.add_chat(self.users[0], {"title": title}).id

    def end(self, chat_id: str) -> None:
        if chat_id in self.store.chats:
            self.store.remove_chat(self.store.chats[chat_id])

    async def close(self) -> None:
        await self._completions.close()
        for task in self._telling:
            task.cancel()


def create_app(*, seed: bool = True, clock: Clock = time.time, switches: Switches | None = None) -> Control:
    return Control(OpenWebUI(seed=seed, clock=clock, switches=switches))


def _session(user: User, token: str, ends: int) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role,
        "email": user.email,
        "profile_image_url": f"/api/v1/users/{user.id}/profile/image",
        "token": token,
        "token_type": "Bearer",
        "expires_at": ends,
        "permissions": {},
    }


async def health(_: Call) -> Any:
    return {"status": True}


async def list_models(_: Call) -> Any:
    return {"data": models.listed()}


async def get_api_key(call: Call) -> Any:
    return {"api_key": call.user.api_key}


async def rotate_api_key(call: Call) -> Any:
    """The old key is dead at once."""
    call.user.api_key = f"sk-{uuid.uuid4().hex}"
    return {"api_key": call.user.api_key}


async def _web_app(_: Request) -> Response:
    """Every unknown path: 200 and HTML, no redirect and no 404."""
    return HTMLResponse(_WEB_APP)


async def _wrong_method(_: Request, refused: Exception) -> Response:
    """The web app's mount answers for a method that no route takes, so it allows GET and HEAD whatever the path."""
    assert isinstance(refused, HTTPException)
    headers = {"allow": "GET, HEAD"} if refused.status_code == 405 else None
    return JSONResponse({"detail": refused.detail}, status_code=refused.status_code, headers=headers)
