"""Reading the search text, and what it finds, without a server."""

import pytest

from simulators.open_webui.search import matches, parse, snippet
from simulators.open_webui.store import Chat


def a_chat(title: str = "Okapi", *texts: str, tags: list[str] | None = None, archived: bool = False) -> Chat:
    messages = {str(place): {"content": text} for place, text in enumerate(texts)}
    chat = Chat("c", "u", title, {"history": {"messages": messages}}, 0, 0, archived=archived)
    chat.meta = {"tags": tags} if tags else {}
    return chat


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("okapi", True),
        ("OKA", True),
        ("zebra", True),
        ("stripes zebra", True),
        ("okapi stripes", True),
        ("zebra giraffe", False),
        ("ok_pi", True),  # a wildcard in titles, because the server asks with LIKE
        ("tag:blue okapi", True),
        ("tag:blue tag:red", False),
        ("tag:none", False),
        ("archived:true okapi", False),
        ("archived:maybe okapi", True),
        ("pinned:true", False),
        ("pinned:false", True),
        ("shared:true", False),
    ],
)
def test_a_chat_is_found_or_not(text: str, found: bool) -> None:
    chat = a_chat("Okapi", "A zebra has stripes", tags=["blue"])
    assert matches(parse(text), chat, set()) is found


def test_archived_chats_are_found_only_when_asked_for() -> None:
    assert not matches(parse("okapi"), a_chat(archived=True), set())
    assert matches(parse("okapi archived:true"), a_chat(archived=True), set())


def test_a_snippet_is_two_hundred_characters_around_the_first_match() -> None:
    told = snippet(parse("needle"), a_chat("t", "alpha " * 60 + "needle " + "omega " * 60)) or ""
    assert told.startswith("...pha alpha")
    assert told.endswith("omega ome...")
    assert "needle" in told


def test_a_match_in_the_title_alone_has_no_snippet() -> None:
    assert snippet(parse("okapi"), a_chat("Okapi", "A zebra")) is None
