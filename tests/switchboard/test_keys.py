"""The gateway's secrets: rotation, tampering, and the demo's file."""

import os
from pathlib import Path

import pytest

from switchboard.keys import CannotUnseal, KeyRing, kept_secret, key_ring, new_secret
from switchboard.settings import Settings
from switchboard.settings_errors import SettingsError

OLD, NEW = "o" * 40, "n" * 40


def test_what_was_sealed_is_unsealed() -> None:
    ring = KeyRing([NEW])
    assert ring.unseal(ring.seal({"api_key": "päss", "user": ""})) == {"api_key": "päss", "user": ""}


def test_a_secret_is_not_readable_in_what_was_sealed() -> None:
    assert b"hunter2" not in KeyRing([NEW]).seal({"api_key": "hunter2"})


def test_the_same_text_is_sealed_differently_each_time() -> None:
    ring = KeyRing([NEW])
    assert ring.seal({"a": "b"}) != ring.seal({"a": "b"})


def test_after_rotation_old_texts_stay_readable_and_new_ones_use_the_first_key() -> None:
    sealed = KeyRing([OLD]).seal({"a": "1"})
    rotated = KeyRing([NEW, OLD])
    assert rotated.unseal(sealed) == {"a": "1"}
    assert KeyRing([NEW]).unseal(rotated.seal({"a": "2"})) == {"a": "2"}


def test_a_removed_key_unseals_nothing() -> None:
    with pytest.raises(CannotUnseal, match="secret_keys"):
        KeyRing([NEW]).unseal(KeyRing([OLD]).seal({"a": "1"}))


@pytest.mark.parametrize("position", [0, 1, 5, 17, -1])
def test_a_changed_byte_is_noticed(position: int) -> None:
    sealed = bytearray(KeyRing([NEW]).seal({"a": "1"}))
    sealed[position] ^= 1
    with pytest.raises(CannotUnseal):
        KeyRing([NEW]).unseal(bytes(sealed))


@pytest.mark.parametrize("length", [0, 1, 5, 16, 20])
def test_a_cut_text_is_noticed(length: int) -> None:
    with pytest.raises(CannotUnseal):
        KeyRing([NEW]).unseal(KeyRing([NEW]).seal({"a": "1"})[:length])


def test_each_purpose_has_a_key_of_its_own() -> None:
    ring = KeyRing([NEW, OLD])
    keys = [*ring.cursor_keys, *ring.webhook_keys]
    assert len(set(keys)) == 4
    assert ring.cursor_keys[0] == KeyRing([NEW]).cursor_keys[0]


def test_secrets_are_not_in_the_repr() -> None:
    assert NEW not in repr(KeyRing([NEW]))


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(SettingsError, match="fewer than 32 characters"):
        KeyRing(["short"])


def test_without_a_secret_the_command_that_makes_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWITCHBOARD_SECRET_KEY", raising=False)
    with pytest.raises(SettingsError, match="`switchboard keys secret`"):
        key_ring(Settings())
    with pytest.raises(SettingsError, match="`switchboard keys secret`"):
        key_ring(Settings(secret_keys=()))


def test_a_new_secret_is_good_and_never_the_same() -> None:
    one = new_secret()
    assert one != new_secret()
    KeyRing([one])


def test_the_kept_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "secret"
    made = kept_secret(path)
    assert kept_secret(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["secret"]


def test_a_kept_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    kept_secret(path)
    path.chmod(0o644)
    with pytest.raises(SettingsError, match=f"chmod 600 {path}"):
        kept_secret(path)
