"""`python -m simulators kodey:4001 open_webui:4002`: the named vendors, each on its port, all in this process.

Prints one line once all of them accept connections, `ready {"kodey": "http://127.0.0.1:4001", …}`; port 0 means a free
one. Ends on SIGTERM and SIGINT, and with `--watch-stdin` also when its standard input is closed, so that a dying parent
takes it along.
"""

import argparse
import asyncio
import json
import signal
import sys
from contextlib import AsyncExitStack

from simulators import chatlogger, kodey, lexicon, open_webui, splox
from simulators.control import Control
from simulators.life import RoomsOf, live
from simulators.serving import serve

_DEMO_REPLY_MS = 400.0


def _kodey(seed: bool, reply_ms: float) -> Control:
    return kodey.create_app(seed=seed, switches=kodey.Switches(reply_ms=reply_ms))


def _open_webui(seed: bool, _: float) -> Control:
    return open_webui.create_app(seed=seed)


def _splox(seed: bool, reply_ms: float) -> Control:
    return splox.create_app(seed=seed, switches=splox.Switches(begin_ms=reply_ms, word_ms=reply_ms / 10))


def _lexicon(seed: bool, reply_ms: float) -> Control:
    return lexicon.create_app(seed=seed, switches=lexicon.Switches(begin_ms=reply_ms, token_ms=reply_ms / 10))


def _chatlogger(seed: bool, _: float) -> Control:
    return chatlogger.create_app(seed=seed)


VENDORS = {
    "kodey": _kodey,
    "open_webui": _open_webui,
    "splox": _splox,
    "lexicon": _lexicon,
    "chatlogger": _chatlogger,
}
"""Vendor → its simulator, with or without a seed, and an agent that takes so long."""


def _place(text: str) -> tuple[str, int]:
    vendor, colon, port = text.partition(":")
    if vendor not in VENDORS or not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"write VENDOR:PORT, with a vendor of {', '.join(VENDORS)}; not {text!r}")
    return vendor, int(port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulators", description=__doc__.partition("\n")[0])
    parser.add_argument("places", nargs="+", type=_place, metavar="VENDOR:PORT")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--no-seed", dest="seed", action="store_false", help="start with nothing in them")
    parser.add_argument(
        "--reply-ms", type=float, default=_DEMO_REPLY_MS, help="how long an agent takes before it answers (default 400)"
    )
    parser.add_argument(
        "--life", type=float, metavar="SECONDS", help="let a message appear at each of them, about as often as this"
    )
    parser.add_argument("--watch-stdin", action="store_true", help="end when the standard input is closed")
    return parser


async def _watch_stdin(ended: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass
    ended.set()


async def run(arguments: argparse.Namespace) -> None:
    """Serve until told to end."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    watching = asyncio.create_task(_watch_stdin(ended)) if arguments.watch_stdin else None
    async with AsyncExitStack() as stack:
        urls = {}
        for vendor, port in arguments.places:
            app = VENDORS[vendor](arguments.seed, arguments.reply_ms)
            urls[vendor] = await stack.enter_async_context(serve(app, host=arguments.host, port=port))
            if arguments.life is not None:
                living = asyncio.create_task(live(RoomsOf(app.simulator), vendor, arguments.life))
                stack.callback(living.cancel)
        print("ready", json.dumps(urls), flush=True)  # noqa: T201  the parent waits for this line
        await ended.wait()
    if watching is not None:
        watching.cancel()


def main() -> int:
    arguments = _parser().parse_args()
    try:
        asyncio.run(run(arguments))
    except OSError as error:
        print(f"A simulator could not start: {error}. Choose another port.", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
