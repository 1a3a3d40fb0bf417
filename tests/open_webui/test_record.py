"""The recorded answers are complete, and tell nothing of the server they came from."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.open_webui.record import ANSWERS, OPERATIONS, SHAPES, Pseudonyms

FILES = sorted([*ANSWERS.glob("*.json"), *(ANSWERS.parent / "kodey").glob("*.json")])


def name_of(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_an_answer_says_where_it_came_from_and_what_was_asked(file: Path) -> None:
    answer: dict[str, Any] = json.loads(file.read_text())
    assert set(answer) == {"origin", "request", "status", "headers", "body"}
    assert set(answer["request"]) == {"method", "path", "query", "body"}
    assert re.search(r"20\d\d-\d\d-\d\d", answer["origin"])


def test_there_is_an_answer_for_every_operation_and_no_other() -> None:
    assert {file.stem for file in ANSWERS.glob("*.json")} == set(OPERATIONS)


@pytest.mark.parametrize("file", [*FILES, SHAPES], ids=name_of)
def test_nothing_tells_of_a_server(file: Path) -> None:
    told = file.read_text()
    assert not re.search(r"sk-[0-9a-f]{8}|eyJ\w|127\.0\.0\.1|@", told)
    assert not [found for found in Pseudonyms.UUID.findall(told) if not found.startswith("00000000-")]
