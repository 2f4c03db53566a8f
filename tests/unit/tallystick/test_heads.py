"""The memory of the last head: it only grows, and a ledger that contradicts it is found out."""

from __future__ import annotations

import os
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.heads import head_path, last_head, remember_head
from tallystick.proof.checkpoint import Checkpoint
from tallystick.proof.merkle import Frontier, consistency_proof, leaf_hash
from tallystick.proof.note import sign_note

ORIGIN = "tallystick.example/test/0123456789abcdef"
KEY = Ed25519PrivateKey.generate()


def note(size: int, salt: str = "", origin: str = ORIGIN) -> str:
    frontier = Frontier()
    frontier.extend(leaves(size, salt))
    return sign_note(Checkpoint(origin, size, frontier.root()).body(), origin, KEY)


def leaves(size: int, salt: str = "") -> list[bytes]:
    return [leaf_hash(f"{salt}{number}".encode()) for number in range(size)]


def prover(size: int, salt: str = "", origin: str = ORIGIN):
    stored = Frontier().extend(leaves(size, salt))

    def prove(old: int) -> tuple[list[bytes], str]:
        read = [stored[at : at + 32] for at in range(0, len(stored), 32)]
        return consistency_proof(old, size, lambda wanted: [read[i] for i in wanted]), note(
            size, salt, origin
        )

    return prove


def test_nothing_is_remembered_at_first(tmp_path):
    assert last_head(tmp_path, ORIGIN) is None


def test_a_larger_head_takes_the_place_of_a_smaller_one_only(tmp_path):
    for size in (3, 7, 5):
        remember_head(tmp_path, note(size), prover(size))
    assert last_head(tmp_path, ORIGIN) == note(7)


def test_ledgers_are_remembered_apart(tmp_path):
    other = "tallystick.example/test/fedcba9876543210"
    remember_head(tmp_path, note(3), prover(3))
    remember_head(tmp_path, note(2, origin=other), prover(2, origin=other))
    assert last_head(tmp_path, ORIGIN) == note(3)
    assert last_head(tmp_path, other) == note(2, origin=other)


def test_two_heads_of_one_size_are_a_fork(tmp_path):
    remember_head(tmp_path, note(3), prover(3))
    with pytest.raises(NotAsRecorded, match="was rewritten"):
        remember_head(tmp_path, note(3, "forged"), prover(3, "forged"))
    assert last_head(tmp_path, ORIGIN) == note(3)


def test_a_larger_head_must_be_proven_to_extend_the_kept_one(tmp_path):
    remember_head(tmp_path, note(3), prover(3))
    with pytest.raises(NotAsRecorded, match="was rewritten"):
        remember_head(tmp_path, note(9, "forged"), prover(9, "forged"))
    assert last_head(tmp_path, ORIGIN) == note(3)
    remember_head(tmp_path, note(8), prover(9))
    assert last_head(tmp_path, ORIGIN) == note(9)


def test_what_is_no_head_is_not_remembered(tmp_path):
    with pytest.raises(InvalidInput, match="not the head of a ledger"):
        remember_head(tmp_path, "hello\n\n— x AAAAAAAA\n", prover(3))


def test_the_memory_is_private_and_survives_simultaneous_writers(tmp_path):
    sizes = list(range(1, 25))
    heads = [(tmp_path, note(size), prover(size)) for size in sizes]
    threads = [threading.Thread(target=remember_head, args=head) for head in heads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert last_head(tmp_path, ORIGIN) == note(24)
    (kept,) = (tmp_path / "heads").glob("*.note")
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_memory_that_cannot_be_read_is_said(tmp_path):
    remember_head(tmp_path, note(3), prover(3))
    (kept,) = (tmp_path / "heads").glob("*.note")
    kept.write_bytes(b"\xff\xfe")
    with pytest.raises(CouldNotCheck, match="cannot be read"):
        last_head(tmp_path, ORIGIN)


def test_a_memory_that_is_a_pipe_is_not_waited_for(tmp_path):
    path = head_path(tmp_path, ORIGIN)
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(CouldNotCheck, match="cannot be read"):
        last_head(tmp_path, ORIGIN)
