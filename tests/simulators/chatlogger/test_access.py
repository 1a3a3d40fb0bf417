"""Two worlds that do not meet: an organization's key, and the cookie of a login."""

import httpx
import pytest

from simulators import chatlogger
from simulators.calls import fingerprint
from tests.simulators.chatlogger.conftest import KEY, ORG, Clock, log_in

pytestmark = pytest.mark.anyio
OTHER_KEY = {"x-organization-api-key": chatlogger.OTHER_API_KEY}
MESSAGE = {"role": "user", "content": "hi"}
WITH_COOKIE = [
    ("GET", "/chats"),
    ("POST", "/chats"),
    ("GET", "/chats/1"),
    ("PATCH", "/chats/1"),
    ("DELETE", "/chats/1"),
    ("GET", "/chats/1/messages"),
    ("GET", "/users/me"),
    ("GET", "/orgs/me/apikeys"),
]


async def test_logging_in_gives_the_user_and_a_cookie_for_a_day(stranger: httpx.AsyncClient) -> None:
    answer = await log_in(stranger)
    assert (answer.status_code, set(answer.json())) == (200, {"message", "user"})
    assert answer.json()["user"]["organization_id"] == 2
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("auth_token=")
    assert "HttpOnly" in cookie
    assert "Max-Age=86400" in cookie


