"""The other processes of one store: found by their files, told at once what this one commits and what the replies that it follows say.

    this process ──connects──▶ the socket of each other one, and speaks there (`switchboard.tidings`)
    a hello of somebody unknown ──▶ connected to as well: each speaks on the connections that it made, and hears on those that it was given
    a connection ends ──▶ its process is gone: `on_death`

All of it is a knock at the door: heads are found in the store anyway (`storage.changes`), a little later, and a reply's text comes whole
with its end. Where sockets cannot be had (a file system without them) the store alone is looked at.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from resolvers.feed import Feed
from resolvers.spoken import Growth, SpokenKey
from storage.presence import Present
from storage.store import Store
from switchboard.tidings import LONGEST_LINE, Neighbour, Voice

_LONGEST_ADDRESS = 100
"""A socket's address may have 107 bytes on Linux and 103 elsewhere."""
_MOST_WAITING = 64

_log = logging.getLogger(__name__)


class Neighbours:
    """All of them."""

    def __init__(self, presence: Present, feed: Feed, on_death: Callable[[], None]) -> None:
        self._presence = presence
        self._feed = feed
        self._on_death = on_death
        self._known: dict[str, Neighbour] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._folder = os.open(presence.folder, os.O_RDONLY | os.O_CLOEXEC)
        self._server: asyncio.Server | None = None

    def __len__(self) -> int:
        return len(self._known)

    def committed(self, organization_id: int, head: int) -> None:
        """This process committed to the log of an organization."""
        for neighbour in self._known.values():
            neighbour.committed(organization_id, head)

    def grew(self, growth: Growth) -> None:
        """A reply that this process follows has new words."""
        for neighbour in self._known.values():
            neighbour.grew(growth)

    def settled(self, key: SpokenKey, is_final: bool) -> None:
        """This process committed a message's end, or that it goes on."""
        for neighbour in self._known.values():
            neighbour.settled(key, is_final)

    def fell_silent(self, speaker: str) -> None:
        """This process follows a reply no more."""
        for neighbour in self._known.values():
            neighbour.fell_silent(speaker)

    async def open(self) -> None:
        """Listen, and meet all that live."""
        try:
            listening = self._listen()
        except OSError as error:
            _log.warning(
                "Other processes cannot be told at once what this one does (%s). They find it in the store.", error
            )
            return
        self._server = await asyncio.start_unix_server(self._welcome, sock=listening, limit=LONGEST_LINE)
        for name in self._presence.living():
            await self._meet(name)

    async def close(self) -> None:
        """Let go of everything."""
        if self._server is not None:
            self._server.close()
        for neighbour in self._known.values():
            neighbour.close()
        self._known.clear()
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        with suppress(FileNotFoundError):
            self._presence.socket_of(self._presence.own).unlink()
        os.close(self._folder)

    def _listen(self) -> socket.socket:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.setblocking(False)
            listening.bind(self._address_of(self._presence.own))
            self._presence.socket_of(self._presence.own).chmod(0o600)
            listening.listen(_MOST_WAITING)
        except BaseException:
            listening.close()
            raise
        return listening

    def _address_of(self, name: str) -> str:
        """The path of a socket; where it is too long, by way of the folder, which is open here."""
        path = self._presence.socket_of(name)
        if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
            return str(path)
        return f"/proc/self/fd/{self._folder}/{path.name}"

    async def _meet(self, name: str) -> None:
        if name == self._presence.own or name in self._known:
            return
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, self._address_of(name))
            _, writer = await asyncio.open_unix_connection(sock=connection)
        except OSError:  # it has just ended, or does not listen yet: then it says hello when it does
            connection.close()
            return
        if name in self._known:  # met by two tasks at once
            writer.close()
            return
        neighbour = self._known[name] = Neighbour(writer)
        neighbour.hello(self._presence.own)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hear a process until it ends."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        voice = Voice(self._feed)
        try:
            async for line in reader:
                if voice.hear(line) and voice.name is not None:
                    await self._meet(voice.name)
        except (OSError, ValueError):  # broken off, or no line of ours
            _log.info("a neighbour could not be heard any more", exc_info=True)
        except (
            asyncio.CancelledError
        ):  # this process ends; the streams' own callback would log a cancellation as an error
            return
        finally:
            self._tasks.discard(task)
            writer.close()
            voice.end()
            self._part(voice.name)

    def _part(self, name: str | None) -> None:
        neighbour = self._known.pop(name or "", None)
        if neighbour is not None:
            neighbour.close()
            self._on_death()


@asynccontextmanager
async def neighbours(
    presence: Present, store: Store, feed: Feed, on_death: Callable[[], None] = lambda: None
) -> AsyncIterator[Neighbours]:
    """Be a neighbour, until the block is left: tell what the store commits and the feed says."""
    all_of_them = Neighbours(presence, feed, on_death)
    store.on_commit(all_of_them.committed)
    store.on_settled(all_of_them.settled)
    feed.on_growth(all_of_them.grew, all_of_them.fell_silent)
    try:
        await all_of_them.open()
        yield all_of_them
    finally:
        await all_of_them.close()
