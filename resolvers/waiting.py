"""Waiting for a reply: `reply: WAIT`. Whoever waits and leaves does not want it any more, so it is stopped where its source can; what was sent stays sent."""

import asyncio
import logging

from domain.capabilities import Capability
from domain.errors import GatewayError
from resolvers.context import Context
from resolvers.reading import native_message_id
from resolvers.replies import Following, wait_until
from resolvers.targets import ChatTarget

_LOOK_SECONDS = 0.2
_STOPPING_SECONDS = 5.0
_log = logging.getLogger(__name__)


async def wait_for_reply(context: Context, target: ChatTarget, reply_id: str) -> None:
    """Until a reply is finished, for as long as is waited, or until the client leaves: then it is stopped, unless somebody else waits too."""
    following = context.gateway.replies.get((*target.key, reply_id))
    if following is None:
        await wait_until(_finished_elsewhere(context, target, reply_id), context.gateway.tuning.wait_reply_seconds)
        return
    following.waiting += 1
    try:
        await _until_finished_or_left(context, following)
    finally:
        following.waiting -= 1
    if context.has_left and not following.finished.is_set() and not following.waiting:
        await _stop(context, target, reply_id, following)


async def _until_finished_or_left(context: Context, following: Following) -> None:
    waits = [asyncio.ensure_future(following.finished.wait())]
    if context.client_left is not None:
        waits.append(asyncio.ensure_future(context.client_left.wait()))
    try:
        seconds = context.gateway.tuning.wait_reply_seconds
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _finished_elsewhere(context: Context, target: ChatTarget, reply_id: str) -> None:
    """Until its row is final. Another process follows it, or nobody; asked for again only by who repeats a request."""
    key = (*target.key, reply_id)
    while not context.has_left:
        row = (await context.store.messages.get_many(context.organization.id, [key])).get(key)
        if row is None or row.state.is_final:
            return
        await asyncio.sleep(_LOOK_SECONDS)


async def _stop(context: Context, target: ChatTarget, reply_id: str, following: Following) -> None:
    if not target.capabilities.can(Capability.STOP_REPLY):
        return
    try:
        await target.live.stop_reply(target.chat_id, await native_message_id(context, target, reply_id))
    except GatewayError as error:  # it goes on, and is followed to its end
        _log.info("a reply that nobody waits for could not be stopped: %s", error.message)
        return
    await wait_until(following.finished.wait(), _STOPPING_SECONDS)
