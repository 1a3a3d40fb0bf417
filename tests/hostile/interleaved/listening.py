"""Subscriptions that stay open while everything happens: everybody hears everything, Ann the messages alone too."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.hostile.interleaved.world import Actor, World

_CHAT = "chat { id title tags folder { id name } source { id key } }"
_EVENTS = f"""subscription ($after: EventCursor) {{ chatEvents(after: $after) {{ __typename cursor
  ... on MessageCreated {{ chatId clientMutationId message {{ id role text author {{ displayName }} }} }}
  ... on MessageUpdated {{ chatId message {{ id role text }} }} ... on MessageDeleted {{ chatId messageId }}
  ... on MessageDelta {{ chatId messageId text }} ... on ChatCreated {{ chatId {_CHAT} }} ... on ChatUpdated {{ chatId {_CHAT} }}
  ... on ChatDeleted {{ chatId }} ... on FolderChanged {{ folderId folder {{ id name }} }}
  ... on ReadStateChanged {{ chatId readUpToMessageId unreadCount }} ... on SourceHealthChanged {{ source {{ id key }} health {{ message }} }}
  ... on CaughtUp {{ incomplete {{ code message source {{ id key }} }} }} }} }}"""
_ADDED = (
    """subscription ($after: EventCursor) { messageAdded(after: $after) { cursor chatId message { id role text } } }"""
)
_NOW = "{ chats(first: 1, withinMs: 20000) { eventCursor } }"
_LAST = """mutation ($input: CreateFolderInput!) { createFolder(input: $input) { folder { id } userErrors { code message } } }"""
_SECONDS = 300.0


@dataclass
class Heard:
    """What one subscription brought. `kinds` counts events; `texts` are those of messages that were new."""

    kinds: Counter[str] = field(default_factory=Counter)
    texts: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, event: dict[str, Any]) -> None:
        kind = event.get("__typename", "MessageCreated")
        self.kinds[kind] += 1
        if kind == "MessageCreated":
            self.texts.add(event["message"]["text"])
        elif kind == "FolderChanged":
            self.folders.add(event["folderId"])
        elif kind == "CaughtUp":
            self.caught_up.set()
        assert kind != "StreamGap", event
        self.came.set()

    async def until_folder(self, folder_id: str) -> None:
        """Until it was told of this folder. Raises `TimeoutError` when it is not."""
        async with asyncio.timeout(_SECONDS):
            while folder_id not in self.folders:
                self.came.clear()
                await self.came.wait()


async def everybody_listens(world: World) -> dict[str, list[Heard]]:
    """From a position that was read before, so that there is no hole. By actor; of Ann the second hears messages alone."""
    heard: dict[str, list[Heard]] = {}
    for actor in world.actors:
        after = (await actor.line.ask(_NOW, {}))["data"]["chats"]["eventCursor"]
        heard[actor.name] = [Heard()]
        await actor.line.listen(_EVENTS, {"after": after}, heard[actor.name][0])
        if actor.person == "ann":
            heard[actor.name].append(Heard())
            await actor.line.listen(_ADDED, {"after": after}, heard[actor.name][1])
    async with asyncio.timeout(_SECONDS):
        await asyncio.gather(*(events.caught_up.wait() for events, *_ in heard.values()))
    return heard


async def everybody_has_heard(world: World, heard: dict[str, list[Heard]]) -> None:
    """Let one more thing happen in each organization, and wait until all have heard of it: what came before came before."""
    for organization in ("acme", "beta"):
        admin = world.actor(f"key@{organization}")
        made = (await admin.line.ask(_LAST, {"input": {"name": "The last one"}}))["data"]["createFolder"]["folder"][
            "id"
        ]
        await asyncio.gather(
            *(heard[actor.name][0].until_folder(made) for actor in world.actors if actor.organization == organization)
        )


def what_was_missed(world: World, actor: Actor, heard: Heard) -> set[str]:
    """Texts that were sent to chats that the actor sees, and never came. A chat that was deleted may take its events along."""
    own = world.own(actor)
    sent = {text for shelf in own for text, chat in shelf.sent.items() if chat not in shelf.leaving}
    return sent - heard.texts
