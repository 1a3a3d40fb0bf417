"""The simulated vendors: one for each source, with equal native ids everywhere, and words and credentials that no other one has."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulators import chatlogger, kodey, lexicon, open_webui, splox
from simulators.chatlogger.accounts import ORGANIZATION, Key
from simulators.control import Control
from simulators.keys import OPTIONS

WORDS = {"acme": "zebra", "beta": "giraffe", "ann@acme": "okapi", "ann@beta": "bonobo"}
"""Who sees it (an organization, or Ann alone in one) → the word in every title and text there."""
CANARY = "canary"
"""In every credential, and in nothing else."""
MANY = 1_000_000
"""A quota that nobody reaches."""
EMAILS = {"acme": chatlogger.ADMIN_EMAIL, "beta": chatlogger.USER_EMAIL}
"""Different users of ChatLogger's one organization, whose cookies differ therefore."""


@dataclass(frozen=True, kw_only=True)
class House:
    """One simulator, behind one source. `audience`: who sees it. `signs`: what its callers' headers may say."""

    audience: str
    key: str
    vendor: str
    control: Control = field(repr=False)
    credentials: Mapping[str, str] = field(repr=False)
    options: Mapping[str, Any]
    signs: frozenset[str] = field(repr=False)

    @property
    def word(self) -> str:
        """In all that it holds."""
        return WORDS[self.audience]


def a_secret(audience: str, key: str, name: str) -> str:
    """A credential that reads like none, so that nothing finds it by its looks; and half of it has the canary too."""
    digest = hashlib.sha256(f"{audience} {key} {name}".encode()).hexdigest()
    return "-".join(f"{CANARY}{digest[start : start + 3]}" for start in (0, 3, 6, 9))


def a_house(audience: str, key: str, vendor: str) -> House:
    """A seeded simulator that accepts its own credentials alone."""
    return _MADE[vendor](audience, key)


def _kodey(audience: str, key: str) -> House:
    switches = kodey.Switches(secret_per_minute=MANY)
    control, secret = kodey.create_app(switches=switches), f"sk_live_{a_secret(audience, key, 'api_key')}"
    vendor: Any = control.simulator
    vendor.keys = {secret: kodey.TEAM}
    for chat in vendor.chats.values():
        for message in chat.messages:
            message.content = f"{WORDS[audience]} {message.content}"
    return House(
        audience=audience,
        key=key,
        vendor="kodey",
        control=control,
        credentials={"api_key": secret},
        options={"requests_per_minute": MANY},
        signs=frozenset({secret}),
    )


def _splox(audience: str, key: str) -> House:
    control, secret = splox.create_app(switches=splox.Switches(runs_per_minute=MANY)), a_secret(audience, key, "token")
    vendor: Any = control.simulator
    vendor.store.tokens = {secret: splox.OWNER}
    for chat in vendor.store.chats.values():
        chat.name = f"{WORDS[audience]} {chat.name}"
    for thread in vendor.store.threads.values():
        for message in thread.messages:
            message.content = [{"type": "text", "text": f"{WORDS[audience]} {message.content[0]['text']}"}]
    return House(
        audience=audience,
        key=key,
        vendor="splox",
        control=control,
        credentials={"api_key": secret},
        # Without the agent: under the type `api` the chats of others are listed for it, and cannot be opened.
        options={
            "runs_per_minute": MANY,
            "resources": [{"id": flow.workflow_id, "type": "workflow"} for flow in (splox.ASSISTANT, splox.SLOW)],
        },
        signs=frozenset({f"Bearer {secret}"}),
    )


def _lexicon(audience: str, key: str) -> House:
    control, secret = lexicon.create_app(), a_secret(audience, key, "api_key")
    vendor: Any = control.simulator
    vendor.store.tenants = {secret: lexicon.TENANT}
    for chat in vendor.store.chats.values():
        chat.title = f"{WORDS[audience]} {chat.title}"
        for message in chat.messages:
            message.content = f"{WORDS[audience]} {message.content}"
    return House(
        audience=audience,
        key=key,
        vendor="lexicon",
        control=control,
        credentials={"api_key": secret},
        options=OPTIONS["lexicon"],
        signs=frozenset({secret}),
    )


def _chatlogger(audience: str, key: str) -> House:
    control, secret = chatlogger.create_app(), a_secret(audience, key, "api_key")
    vendor: Any = control.simulator
    vendor.store.password = password = a_secret(audience, key, "password")
    vendor.store.keys[:] = [Key(1, ORGANIZATION, "own", secret)]
    for chat in vendor.store.chats.values():
        chat.title = f"{WORDS[audience]} {chat.title}"
        for message in chat.messages:
            message.content = f"{WORDS[audience]} {message.content}"
    return House(
        audience=audience,
        key=key,
        vendor="chatlogger",
        control=control,
        credentials={"email": EMAILS[audience], "password": password, "api_key": secret},
        options=OPTIONS["chatlogger"],
        signs=frozenset({secret}),
    )


def _open_webui(audience: str, key: str) -> House:
    control, secret = open_webui.create_app(), f"sk-{a_secret(audience, key, 'api_key')}"
    vendor: Any = control.simulator
    vendor.users[0].api_key = secret
    for folder in vendor.store.folders.values():
        folder.name = f"{WORDS[audience]} {folder.name}"
    for chat in vendor.store.chats.values():
        chat.title = chat.body["title"] = f"{WORDS[audience]} {chat.title}"
        for message in chat.body["history"]["messages"].values():
            message["content"] = f"{WORDS[audience]} {message['content']}"
    return House(
        audience=audience,
        key=key,
        vendor="open_webui",
        control=control,
        credentials={"api_key": secret},
        options={},
        signs=frozenset({f"Bearer {secret}"}),
    )


_MADE: Mapping[str, Callable[[str, str], House]] = {
    "kodey": _kodey,
    "splox": _splox,
    "lexicon": _lexicon,
    "chatlogger": _chatlogger,
    "open_webui": _open_webui,
}
