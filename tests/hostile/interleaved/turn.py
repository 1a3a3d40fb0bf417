"""One operation of one actor: it asks, over HTTP or a socket, and every answer is judged before anything is made of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from domain.ids import IdType, chat_id, parse_id_of
from tests.hostile.interleaved.houses import WORDS
from tests.hostile.interleaved.judge import texts_in
from tests.hostile.interleaved.shelf import Shelf, Source
from tests.hostile.interleaved.world import Actor, World

VENDOR_FAILED = frozenset(
    {
        "UPSTREAM_UNAVAILABLE",
        "UPSTREAM_UNAUTHORIZED",
        "UPSTREAM_TIMEOUT",
        "UPSTREAM_CHANGED",
        "UPSTREAM_REJECTED",
        "UPSTREAM_RATE_LIMITED",
        "OUTCOME_UNKNOWN",
    }
)
"""What the vendors' faults, which are part of the operations, can lead to."""


class Refused(Exception):
    """A vendor failed, or cannot do it: the operation came to nothing, which is counted."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Turn:
    """`said`: what was asked and answered last, for whoever reads a failure."""

    world: World
    actor: Actor
    chance: Random
    number: int
    said: list[str] = field(default_factory=list)

    @property
    def marker(self) -> str:
        """No other operation has it."""
        return f"op{self.number}x"

    def words(self, shelf: Shelf, what: str) -> str:
        """A text that belongs to one audience."""
        return f"{WORDS[shelf.audience]} {what} {self.marker}"

    def a_shelf(self) -> Shelf:
        """One of what the actor may see; Ann's own as often as her organization's."""
        return self.chance.choice(self.world.own(self.actor))

    def a_chat(self, *vendors: str) -> tuple[Shelf, str, Source]:
        """One that the actor may see."""
        shelf = self.a_shelf()
        chat = shelf.a_chat(self.chance, *vendors)
        if chat is None:  # Ann's own are Kodey's alone
            shelf = self.world.shelves[self.actor.organization]
            chat = shelf.a_chat(self.chance, *vendors)
        assert chat is not None, vendors
        return shelf, chat, shelf.chats[chat]

    def is_leaving(self, id_text: str) -> bool:
        """Whether somebody deletes it, or has; of a message, its chat."""
        parsed = parse_id_of(id_text, IdType.MESSAGE)
        gone = id_text if parsed is None else chat_id(parsed.short, parsed.parts[0])
        return any(gone in shelf.leaving for shelf in self.world.own(self.actor))

    async def response(self, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The whole response, judged."""
        self.world.asked += 1
        self.said[:] = [document, json.dumps(variables)]
        if self.chance.random() < 0.2:
            told = await self.actor.line.ask(document, variables)  # judged as it comes
            self.said.append(json.dumps(told))
            return told
        answer = await self.actor.http.post(
            self.world.gateway.url, json={"query": document, "variables": dict(variables)}
        )
        self.said.append(answer.text)
        headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        self.world.judge.text(self.actor.name, self.actor.audiences, headers)
        self.world.judge.answer(self.actor.name, self.actor.audiences, answer.text, asked=texts_in(variables))
        told = answer.json()
        assert isinstance(told, dict), told
        return told

    async def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data. Raises `Refused` for a top-level error, which must be one of a vendor that failed."""
        told = await self.response(document, variables)
        for error in told.get("errors", []):
            assert error["extensions"]["code"] in VENDOR_FAILED, error
            raise Refused(error["extensions"]["code"])
        data: dict[str, Any] = told["data"]
        return data

    async def do(self, document: str, **variables: Any) -> dict[str, Any]:
        """The payload of a mutation that must go well, unless a vendor fails, or somebody deletes what it is about."""
        (payload,) = (await self.ask(document, **variables)).values()
        for error in payload["userErrors"]:
            if error["code"] == "NOT_FOUND":
                assert any(self.is_leaving(text) for text in texts_in(variables)), error
            elif error["code"] != "UNSUPPORTED":
                assert error["code"] in VENDOR_FAILED, error
            raise Refused(error["code"])
        assert isinstance(payload, dict)
        return payload

    async def do_refused(self, document: str, input_: Mapping[str, Any]) -> dict[str, Any]:
        """The only user error of a mutation that must be refused."""
        (payload,) = (await self.ask(document, input=input_)).values()
        (error,) = payload["userErrors"]
        assert isinstance(error, dict)
        return error

    async def errors(self, document: str, **variables: Any) -> list[dict[str, Any]]:
        """The top-level errors of what must be refused."""
        told = await self.response(document, variables)
        assert told.get("errors"), told
        found: list[dict[str, Any]] = told["errors"]
        return found