async def test_a_wrong_password_is_refused(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.post("/auth/login", json={"email": chatlogger.USER_EMAIL, "password": "wrong"})
    assert (answer.status_code, set(answer.json())) == (401, {"error"})


@pytest.mark.parametrize("said", [{}, {"email": chatlogger.USER_EMAIL}, {"email": 1, "password": "x"}, []])
async def test_half_a_login_is_a_bad_request(stranger: httpx.AsyncClient, said: object) -> None:
    assert (await stranger.post("/auth/login", json=said)).status_code == 400


@pytest.mark.parametrize(("method", "path"), WITH_COOKIE)
async def test_a_key_opens_nothing_that_wants_a_cookie(stranger: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await stranger.request(method, f"/api/v1{path}", headers=KEY, json={})
    assert (answer.status_code, set(answer.json())) == (401, {"error"})


@pytest.mark.parametrize(("method", "path"), WITH_COOKIE)
async def test_the_authorization_header_is_not_looked_at(stranger: httpx.AsyncClient, method: str, path: str) -> None:
    """Though the published specification says so."""
    token = (await log_in(stranger)).cookies["auth_token"]
    stranger.cookies.clear()
    bearer = {"authorization": f"Bearer {token}"}
    assert (await stranger.request(method, f"/api/v1{path}", headers=bearer, json={})).status_code == 401


async def test_a_cookie_cannot_write_messages(client: httpx.AsyncClient) -> None:
    assert (await client.post(f"{ORG}/chats/1/messages", json=MESSAGE)).status_code == 401
    assert (await client.post(f"{ORG}/chats", json={})).status_code == 401
    assert (await client.post("/api/v1/chats/1/messages", json=MESSAGE)).status_code == 404


async def test_a_cookie_expires_after_a_day(client: httpx.AsyncClient, clock: Clock) -> None:
    token = client.cookies["auth_token"]
    client.cookies.clear()  # a jar would drop it by itself
    cookie = {"cookie": f"auth_token={token}"}
    clock.now += 24 * 3600 - 1
    assert (await client.get("/api/v1/chats", headers=cookie)).status_code == 200
    clock.now += 1
    assert (await client.get("/api/v1/chats", headers=cookie)).status_code == 401
    assert (await log_in(client)).status_code == 200


async def test_a_cookies_life_is_a_switch(
    stranger: httpx.AsyncClient, switches: chatlogger.Switches, clock: Clock
) -> None:
    switches.session_seconds, switches.cookie_is_secure = 60, True
    answer = await log_in(stranger)
    assert "Max-Age=60" in answer.headers["set-cookie"]
    assert "Secure" in answer.headers["set-cookie"]
    clock.now += 60
    cookie = {"cookie": f"auth_token={answer.cookies['auth_token']}"}
    assert (await stranger.get("/api/v1/chats", headers=cookie)).status_code == 401


async def test_logging_out_takes_the_cookie_away(client: httpx.AsyncClient) -> None:
    assert (await client.post("/auth/logout")).status_code == 200
    assert "auth_token" not in client.cookies
    assert (await client.get("/api/v1/chats")).status_code == 401


async def test_a_token_that_is_none_is_refused(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/api/v1/chats", headers={"cookie": "auth_token=x.y.z"})).status_code == 401


@pytest.mark.parametrize(
    ("headers", "slug", "status"),
    [
        ({}, chatlogger.SLUG, 401),
        ({"x-organization-api-key": "wrong"}, chatlogger.SLUG, 401),
        ({"authorization": chatlogger.API_KEY}, chatlogger.SLUG, 401),
        (KEY, chatlogger.OTHER_SLUG, 403),
        (KEY, "nowhere", 404),
        (KEY, chatlogger.SLUG, 201),
    ],
)
async def test_a_key_belongs_to_the_slug_of_the_path(
    stranger: httpx.AsyncClient, headers: dict[str, str], slug: str, status: int
) -> None:
    answer = await stranger.post(f"/api/v1/orgs/{slug}/chats", headers=headers, json={})
    assert answer.status_code == status
    assert set(answer.json()) == ({"message", "chat_id"} if status == 201 else {"error"})


async def test_another_organizations_chat_is_forbidden(client: httpx.AsyncClient, chat_id: int) -> None:
    other = f"/api/v1/orgs/{chatlogger.OTHER_SLUG}/chats/{chat_id}/messages"
    assert (await client.post(other, headers=OTHER_KEY, json=MESSAGE)).status_code == 403
    await log_in(client, chatlogger.OTHER_EMAIL)
    for method in ("GET", "PATCH", "DELETE"):
        assert (await client.request(method, f"/api/v1/chats/{chat_id}", json={})).status_code == 403
    assert (await client.get(f"/api/v1/chats/{chat_id}/messages")).status_code == 403
    assert (await client.get("/api/v1/chats")).json() == []


async def test_every_user_of_an_organization_reads_and_deletes_all_its_chats(
    client: httpx.AsyncClient, chat_id: int
) -> None:
    await log_in(client, chatlogger.USER_EMAIL)
    assert (await client.delete(f"/api/v1/chats/{chat_id}")).status_code == 200


async def test_only_an_admin_makes_keys_and_a_key_is_shown_once(client: httpx.AsyncClient) -> None:
    made = await client.post("/api/v1/orgs/me/apikeys", json={"label": "mine"})
    assert (made.status_code, set(made.json())) == (201, {"message", "key", "label"})
    key = {"x-organization-api-key": made.json()["key"]}
    assert len(key["x-organization-api-key"]) == 44
    assert (await client.post(f"{ORG}/chats", headers=key, json={})).status_code == 201
    listed = (await client.get("/api/v1/orgs/me/apikeys")).json()
    assert [one["label"] for one in listed] == ["seeded", "mine"]
    assert made.json()["key"] not in str(listed)
    assert (await client.delete(f"/api/v1/orgs/me/apikeys/{listed[1]['id']}")).status_code == 200
    assert (await client.post(f"{ORG}/chats", headers=key, json={})).status_code == 401
    await log_in(client, chatlogger.USER_EMAIL)
    assert (await client.get("/api/v1/orgs/me/apikeys")).status_code == 403


async def test_the_account_of_a_cookie_can_be_read(client: httpx.AsyncClient) -> None:
    me = (await client.get("/api/v1/users/me")).json()
    assert (me["id"], me["organization_id"], me["role"]) == (1, 2, "admin")


@pytest.mark.parametrize(("version", "prefix"), [("0.4.9", "/api/v1"), ("0.5.0", "/v1"), ("v1.2.0", "/v1")])
async def test_the_prefix_belongs_to_the_version(
    client: httpx.AsyncClient, switches: chatlogger.Switches, version: str, prefix: str
) -> None:
    switches.version = version
    other = {"/api/v1": "/v1", "/v1": "/api/v1"}[prefix]
    assert (await client.get(f"{prefix}/chats")).status_code == 200
    wrong = await client.get(f"{other}/chats")
    assert (wrong.status_code, wrong.text) == (404, "404 page not found")
    assert wrong.headers["x-api-version"] == version
    assert (await client.get("/version")).json()["version"] == version
    calls = (await client.get("/__control/calls")).json()
    assert [call["operation"] for call in calls[-3:]] == ["list_chats", "unknown", "version"]


async def test_health_is_told_to_anybody(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/health")).json() == {"status": "ok"}


async def test_the_book_tells_no_secret(client: httpx.AsyncClient) -> None:
    await client.post(f"{ORG}/chats", headers=KEY, json={})
    answer = await client.get("/__control/calls")
    login, created = answer.json()
    assert login["body"] == {"email": chatlogger.ADMIN_EMAIL, "password": fingerprint(chatlogger.PASSWORD)}
    assert created["headers"]["x-organization-api-key"] == fingerprint(chatlogger.API_KEY)
    assert client.cookies["auth_token"] not in answer.text
