"""What is looked at when all is done: the vendors' books, the connections, the store's file, and what the gateway printed and counts."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from simulators.calls import fingerprint
from simulators.chatlogger.accounts import COOKIE, USERS, token_of
from tests.hostile.interleaved.houses import CANARY, WORDS, House
from tests.hostile.interleaved.judge import decoded
from tests.hostile.interleaved.world import MINE, World

_SIGNED = ("authorization", "x-api-key", "x-organization-api-key", "cookie")
_KEPT = 20_000
"""How many calls a book holds."""


def calls_of(house: House) -> list[dict[str, Any]]:
    """Every call that a vendor received."""
    calls = house.control.calls.named()
    assert 0 < len(calls) < _KEPT, (house, len(calls))
    return calls


def wrong_credentials(house: House) -> list[dict[str, Any]]:
    """Calls to a vendor that carried another credential than those of its own source."""
    tried = {f"{sign}-{CANARY}" for sign in house.signs}  # by `tries_wrong_credentials`, and refused
    good = {fingerprint(sign) for sign in house.signs | tried} | set(_cookies(house))
    signed = [
        (call, [call["headers"][name] for name in _SIGNED if name in call["headers"]]) for call in calls_of(house)
    ]
    assert any(signs for _, signs in signed), house
    return [call for call, signs in signed if not set(signs) <= good] + [
        call for call in calls_of(house) if call["operation"] == "log_in" and not _is_own_login(house, call)
    ]


def _is_own_login(house: House, call: dict[str, Any]) -> bool:
    email, password = house.credentials["email"], house.credentials["password"]
    return call["body"] in (
        {"email": email, "password": fingerprint(password)},
        {"email": f"{email}-{CANARY}", "password": fingerprint(f"{password}-{CANARY}")},
    )


def _cookies(house: House) -> Iterator[str]:
    """Fingerprints of the cookies that a ChatLogger gave for its own logins."""
    for call in calls_of(house):
        if call["operation"] == "log_in":
            user = next(user for user in USERS if user.email == house.credentials["email"])
            seconds: Any = house.control.simulator.switches.session_seconds
            for at in (call["at"], call["at"] + 1):  # the answer may come in the next second
                yield fingerprint(f"{COOKIE}={token_of(user, at, seconds)}")


def foreign_words_sent(house: House) -> list[dict[str, Any]]:
    """Calls to a vendor that carried a word of others: something that was written went the wrong way. Searches are for such words."""
    others = [word for word in WORDS.values() if word != house.word]
    calls = [call for call in calls_of(house) if call["operation"] != "search_chats"]
    return [call for call in calls if any(word in json.dumps(call) for word in others)]


def shared_connections(world: World) -> dict[int, set[tuple[str, str]]]:
    """Connections that carried calls of more than one source; by their number, whose."""
    used: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for whose, house in world.houses.items():
        for call in calls_of(house):
            assert call["connection"] is not None
            if call["operation"] != "version":  # asked without credentials: at a shared address nobody knows for whom
                used[call["connection"]].add(whose)
    assert len(used) >= len(world.houses)
    return {number: whose for number, whose in used.items() if len(whose) > 1}


def wrong_rows(world: World) -> tuple[list[str], Counter[tuple[str, str]]]:
    """Rows of the store's file that hold a word of others, and how many rows were looked at, by table and organization."""
    wrong: list[str] = []
    counted: Counter[tuple[str, str]] = Counter()
    with closing(sqlite3.connect(f"file:{world.installation.database}?mode=ro", uri=True)) as store:
        store.row_factory = sqlite3.Row
        slugs = dict(store.execute("SELECT id, slug FROM organization").fetchall())
        private = {row["id"] for row in store.execute("SELECT id FROM source WHERE key = ?", (MINE,))}
        for table in _tables(store):
            for row in store.execute(f"SELECT * FROM {table}"):
                slug = slugs[row["organization_id"]]
                counted[table, slug] += 1
                allowed = {slug} | ({f"ann@{slug}"} if _may_be_private(table, row, private) else set())
                text = "\n".join(_text(value) for value in row)
                if any(word in text for audience, word in WORDS.items() if audience not in allowed):
                    wrong.append(f"{table} of {slug}: {dict(row)}")
    return wrong, counted


def _tables(store: sqlite3.Connection) -> list[str]:
    names = [row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [
        name
        for name in names
        if any(column[1] == "organization_id" for column in store.execute(f"PRAGMA table_info({name})"))
    ]


def _may_be_private(table: str, row: sqlite3.Row, private: set[int]) -> bool:
    """Whether it is a row of Ann's own source. The audit log, which all admins read, tells nothing of it but that there is one."""
    column = "id" if table == "source" else "source_id"
    return column in row.keys() and row[column] in private  # noqa: SIM118  a Row is no mapping


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def secrets_in(world: World, text: str) -> list[str]:
    """Secrets that stand in a text, as they are or inside of base64."""
    whole = text + decoded(text)
    return [secret for secret in (CANARY, *world.judge.secrets) if secret in whole]
