"""The credentials that each simulator accepts, by vendor, as the gateway's settings name them."""

from collections.abc import Mapping

from simulators import kodey, open_webui

KEYS: Mapping[str, Mapping[str, str]] = {
    "kodey": {"api_key": kodey.SECRET_KEY},
    "open_webui": {"api_key": open_webui.ADMIN_KEY},
}
"""Vendor → credentials; every simulator of `python -m simulators` is here."""
