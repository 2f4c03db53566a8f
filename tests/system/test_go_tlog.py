"""Our heads and proofs verify with the Go project's transparency log code, and not with a byte changed."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.proof import merkle
from tallystick.proof.checkpoint import Checkpoint
from tallystick.proof.consistency_proof import encode_consistency_proof
from tallystick.proof.note import ED25519, Verifier, cosign_note, sign_note
from tallystick.proof.tlog_proof import encode_tlog_proof

MODULE = Path(__file__).parent / "go"
ORIGIN = "example.com/hospital/0123456789abcdef"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
VKEY = Verifier(ORIGIN, ED25519, KEY.public_key().public_bytes_raw()).vkey
LEAVES = [b"record %d" % number for number in range(1000)]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]
STORED = merkle.Frontier().extend(HASHES)


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")  # under CI=true the shared conftest makes this a failure
    binary = tmp_path_factory.mktemp("go") / "verify"
    environment = os.environ | {"GOFLAGS": "-mod=readonly"}
    subprocess.run([go, "build", "-o", binary, "."], cwd=MODULE, env=environment, check=True, timeout=300)
    return binary


def read(indices: object) -> list[bytes]:
    assert isinstance(indices, list)
    return [STORED[32 * index : 32 * index + 32] for index in indices]


def head(size: int) -> str:
    """A signed head, cosigned by a witness that the Go code does not know and must ignore."""
    note = sign_note(Checkpoint(ORIGIN, size, merkle.root(HASHES[:size])).body(), ORIGIN, KEY)
    return cosign_note(note, "witness.example", WITNESS, 1_700_000_000)


def run(*arguments: str | Path) -> str:
    """`verified`, or the reason of a refusal."""
    result = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode in (0, 1), result.stderr
    return (result.stdout if result.returncode == 0 else result.stderr).strip()


def flip(text: str, at: int) -> str:
    """``text`` with its character number ``at`` replaced by another of the base64 alphabet."""
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


@pytest.mark.parametrize(("index", "size"), [(0, 1), (1, 2), (4, 7), (0, 8), (499, 1000), (999, 1000)])
def test_go_verifies_inclusion(verifier: Path, tmp_path: Path, index: int, size: int) -> None:
    proof, leaf = tmp_path / "record.tlog-proof", tmp_path / "leaf"
    text = encode_tlog_proof(index, merkle.inclusion_proof(index, size, read), head(size))
    proof.write_text(text, "utf-8")
    leaf.write_bytes(LEAVES[index])
    assert run(verifier, "record", VKEY, proof, leaf) == "verified"

    leaf.write_bytes(LEAVES[index][:-1] + b"x")
    assert run(verifier, "record", VKEY, proof, leaf).startswith("refused")
    leaf.write_bytes(LEAVES[index])
    places = [text.index("\n— ") - 10, text.index(f"— {ORIGIN} ") + len(ORIGIN) + 20]
    if size > 1:
        places.append(text.index("\n", 30) + 10)
    for at in places:  # in the root, in the log's signature, in the first hash
        proof.write_text(flip(text, at), "utf-8")
        assert run(verifier, "record", VKEY, proof, leaf).startswith("refused")


@pytest.mark.parametrize(("old", "new"), [(1, 1), (1, 2), (3, 7), (4, 8), (6, 8), (8, 1000), (999, 1000)])
def test_go_verifies_consistency(verifier: Path, tmp_path: Path, old: int, new: int) -> None:
    proof, kept = tmp_path / "consistency", tmp_path / "old"
    hashes = merkle.consistency_proof(old, new, read)
    proof.write_text(encode_consistency_proof(old, hashes, head(new)), "utf-8")
    kept.write_text(head(old), "utf-8")
    assert run(verifier, "tree", VKEY, proof, kept) == "verified"

    rewritten = Checkpoint(ORIGIN, old, merkle.leaf_hash(b"rewritten"))
    kept.write_text(sign_note(rewritten.body(), ORIGIN, KEY), "utf-8")
    assert run(verifier, "tree", VKEY, proof, kept).startswith("refused")
    kept.write_text(head(old), "utf-8")
    for number, item in enumerate(hashes):
        damaged = [*hashes[:number], bytes([item[0] ^ 1]) + item[1:], *hashes[number + 1 :]]
        proof.write_text(encode_consistency_proof(old, damaged, head(new)), "utf-8")
        assert run(verifier, "tree", VKEY, proof, kept).startswith("refused")


def test_go_stores_the_same_hashes_in_the_same_order(verifier: Path, tmp_path: Path) -> None:
    leaves, stored = tmp_path / "leaves", tmp_path / "stored"
    leaves.write_text("".join(base64.b64encode(leaf).decode() + "\n" for leaf in LEAVES), "ascii")
    stored.write_bytes(STORED)
    assert run(verifier, "layout", leaves, stored) == "verified"
    stored.write_bytes(STORED[:-1] + bytes([STORED[-1] ^ 1]))
    assert run(verifier, "layout", leaves, stored).startswith("refused")
