"""Which origins the list lets in."""

import pytest

from switchboard.http.origins import Origins


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("https://app.example.com/", "https://app.example.com"),
        ("https://APP.example.com", "https://app.example.com"),
        ("http://localhost:*", "http://localhost:3000"),
        ("http://localhost:*", "http://localhost"),
        ("http://127.0.0.1:*", "http://127.0.0.1:65535"),
        ("https://*.example.com", "https://a.b.example.com"),
        ("http://[::1]:*", "http://[::1]:8080"),
        ("*", "app://anything"),
        ("null", "null"),
    ],
)
def test_origin_that_fits_is_allowed(allowed: str, origin: str) -> None:
    assert Origins([allowed]).allows({"origin": origin, "host": "gateway:4000"}, "http")


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ("https://app.example.com", "http://app.example.com"),
        ("https://app.example.com", "https://app.example.com:8443"),
        ("https://app.example.com", "https://appXexample.com"),
        ("https://app.example.com", "https://app.example.com.evil.example"),
        ("http://localhost:*", "http://localhost.evil.example:1"),
        ("http://localhost:*", "http://localhost:1@evil.example"),
        ("http://localhost:*", "https://localhost:1"),
        ("https://*.example.com", "https://example.com"),
        ("https://*.example.com", "https://evilexample.com"),
        ("https://*.example.com", "https://evil.example/.example.com"),
        ("http://localhost:*", "null"),
        ("http://localhost:*", ""),
    ],
)
def test_origin_that_does_not_fit_is_refused(allowed: str, origin: str) -> None:
    assert not Origins([allowed]).allows({"origin": origin, "host": "gateway:4000"}, "http")


@pytest.mark.parametrize(
    ("host", "scheme", "origin", "is_own"),
    [
        ("gateway:4000", "http", "http://gateway:4000", True),
        ("gateway", "http", "http://gateway", True),
        ("gateway:80", "http", "http://gateway", True),
        ("gateway", "ws", "http://gateway", True),
        ("gateway", "http", "https://gateway", True),  # a proxy ends TLS
        ("gateway", "https", "http://gateway", False),  # an insecure page on a secure gateway
        ("gateway:4000", "http", "http://gateway:4001", False),
        ("gateway", "http", "http://gateway.evil.example", False),
        ("", "http", "http://", False),
    ],
)
def test_own_page_needs_no_entry(host: str, scheme: str, origin: str, is_own: bool) -> None:
    assert Origins([]).allows({"origin": origin, "host": host}, scheme) is is_own


def test_request_of_no_page_is_judged_by_its_credential() -> None:
    assert Origins([]).allows({"host": "gateway"}, "http")
