"""Replies under way: each is written by a task of its own, and told to the sockets that listen."""

import asyncio
import re
from collections.abc import Iterable
from typing import Any, Protocol

from simulators.lexicon.errors import LexiconError, error_fields
from simulators.lexicon.store import Chat, Store, message_id

Event = dict[str, Any]


class Listener(Protocol):
    """One socket."""

    async def tell(self, event: Event) -> None:
        """Nothing happens when the socket is gone."""
        ...

    async def cut(self) -> None:
        """Drop the connection in the middle of what it hears."""
        ...


class Replies:
    """One reply at a time in each chat, in the order in which they were asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turns: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: dict[str, list[Listener]] = {}

    def listen(self, chat_id: str, listener: Listener) -> None:
        self._listeners.setdefault(chat_id, []).append(listener)

    def leave(self, chat_id: str, listener: Listener) -> None:
        self._listeners[chat_id].remove(listener)

    def start(self, chat: Chat, asked: str, socket: Listener, *, cuts: bool = False) -> asyncio.Task[None]:
        """`cuts`: the asking socket is dropped at half of the reply."""
        number = sum(message.role == "user" for message in chat.messages)
        task = asyncio.create_task(self._write(chat, f"Echo {number}: {asked}", socket, cuts))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def stop_all(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        self.stop_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def tell(self, chat: Chat, event: Event, socket: Listener | None) -> None:
        """To the asking socket, or to all of the chat when it is switched so."""
        hearing: Iterable[Listener] = [socket] if socket else []
        if self._store.switches.socket_hears == "all":
            hearing = list(self._listeners.get(chat.id, []))
        for one in hearing:
            await one.tell(event)

    async def tell_of(self, chat: Chat, role: str, message_id: str, text: str, socket: Listener | None) -> None:
        """That a user's message was kept, or that a whole reply appeared at once."""
        if role == "user":
            await self.tell(chat, self.received(chat, message_id, text), socket)
        else:
            for event in (self._started(message_id), self._token(message_id, text), self._ended(message_id, text)):
                await self.tell(chat, event, socket)

    async def _write(self, chat: Chat, text: str, socket: Listener, cuts: bool) -> None:
        async with self._turns.setdefault(chat.id, asyncio.Lock()):
            switches = self._store.switches
            await asyncio.sleep(switches.begin_ms / 1000)
            if switches.reply_fails == "at_start":
                await self.tell(chat, self._failed(), socket)
                return
            reply_id, tokens = message_id(), re.findall(r"\S+\s*|\s+", text)
            await self.tell(chat, self._started(reply_id), socket)
            for place, token in enumerate(tokens):
                if place == len(tokens) // 2:
                    if switches.reply_fails == "in_the_middle":
                        await self.tell(chat, self._failed(), socket)
                        return
                    if cuts:
                        await socket.cut()
                        if not switches.reply_survives_socket:
                            return
                await asyncio.sleep(switches.token_ms / 1000)
                await self.tell(chat, self._token(reply_id, token), socket)
            metadata = {"model": "simulated", "tokens_used": len(tokens)}
            self._store.add_message(chat, "assistant", text, metadata, reply_id)
            await self.tell(chat, self._ended(reply_id, text), socket)

    def event(self, kind: str, fields: dict[str, Any]) -> Event:
        return {"event_type": kind, "timestamp": self._store.time(self._store.clock())} | fields

    def received(self, chat: Chat, message_id: str, text: str) -> Event:
        fields = {"message_id": message_id, "chat_id": chat.id, "user_id": chat.user}
        if self._store.switches.received_text_field:
            fields[self._store.switches.received_text_field] = text
        return self.event("message_received", fields)

    def _started(self, reply_id: str) -> Event:
        return self._stream_event("message_stream_started", reply_id, {})

    def _token(self, reply_id: str, token: str) -> Event:
        return self._stream_event("message_stream_token", reply_id, {self._store.switches.token_field: token})

    def _ended(self, reply_id: str, text: str) -> Event:
        field = self._store.switches.ended_text_field
        return self._stream_event("message_stream_ended", reply_id, {field: text} if field else {})

    def _failed(self) -> Event:
        refused = LexiconError(500, "GENERATION_FAILED", "The reply could not be written")
        return self.event("error", error_fields(self._store.switches, refused))

    def _stream_event(self, kind: str, reply_id: str, fields: dict[str, Any]) -> Event:
        if self._store.switches.stream_id_field:
            fields = {self._store.switches.stream_id_field: reply_id} | fields
        return self.event(kind, fields if self._store.switches.stream_events == "flat" else {"data": fields})
