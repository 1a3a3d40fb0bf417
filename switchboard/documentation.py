"""The parts of README.md that are generated, so that they cannot be wrong: `make readme` writes them, a test compares them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from domain.capabilities import Capabilities, Capability, NativeStream
from storage.local_table import CAPABILITIES as LOCAL
from switchboard.http.protocol import CloseCode
from switchboard.settings import settings_table
from upstreams.http import UpstreamClients
from upstreams.registry import connectors

_CLOSED: Mapping[CloseCode, str] = {
    CloseCode.GOING_AWAY: "The gateway ends or restarts. Connect again and continue with `after`.",
    CloseCode.BAD_REQUEST: "A message was not one of the protocol.",
    CloseCode.UNAUTHORIZED: "An operation came before `connection_init` was acknowledged.",
    CloseCode.FORBIDDEN: "The credential was refused, or revoked meanwhile. Sign in again.",
    CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE: "`graphql-transport-ws` was not offered.",
    CloseCode.INITIALISATION_TIMEOUT: "`connection_init` did not come in time.",
    CloseCode.SUBSCRIBER_ALREADY_EXISTS: "The id of an operation is in use on this socket.",
    CloseCode.SLOW_READER: "You read too slowly for too long. Connect again and continue with `after`.",
    CloseCode.CREDENTIAL_EXPIRING: "The token ends in a moment. Send a newer one in the payload of a `ping` before, or connect again with it.",
    CloseCode.TOO_MANY_INITIALISATION_REQUESTS: "`connection_init` came twice.",
    CloseCode.INTERNAL_SERVER_ERROR: "A fault of the gateway. Connect again.",
}

README = Path(__file__).resolve().parents[1] / "README.md"


def tables() -> Mapping[str, Callable[[], str]]:
    """Name of the block → what stands in it."""
    return {"capabilities": capabilities, "settings": settings, "live": live, "close-codes": close_codes}


def written(text: str) -> str:
    """The page with every block as it has to be."""
    for name, table in tables().items():
        block = re.compile(rf"(<!-- table:{name} -->\n).*?(<!-- /table:{name} -->)", re.S)
        content = table()
        text = block.sub(rf"\g<1>{content.replace(chr(92), chr(92) * 2)}\n\g<2>", text)
    return text


def _by_vendor() -> dict[str, Capabilities]:
    known = {vendor: connector.capabilities for vendor, connector in connectors(UpstreamClients()).items()}
    return {**known, "local": LOCAL}


def capabilities() -> str:
    """Vendors × capabilities, with the limits worth knowing below."""
    by_vendor = _by_vendor()
    vendors = list(by_vendor)
    lines = [f"| | {' | '.join(f'`{vendor}`' for vendor in vendors)} |", f"|---|{'---|' * len(vendors)}"]
    notes: list[str] = []
    for capability in Capability:
        cells = []
        for vendor in vendors:
            support = by_vendor[vendor].of(capability)
            cells.append(support.level.value[0])
            if support.note:
                notes.append(f"- `{vendor}`, {_words(capability)}: {support.note}")
        lines.append(f"| {_words(capability)} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "<details><summary>Limits worth knowing</summary>", "", *notes, "", "</details>"])


def live() -> str:
    """Per vendor what others do that is noticed, how, and how fast."""
    lines = ["| | new messages | how fast | other changes |", "|---|---|---|---|"]
    for vendor, table in _by_vendor().items():
        notes = [table.of(capability).note for capability in (Capability.LIVE_MESSAGES, Capability.LIVE_CHANGES)]
        messages, changes = (note or "Written into the log with the change itself." for note in notes)
        lines.append(f"| `{vendor}` | {messages} | {_how_fast(table)} | {changes} |")
    return "\n".join(lines)


def _how_fast(table: Capabilities) -> str:
    if table.reads_from_store or table.stream_tells_messages:
        return "at once"
    if table.stream is not NativeStream.NONE:
        return "at once what its stream tells, else with the next poll"
    return "with the next poll" if table.rows_tell_messages else "with the next poll of the chat"


def _words(capability: Capability) -> str:
    return capability.value.replace("_", " ").lower()


def settings() -> str:
    """Every setting: name, default, unit, meaning."""
    lines = ["| setting | default | unit | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {_cell(default)} | {unit} | {_cell(meaning)} |"
        for name, default, unit, meaning in settings_table()
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def close_codes() -> str:
    """The codes with which a socket is closed."""
    lines = ["| close code | meaning |", "|---|---|"]
    lines += [f"| {int(code)} | {_CLOSED[code]} |" for code in sorted(CloseCode)]
    return "\n".join(lines)


def main() -> None:
    """Write README.md anew."""
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
