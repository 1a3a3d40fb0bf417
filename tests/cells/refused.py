"""What a source cannot do is refused before any call: a `CapabilityError` that names the capability and the source."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from domain.capabilities import Capability
from tests.cells.world import Subject, mutation

C = Capability


@dataclass(frozen=True)
class Known:
    """The ids of a chat with messages."""

    chat: str
    first: str
    newest: str


Ways = Mapping[str, Mapping[str, Any]]
"""Mutation → its input: every way to ask for one thing."""

REFUSED: Mapping[Capability, Callable[[Known], Ways]] = {
    C.GENERATE_REPLY: lambda known: {"sendMessage": {"chatId": known.chat, "text": "Answer!", "reply": "WAIT"}},
    C.STREAM_REPLY: lambda known: {"sendMessage": {"chatId": known.chat, "text": "Answer!", "reply": "WAIT"}},
    C.STOP_REPLY: lambda known: {"stopGeneration": {"messageId": known.newest}},
    C.REGENERATE_REPLY: lambda known: {"regenerateMessage": {"messageId": known.newest}},
    C.EDIT_MESSAGE: lambda known: {"editMessage": {"messageId": known.newest, "text": "changed"}},
    C.DELETE_MESSAGE: lambda known: {"deleteMessage": {"messageId": known.newest}},
    C.BRANCHES: lambda known: {"sendMessage": {"chatId": known.chat, "text": "instead", "parentId": known.first}},
    C.SHARE_CHAT: lambda known: {"shareChat": {"chatId": known.chat}, "unshareChat": {"chatId": known.chat}},
}
"""Capability → the check for a cell that is unsupported."""


_TRIES = 5


async def is_refused(subject: Subject, capability: Capability) -> None:
    """The chat and its messages are read before the calls are counted."""
    native_id = await subject.a_talk()
    messages = await subject.messages(native_id)
    held = subject.must_hold(native_id)
    known = Known(subject.id_of(native_id), messages[0]["id"], messages[-1]["id"])
    # A feed of a test before this one may still be reading; a call of ours would be there each time.
    for _ in range(_TRIES):
        subject.forget_calls()
        await _all_are_refused(subject, capability, known)
        if not (calls := subject.calls()):
            break
    assert calls == []
    assert subject.must_hold(native_id) == held


async def _all_are_refused(subject: Subject, capability: Capability, known: Known) -> None:
    for name, given in REFUSED[capability](known).items():
        error = await subject.us.refused(mutation(name), input=dict(given))
        assert (error["__typename"], error["code"]) == ("CapabilityError", "UNSUPPORTED")
        # To ask for a reply is the only way to ask for its words, so it is the reply that is refused.
        assert error["capability"] == (C.GENERATE_REPLY if capability is C.STREAM_REPLY else capability)
        assert error["source"] == {"key": subject.vendor.replace("_", "-")}
        assert error["message"].endswith(".")
