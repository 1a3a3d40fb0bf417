"""Messages that are sent, answered, stopped, edited and deleted in the chats of an Open WebUI."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from domain.errors import InvalidArgument, NotFound, UnexpectedAnswer
from domain.records import Message, MessageRole, Source
from domain.source import NewMessage, Progress
from domain.tree import branch_path
from upstreams.clock import Clock
from upstreams.open_webui import requests
from upstreams.open_webui.access import Access
from upstreams.open_webui.ears import DeafEar, Ear, Ears
from upstreams.open_webui.forms import Options
from upstreams.open_webui.reading import FullChat, Reader, accepted, after_a_write, task_ids
from upstreams.open_webui.replies import Follower
from upstreams.open_webui.writing import appended_history, entry, model_for, refuse_attachments

_STOPPING_SECONDS = 10.0


class Conversation:
    """The turns of the chats of one source."""

    def __init__(
        self, reader: Reader, access: Access, source: Source, clock: Clock, options: Options, *, ears: Ears
    ) -> None:
        self._reader = reader
        self._access = access
        self._source = source
        self._clock = clock
        self._options = options
        self._ears = ears
        self._prefix = options.path_prefix

    async def send(self, new: NewMessage) -> AsyncIterator[Progress]:
        """Append the message; a user's one is answered in the background, and the answer heard or read as it grows."""
        refuse_attachments(new.attachments, ("attachments",))
        is_answered = new.wants_reply and new.role is MessageRole.USER
        async with self._ears.on(new.chat_id if is_answered else None) as ear:  # it opens while the chat is read
            full = await self._reader.chat(new.chat_id)
            if new.parent_id is not None and new.parent_id not in full.messages:
                raise NotFound(
                    "The message to follow is not in the chat (any more). Read the messages again, or leave `parentId` out.",
                    missing_id=new.parent_id,
                    path=("parentId",),
                )
            if not is_answered:
                yield Progress(await self._append(new))
                return
            path = branch_path(full.messages, new.parent_id, full.tree.active_leaf) if new.parent_id else []
            model = model_for(full.chat, path, new.model)
            now = self._now_seconds()
            turn = entry(new.id, new.parent_id, "user", new.text, now_seconds=now, model=model, metadata=new.metadata)
            async with aclosing(self._answered(new.chat_id, turn, new.reply_id, model, ear)) as steps:
                async for progress in steps:
                    yield progress

    async def regenerate(
        self, chat_id: str, message_id: str, *, reply_id: str, model: str | None
    ) -> AsyncIterator[Progress]:
        """Let the same question be answered again."""
        async with self._ears.on(chat_id) as ear:
            full = await self._reader.chat(chat_id)
            reply = _existing(full, message_id)
            question = full.messages.get(reply.parent_id or "")
            if reply.role is not MessageRole.ASSISTANT or question is None or question.role is not MessageRole.USER:
                raise InvalidArgument(
                    "Only an assistant's answer to a user's message can be made again. Name one.",
                    path=("messageId",),
                )
            chosen, now = model_for(full.chat, [reply], model or reply.model), self._now_seconds()
            turn = entry(question.native_id, question.parent_id, "user", question.text, now_seconds=now, model=chosen)
            async with aclosing(self._answered(chat_id, turn, reply_id, chosen, ear)) as steps:
                async for progress in steps:
                    yield progress

    async def follow(self, chat_id: str, message_id: str) -> AsyncIterator[Message]:
        """Go on reading a reply until it is final."""
        async with self._ears.on(chat_id) as ear:
            await ear.ready()
            follower = self._follower(chat_id, self._options.reply_timeout_seconds, ear)
            async with aclosing(follower.follow(message_id)) as readings:
                async for known in readings:
                    yield known[message_id]

    async def stop(self, chat_id: str, message_id: str) -> Message | None:
        """Stop what runs in the chat, and wait until the reply says so."""
        try:
            reply = (await self._reader.chat(chat_id)).messages.get(message_id)
        except NotFound:
            return None
        if reply is None or reply.state.is_final:
            return reply
        try:
            await self._access.send(requests.stop_tasks(chat_id))
        except (NotFound, UnexpectedAnswer):
            await self._stop_each(chat_id)  # older releases have no such route
        # Without the stream, which would have to be opened for this alone.
        ear = DeafEar(self._clock)
        async for known in self._follower(chat_id, _STOPPING_SECONDS, ear).follow(message_id):
            reply = known[message_id]
        return reply

    async def edit(self, chat_id: str, message_id: str, text: str) -> Message:
        """Replace the words of a message that is there: Open WebUI would create one that is not."""
        _existing(await self._reader.chat(chat_id), message_id)
        answer = await self._access.send(requests.edit_message(self._prefix, chat_id, message_id, text))
        return _existing(self._reader.full(answer), message_id)

    async def delete(self, chat_id: str, message_id: str) -> Sequence[str]:
        """Delete a message that is there; its direct children go too."""
        before = await self._reader.chat(chat_id)
        _existing(before, message_id)
        answer = await self._access.send(requests.delete_message(self._prefix, chat_id, message_id))
        left = self._reader.full(answer).messages
        gone = [native_id for native_id in before.messages if native_id not in left and native_id != message_id]
        return [message_id, *gone]

    def _now_seconds(self) -> int:
        return int(self._clock.now().timestamp())

    async def _append(self, new: NewMessage) -> Message:
        history = appended_history(new, now_seconds=self._now_seconds(), model=new.model)
        request = requests.update_chat(self._prefix, new.chat_id, history, operation="append_message")
        return _existing(self._reader.full(await self._access.send(request)), new.id)

    async def _answered(
        self, chat_id: str, turn: dict[str, Any], reply_id: str, model: str, ear: Ear
    ) -> AsyncGenerator[Progress, None]:
        body = requests.completion_body(
            chat_id=chat_id,
            model=model,
            reply_id=reply_id,
            user_message=turn,
            parent_id=turn["parentId"],
            session_id=f"switchboard-{reply_id}",
            prompt=[{"role": "user", "content": turn["content"]}],
        )
        await ear.ready()
        await self._reader.ask(requests.complete(body), accepted)
        follower = self._follower(chat_id, self._options.reply_timeout_seconds, ear)
        with after_a_write():
            async with aclosing(follower.follow(reply_id)) as readings:
                async for known in readings:
                    yield Progress(known.get(turn["id"]), known[reply_id])

    def _follower(self, chat_id: str, timeout_seconds: float, ear: Ear) -> Follower:
        async def is_running() -> bool:
            return bool(await self._reader.ask(requests.list_tasks(chat_id), task_ids))

        async def read() -> FullChat:
            return await self._reader.chat(chat_id)

        return Follower(
            self._source,
            self._clock,
            read=read,
            is_running=is_running,
            ear=ear,
            longest_pause_seconds=self._options.reply_poll_seconds,
            timeout_seconds=timeout_seconds,
        )

    async def _stop_each(self, chat_id: str) -> None:
        for task_id in await self._reader.ask(requests.list_tasks(chat_id), task_ids):
            await self._access.send(requests.stop_task(task_id))


def _existing(full: FullChat, message_id: str) -> Message:
    message = full.messages.get(message_id)
    if message is None:
        raise NotFound("The message is not in the chat (any more). Read the messages again.", missing_id=message_id)
    return message
