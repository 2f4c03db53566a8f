"""Dataset keys on disk and what is derived from them."""

from __future__ import annotations

import hashlib
import hmac
import stat
from pathlib import Path
from typing import Any

import pytest

from tallystick.errors import CouldNotCheck, InvalidInput, Missing
from tallystick.fingerprint.keys import DatasetKey, Keyring, TableKey


def test_a_key_comes_back_as_it_was_created(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys")
    key = keyring.create("rand-hie")
    assert keyring.load(key.key_id) == key
    assert key.name == "rand-hie"
    assert keyring.create("rand-hie").secret != key.secret


def test_only_the_owner_may_read_keys(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys")
    keyring.create("x")
    (file,) = keyring.directory.iterdir()
    assert stat.S_IMODE(keyring.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys")
    key = keyring.create("x")
    (file,) = keyring.directory.iterdir()
    file.chmod(0o644)
    with pytest.raises(CouldNotCheck, match="can be read by others") as caught:
        keyring.load(key.key_id)
    assert not isinstance(caught.value, Missing)
    assert caught.value.hint.endswith(f"chmod 600 {file}")
    file.chmod(0o600)
    assert keyring.load(key.key_id) == key


def test_an_erased_key_is_gone_and_the_others_stay(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path)
    erased, kept = keyring.create("x"), keyring.create("y")
    keyring.erase(erased.key_id)
    for attempt in (keyring.load, keyring.erase):
        with pytest.raises(CouldNotCheck, match="erased or not here"):
            attempt(erased.key_id)
    assert keyring.load(kept.key_id) == kept
    assert all(erased.secret.hex() not in file.read_text() for file in tmp_path.iterdir())


def test_erasing_overwrites_what_the_file_held(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path)
    key = keyring.create("x")
    (file,) = tmp_path.iterdir()
    other_name = tmp_path / "other"
    other_name.hardlink_to(file)
    keyring.erase(key.key_id)
    assert key.secret.hex().encode() not in other_name.read_bytes()


def test_a_key_that_cannot_be_erased_is_said_to_be_here(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path)
    key_id = keyring.create("x").key_id
    (tmp_path / f"{key_id}.key").unlink()
    (tmp_path / f"{key_id}.key").mkdir()
    with pytest.raises(CouldNotCheck, match="could not be written") as caught:
        keyring.erase(key_id)
    assert not isinstance(caught.value, Missing)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"v":1}', b"\xff"])
def test_a_damaged_key_file_is_no_key(tmp_path: Path, content: bytes) -> None:
    keyring = Keyring(tmp_path)
    key = keyring.create("x")
    (tmp_path / f"{key.key_id}.key").write_bytes(content)
    with pytest.raises(CouldNotCheck, match="damaged"):
        keyring.load(key.key_id)


def test_a_key_file_under_another_name_is_no_key(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path)
    one, two = keyring.create("x"), keyring.create("y")
    (tmp_path / f"{one.key_id}.key").replace(tmp_path / f"{two.key_id}.key")
    with pytest.raises(CouldNotCheck, match="damaged"):
        keyring.load(two.key_id)


@pytest.mark.parametrize("key_id", ["", "../../etc/passwd", "0" * 15, "A" * 16])
def test_a_key_id_is_sixteen_hex_digits(tmp_path: Path, key_id: str) -> None:
    with pytest.raises(InvalidInput, match="16"):
        Keyring(tmp_path).load(key_id)


def test_secrets_are_never_shown(key: TableKey) -> None:
    dataset = DatasetKey("0" * 16, "x", b"\xab" * 32)
    for text in (repr(dataset), str(dataset), repr(key), f"{dataset.table_key()}"):
        assert "ab" * 4 not in text
        assert "\\xab" not in text


def test_derived_values_are_those_of_the_format_page(key: TableKey, vectors: Any, reference: Any) -> None:
    expected = vectors["keys"]
    assert key.salts(0, 2).hex() == expected["salts_0_1"]
    assert key.salts(2**33, 1).hex() == expected["salt_2_33"] == reference.salt(2**33).hex()
    assert key.pseudonym(b"s\x00\x00\x00\x01A").hex() == expected["pseudonym_A"]
    assert key.seal(b"abc") == expected["seal_abc"]


def test_a_sealed_digest_is_the_hmac_of_the_digest(key: TableKey, reference: Any) -> None:
    digest = hashlib.sha256(b"abc").digest()
    assert (
        key.seal(b"abc")
        == key.seal_digest(digest.hex())
        == hmac.digest(reference.seal_key, digest, "sha256").hex()
    )
    assert key.seal(b"abd") != key.seal(b"abc")
    for wrong in ("", "0" * 63, "G" * 64, "A" * 64):
        with pytest.raises(InvalidInput, match="64"):
            key.seal_digest(wrong)


def test_tables_of_one_dataset_share_nothing() -> None:
    dataset = DatasetKey("0" * 16, "x", bytes(32))
    one, two = dataset.table_key(), dataset.table_key()
    assert one.nonce != two.nonce
    assert one.salts(0, 1) != two.salts(0, 1)
    assert one.pseudonym(b"x") != two.pseudonym(b"x")
    assert dataset.table_key(one.nonce).seal(b"x") == one.seal(b"x") != two.seal(b"x")
    with pytest.raises(InvalidInput, match="32 bytes"):
        dataset.table_key(b"short")
