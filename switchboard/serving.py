"""How uvicorn runs the application: the fastest loop and parsers, sockets without deflate, a graceful end."""

from typing import Any

import uvicorn

from switchboard.http.connection import GuardedConnection
from switchboard.http.direct import DirectWebSocket
from switchboard.settings import Settings

_KEEP_ALIVE_SECONDS = 75
"""How long a connection may rest. Longer than proxies and clients keep one (5 s to 60 s): where the server closes first, a request that
crosses with the closing is lost, and nobody may repeat a mutation by himself."""


def server_config(app: Any, settings: Settings, *, factory: bool = False) -> uvicorn.Config:
    """The configuration for `uvicorn.Server` or `uvicorn.run`."""
    return uvicorn.Config(app, factory=factory, **server_options(settings))


def server_options(settings: Settings) -> dict[str, Any]:
    """The options of uvicorn that the settings decide, and those that are the same everywhere."""
    return {
        "host": settings.host,
        "port": settings.port,
        "workers": settings.workers,
        "loop": "uvloop",
        "http": GuardedConnection,
        "ws": DirectWebSocket,
        "ws_per_message_deflate": False,  # doubles the cost of each message for a few bytes
        "ws_max_size": settings.limits.body_bytes,
        "lifespan": "on",
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": max(1, round(settings.shutdown_seconds)),
    }
