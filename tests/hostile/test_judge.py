"""The judge of the interleaved operations sees what it must see, in every form, and nothing else."""

import base64
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from domain.ids import IdType, chat_id, folder_id, format_id
from tests.hostile.interleaved.houses import CANARY
from tests.hostile.interleaved.judge import Judge, Leaked
from tests.hostile.interleaved.registry import Registry

ACME, BETA, ANNS = 1, 2, 3
"""Ids of sources: of the two organizations, and of Ann in the first."""
_STORE = """
CREATE TABLE organization (id INTEGER, slug TEXT);
CREATE TABLE source (id INTEGER, organization_id INTEGER, visibility TEXT, owner TEXT);
CREATE TABLE member (id INTEGER, organization_id INTEGER);
CREATE TABLE folder (organization_id INTEGER, source_id INTEGER, native_id TEXT);
INSERT INTO organization VALUES (1, 'acme'), (2, 'beta');
INSERT INTO source VALUES (1, 1, 'ORGANIZATION', 'key:1'), (2, 2, 'ORGANIZATION', 'key:2'),
  (3, 1, 'OWNER', 'jwt:https://id.example.com ann');
INSERT INTO member VALUES (7, 2);
INSERT INTO folder VALUES (1, 0, 'ours'), (2, 0, 'theirs');
"""


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[Judge]:
    with closing(sqlite3.connect(tmp_path / "test.db")) as store:
        store.executescript(_STORE)
    registry = Registry(tmp_path / "test.db")
    yield Judge(registry, ["hunter2hunter2"])
    registry.close()


def sealed(text: str) -> str:
    """As in a cursor."""
    return (
        base64.urlsafe_b64encode(b"\x01" + bytes(range(200, 216)) + json.dumps(["x", text]).encode())
        .decode()
        .rstrip("=")
    )


LEAKS: dict[str, Any] = {
    "a word": {"title": "a giraffe"},
    "a word in an error": {"errors": [{"message": "no chat giraffe"}]},
    "a word in a cursor": {"cursor": sealed("giraffe")},
    "a word of a person": {"text": "okapi"},
    "a credential": {"message": f"bad key {CANARY}123"},
    "a credential in a cursor": {"cursor": sealed(f"{CANARY}123")},
    "a secret": {"message": "hunter2hunter2"},
    "a chat with a native id of ours": {"id": chat_id(BETA, "seed")},
    "a chat in an event": {
        "payload": {"data": {"chatEvents": {"chatId": chat_id(BETA, "seed")}}},
        "type": "next",
        "id": "1",
    },
    "a chat of a person": {"id": chat_id(ANNS, "seed")},
    "a list of ids": {"deletedMessageIds": [format_id(IdType.MESSAGE, BETA, "seed", "m")]},
    "an organization": {"id": format_id(IdType.ORGANIZATION, 2)},
    "a member": {"id": format_id(IdType.MEMBER, 7)},
    "a folder of the gateway": {"id": folder_id(0, "theirs")},
    "a folder that nobody has": {"id": folder_id(0, "nobody's")},
    "a source that nobody has": {"id": format_id(IdType.SOURCE, 99)},
}


@pytest.mark.parametrize("leak", LEAKS)
def test_what_is_anothers_is_seen(judge: Judge, leak: str) -> None:
    with pytest.raises(Leaked):
        judge.answer(
            "bob@acme", ["acme"], json.dumps({"data": LEAKS[leak]} if "type" not in LEAKS[leak] else LEAKS[leak])
        )


def test_what_is_ones_own_is_no_leak(judge: Judge) -> None:
    own = {
        "title": "zebra",
        "id": chat_id(ACME, "seed"),
        "cursor": sealed("zebra"),
        "nativeId": "seed",
        "folderId": folder_id(0, "ours"),
    }
    judge.answer("bob@acme", ["acme"], json.dumps({"data": own}))
    judge.answer("bob@acme", ["acme"], json.dumps({"type": "next", "id": "1", "payload": {"data": own}}))
    assert judge.seen["bob@acme", "zebra"] == 2


def test_what_is_a_persons_is_hers_in_that_organization_alone(judge: Judge) -> None:
    own = json.dumps({"data": {"text": "okapi", "id": chat_id(ANNS, "seed")}})
    judge.answer("ann@acme", ["acme", "ann@acme"], own)
    with pytest.raises(Leaked):
        judge.answer("ann@beta", ["beta", "ann@beta"], own)


def test_id_that_one_named_oneself_may_come_back(judge: Judge) -> None:
    named = chat_id(BETA, "seed")
    judge.answer("bob@acme", ["acme"], json.dumps({"data": {"missingId": named}}), asked=[named])
