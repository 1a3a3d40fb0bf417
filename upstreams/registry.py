"""Vendor to connector; the only module that imports connectors. A new vendor is one line."""

from collections.abc import Callable, Mapping

from domain.source import Connector
from upstreams.chatlogger.source import chatlogger
from upstreams.http import UpstreamClients
from upstreams.kodey.source import kodey
from upstreams.lexicon.source import lexicon
from upstreams.open_webui.source import open_webui
from upstreams.splox.source import splox

CONNECTORS: Mapping[str, Callable[[UpstreamClients], Connector]] = {
    "splox": splox,
    "lexicon": lexicon,
    "chatlogger": chatlogger,
    "kodey": kodey,
    "open_webui": open_webui,
}


def connectors(clients: UpstreamClients) -> dict[str, Connector]:
    """Every connector, calling through `clients`, which the application made and closes."""
    return {vendor: make(clients) for vendor, make in CONNECTORS.items()}
