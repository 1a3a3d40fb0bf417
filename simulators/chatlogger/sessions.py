"""Logging in and out, the user behind a cookie, and the keys of an organization."""

import base64
import secrets

from starlette.responses import JSONResponse
from starlette.routing import Route

from simulators.chatlogger.accounts import COOKIE, USERS, Key, token_of
from simulators.chatlogger.binding import bind, read_body, read_id
from simulators.chatlogger.errors import ChatLoggerError, bad_request, unauthorized
from simulators.chatlogger.routing import Access, Call, route
from simulators.chatlogger.store import Store, show_user


def routes(store: Store) -> list[Route]:
    switches = store.switches

    async def log_in(call: Call) -> tuple[int, object]:
        said = bind(await read_body(call.request), {"email": "text", "password": "text"})
        if not said.get("email") or not said.get("password"):
            raise bad_request()
        user = next((one for one in USERS if one.email == said["email"]), None)
        if user is None or said["password"] != store.password:
            raise unauthorized("Invalid credentials")
        answer = JSONResponse({"message": "Login successful", "user": show_user(user)})
        token, lives = token_of(user, store.clock(), switches.session_seconds), switches.session_seconds
        answer.set_cookie(COOKIE, token, max_age=lives, httponly=True, secure=switches.cookie_is_secure, samesite=None)
        return 200, answer

    async def log_out(call: Call) -> tuple[int, object]:
        """The cookie is taken away; its token stays good until it expires."""
        answer = JSONResponse({"message": "Logged out"})
        answer.delete_cookie(COOKIE, httponly=True, secure=switches.cookie_is_secure, samesite=None)
        return 200, answer

    async def get_me(call: Call) -> tuple[int, object]:
        return 200, show_user(call.user)

    async def list_keys(call: Call) -> tuple[int, object]:
        mine = [key for key in store.keys if key.organization == call.organization]
        return 200, [{"id": one.id, "organization_id": one.organization, "label": one.label} for one in mine]

    async def create_key(call: Call) -> tuple[int, object]:
        """32 random bytes; shown this once."""
        label = bind(await read_body(call.request), {"label": "text"}).get("label")
        if not label:
            raise bad_request()
        text = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        store.keys.append(Key(store.next_id(), call.organization, label, text))
        return 201, {"message": "API key created", "key": text, "label": label}

    async def delete_key(call: Call) -> tuple[int, object]:
        key_id = read_id(call.path("key_id"), "key")
        found = [key for key in store.keys if (key.id, key.organization) == (key_id, call.organization)]
        if not found:
            raise ChatLoggerError(404, "API key not found")
        store.keys.remove(found[0])
        return 200, {"message": "API key deleted"}

    return [
        route(store, "POST", "/auth/login", log_in, Access.ANYBODY, prefixed=False),
        route(store, "POST", "/auth/logout", log_out, Access.ANYBODY, prefixed=False),
        route(store, "GET", "/users/me", get_me, Access.COOKIE),
        route(store, "GET", "/orgs/me/apikeys", list_keys, Access.ADMIN),
        route(store, "POST", "/orgs/me/apikeys", create_key, Access.ADMIN),
        route(store, "DELETE", "/orgs/me/apikeys/{key_id}", delete_key, Access.ADMIN),
    ]
