"""The credentials that each simulator accepts, and the options of a source for it, by vendor, as the gateway's settings name them."""

import time
from collections.abc import Mapping
from typing import Any

from simulators import kodey, open_webui, splox
from simulators.chatlogger import accounts
from simulators.lexicon import store as lexicon
from simulators.open_webui.accounts import accounts as open_webui_accounts
from simulators.open_webui.accounts import session_of

KEYS: Mapping[str, Mapping[str, str]] = {
    "splox": {"api_key": splox.TOKEN},
    "lexicon": {"api_key": lexicon.API_KEY},
    "chatlogger": {
        "email": accounts.USERS[0].email,
        "password": accounts.PASSWORD,
        "api_key": accounts.API_KEY,
    },
    "kodey": {"api_key": kodey.SECRET_KEY},
    "open_webui": {"api_key": open_webui.ADMIN_KEY},
}
"""Vendor → credentials; every simulator of `python -m simulators` is here."""

SESSIONS: Mapping[str, Mapping[str, str]] = {
    "open_webui": {"jwt": session_of(open_webui_accounts()[0], int(time.time()))[0]},
}
"""Vendor → the credentials of a person who signed in, where these reach further than a key: the server tells them by itself what happens."""

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "splox": {
        "resources": [
            {"id": splox.ASSISTANT.workflow_id, "type": "workflow"},
            {"id": splox.SLOW.workflow_id, "type": "workflow"},
            {"id": splox.AGENT_ID, "type": "agent", "workflow_version_id": splox.ASSISTANT.version_id},
        ],
    },
    "lexicon": {"user_ids": list(lexicon.SEEDED_USERS)},
    "chatlogger": {"slug": accounts.SLUG},
}
"""Vendor → the options that a source needs to see what the simulator is seeded with; vendors that need none are left out."""

PATHS: Mapping[str, str] = {"splox": splox.PREFIX}
"""Vendor → where its API begins on the simulator's host, where a source's base URL names that."""
