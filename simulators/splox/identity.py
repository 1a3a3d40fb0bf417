"""Accounts, workflows and their ids: always the same, so that the settings of a source can name them."""

from simulators.splox.records import Account, Flow

TOKEN = "splox_simulator_token"
SECOND_TOKEN = "splox_simulator_token_two"
"""Another token of the same account: the quota of runs is the account's."""
OTHER_TOKEN = "splox_simulator_token_of_another"


def _id(kind: int, number: int) -> str:
    """Like a UUID of version 7, as in every example of the documents."""
    return f"0199{kind:04x}-0000-7000-8000-{number:012x}"


def seeded_chat_id(place: int) -> str:
    return _id(0xC, place)


def seeded_message_id(place: int, line: int) -> str:
    return _id(0x3E, place << 16 | line)


OWNER = Account(_id(0xA, 1), (TOKEN, SECOND_TOKEN))
OTHER = Account(_id(0xA, 2), (OTHER_TOKEN,))
ACCOUNTS = (OWNER, OTHER)

ASSISTANT = Flow("Assistant", "echo", _id(0x10, 1), _id(0x20, 1), _id(0x30, 1), older_version_id=_id(0x20, 0x11))
SLOW = Flow("Slow assistant", "slow", _id(0x10, 2), _id(0x20, 2), _id(0x30, 2))
TOOLS = Flow("Assistant with tools", "tools", _id(0x10, 3), _id(0x20, 3), _id(0x30, 3))
APPROVAL = Flow("Assistant that asks first", "approval", _id(0x10, 4), _id(0x20, 4), _id(0x30, 4))
FAILING = Flow("Assistant that fails", "failing", _id(0x10, 5), _id(0x20, 5), _id(0x30, 5))
FLOWS = (ASSISTANT, SLOW, TOOLS, APPROVAL, FAILING)
"""All belong to `OWNER`."""

AGENT_ID = _id(0x40, 1)
"""A resource of the type `agent`: whoever lists its chats is shown his own only."""
