"""Sealed digests: plain without a key, keyed with one, and found again only by whoever has the key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallystick import files, sealing
from tallystick.errors import CouldNotCheck, NotAsRecorded
from tallystick.fingerprint.keys import DatasetKey, TableKey
from tallystick.store import Store

SHA = "ab" * 32
OTHER = "cd" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "objects")


def key(secret: int = 1) -> TableKey:
    return DatasetKey("0" * 16, "claims", bytes([secret]) * 32).table_key(bytes(32))


def test_without_a_key_the_digest_is_its_own_address(store: Store) -> None:
    digests = sealing.seal(None, SHA)
    sealing.remember(store, digests, SHA)
    assert digests == {"sha256": SHA}
    assert sealing.resolve(store, digests, None) == SHA
    assert not (store.root / "sealed").exists()


def test_with_a_key_the_plain_digest_is_not_in_what_is_recorded(store: Store) -> None:
    digests = sealing.seal(key(), SHA)
    sealing.remember(store, digests, SHA)
    assert digests.keys() == {"hmac-sha256"}
    assert SHA not in digests.values()
    assert sealing.resolve(store, digests, key()) == SHA


def test_another_key_does_not_believe_it(store: Store) -> None:
    digests = sealing.seal(key(), SHA)
    sealing.remember(store, digests, SHA)
    with pytest.raises(NotAsRecorded):
        sealing.resolve(store, digests, key(2))


def test_an_exchanged_memory_is_found_out(store: Store) -> None:
    digests = sealing.seal(key(), SHA)
    sealing.remember(store, digests, SHA)
    sealing.remember(store, digests, OTHER)
    with pytest.raises(NotAsRecorded, match="exchanged"):
        sealing.resolve(store, digests, key())


@pytest.mark.parametrize("with_key", [True, False])
def test_what_is_erased_cannot_be_checked(store: Store, with_key: bool) -> None:
    digests = sealing.seal(key(), SHA)
    sealing.remember(store, digests, SHA)
    if with_key:
        sealing.forget(store, digests)
    with pytest.raises(CouldNotCheck, match="erased or not here"):
        sealing.resolve(store, digests, key() if with_key else None)


def test_what_cannot_be_forgotten_is_said(store: Store) -> None:
    digests = sealing.seal(key(), SHA)
    sealing.forget(store, digests)
    (store.root / "sealed" / digests["hmac-sha256"]).mkdir(parents=True)
    with pytest.raises(CouldNotCheck, match="could not be written: Is a directory"):
        sealing.forget(store, digests)


def test_what_is_forgotten_does_not_come_back_after_a_power_cut(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = sealing.seal(key(), SHA)
    sealing.remember(store, digests, SHA)
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_directory", synced.append)
    sealing.forget(store, digests)
    assert synced == [store.root / "sealed"]


def test_a_memory_that_is_a_pipe_is_not_waited_for(store: Store) -> None:
    digests = sealing.seal(key(), SHA)
    place = store.root / "sealed" / digests["hmac-sha256"]
    place.parent.mkdir(parents=True)
    os.mkfifo(place)
    with pytest.raises(CouldNotCheck, match="cannot be read"):
        sealing.resolve(store, digests, key())
    with pytest.raises(CouldNotCheck, match="not a regular file"):
        sealing.remembered(store)
