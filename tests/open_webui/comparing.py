"""What the simulator says against what the real server said, and the differences that are accepted, each with its reason."""

import re
from collections.abc import Iterator
from typing import Any

ACCEPTED: list[tuple[str, str, str]] = [
    # step, path of the difference (regular expressions), reason
    (
        r"create, odd texts",
        r"/answer/chat/big",
        "an integer past 64 bits is told whole by the answer to creating and as a float ever after; here a float at once",
    ),
    (
        r"fork|export",
        r"/answer(/\d+)?/chat/(history/messages/\w+|messages/\d+)/(model|models|timestamp)",
        "a fork is made from a second copy of the messages, which keeps fields that a replaced message has lost",
    ),
    (
        r"export",
        r"/answer/\d+/chat/messages/0/(user|user_id)",
        "the old copy `chat.messages` of a chat that the completion made: nothing should read it",
    ),
]


def differences(real: Any, simulated: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where they differ: path, what the real one said, what the simulator said."""
    if isinstance(real, dict) and isinstance(simulated, dict):
        for key in sorted(real.keys() | simulated.keys()):
            yield from differences(real.get(key, "<absent>"), simulated.get(key, "<absent>"), f"{path}/{key}")
    elif isinstance(real, list) and isinstance(simulated, list) and len(real) == len(simulated):
        for place, (one, other) in enumerate(zip(real, simulated, strict=True)):
            yield from differences(one, other, f"{path}/{place}")
    elif type(real) is not type(simulated) or real != simulated:
        yield path, real, simulated


def unexplained(real: dict[str, Any], simulated: dict[str, Any]) -> list[str]:
    """One line for each difference that no reason stands for."""
    lines = [f"{name}: not asked of both" for name in real.keys() ^ simulated.keys()]
    for name in real.keys() & simulated.keys():
        for path, one, other in differences(real[name], simulated[name]):
            if not _accepted(name, path):
                lines.append(f"{name}: {path}: really {one!r}, simulated {other!r}")
    return sorted(lines)


def unneeded(real: dict[str, Any], simulated: dict[str, Any]) -> list[str]:
    """Reasons that no difference needs any more."""
    told = [(name, path) for name in real for path, _, _ in differences(real[name], simulated[name])]
    return [
        reason
        for step, where, reason in ACCEPTED
        if not any(re.fullmatch(step, name) and re.fullmatch(where, path) for name, path in told)
    ]


def _accepted(name: str, path: str) -> bool:
    return any(re.fullmatch(step, name) and re.fullmatch(where, path) for step, where, _ in ACCEPTED)
