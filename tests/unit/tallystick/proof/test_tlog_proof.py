"""Inclusion proof files: a leaf under a signed head, and everything near it that is not."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tallystick.proof.checkpoint import Checkpoint
from tallystick.proof.errors import Malformed, NotProven, NotTrusted, ProofError
from tallystick.proof.merkle import Frontier, inclusion_proof, leaf_hash
from tallystick.proof.note import COSIGNATURE_V1, ED25519, Verifier, sign_note
from tallystick.proof.tlog_proof import encode_tlog_proof, parse_tlog_proof, verify_tlog_proof
from tallystick.proof.trust import parse_trust

ORIGIN = "example.com/log"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw()
TRUST = parse_trust(f"log {Verifier(ORIGIN, ED25519, PUBLIC).vkey}\nquorum none\n")
LEAVES = [b"record %d" % number for number in range(11)]


def make_proof(index: int, size: int = len(LEAVES), extra: bytes | None = None) -> str:
    frontier = Frontier()
    stored = frontier.extend(leaf_hash(leaf) for leaf in LEAVES[:size])
    hashes = inclusion_proof(index, size, lambda wanted: [stored[32 * i : 32 * i + 32] for i in wanted])
    note = sign_note(Checkpoint(ORIGIN, size, frontier.root()).body(), ORIGIN, KEY)
    return encode_tlog_proof(index, hashes, note, extra)


PROOF = make_proof(6)


@given(st.data(), st.integers(1, len(LEAVES)), st.none() | st.binary())
def test_every_proof_reads_back_and_verifies(data: st.DataObject, size: int, extra: bytes | None) -> None:
    index = data.draw(st.integers(0, size - 1))
    text = make_proof(index, size, extra)
    proof = parse_tlog_proof(text)
    assert (proof.index, proof.extra) == (index, extra)
    assert encode_tlog_proof(proof.index, proof.hashes, proof.note, proof.extra) == text
    verdict = verify_tlog_proof(text, LEAVES[index], TRUST)
    assert (verdict.origin, verdict.size, verdict.index) == (ORIGIN, size, index)
    assert verdict.judgement.logs == TRUST.logs
    assert not verdict.judgement.witnessed


def test_the_layout_is_c2sps() -> None:
    lines = make_proof(6, extra=b"more").split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra bW9yZQ==", "index 6"]
    assert [len(line) for line in lines[3:7]] == [44, 44, 44, 44]
    assert lines[7:10] == ["", ORIGIN, "11"]


def test_another_leaf_or_place_is_not_proven() -> None:
    with pytest.raises(NotProven):
        verify_tlog_proof(PROOF, LEAVES[5], TRUST)
    with pytest.raises(NotProven):
        verify_tlog_proof(PROOF, leaf_hash(LEAVES[6]), TRUST)
    for index in (5, 7, 11, 2**63 - 1):
        with pytest.raises(NotProven):
            verify_tlog_proof(PROOF.replace("index 6", f"index {index}"), LEAVES[6], TRUST)


def test_every_cut_reordered_or_extended_proof_is_refused() -> None:
    lines = PROOF.split("\n")
    first, last = 2, lines.index("")
    wrong = [lines[:i] + lines[i + 1 :] for i in range(len(lines) - 1)]
    wrong += [[*lines[:i], lines[i], *lines[i:]] for i in range(len(lines) - 2)]
    wrong += [[*lines[:i], lines[i + 1], lines[i], *lines[i + 2 :]] for i in range(first, last - 1)]
    for variant in wrong:
        with pytest.raises(ProofError):
            verify_tlog_proof("\n".join(variant), LEAVES[6], TRUST)
    for end in range(len(PROOF)):
        with pytest.raises(ProofError):
            verify_tlog_proof(PROOF[:end], LEAVES[6], TRUST)


@given(st.integers(0, len(PROOF) - 1), st.characters(codec="utf-8"))
def test_no_character_can_change(at: int, character: str) -> None:
    changed = PROOF[:at] + character + PROOF[at + 1 :]
    if changed != PROOF:
        with pytest.raises(ProofError):
            verify_tlog_proof(changed, LEAVES[6], TRUST)


@pytest.mark.parametrize(
    "text",
    [
        "",
        PROOF.replace("@v1", "@v2"),
        PROOF.replace("index 6", "index 06"),
        PROOF.replace("index 6", "index  6"),
        PROOF.replace("index 6", "Index 6"),
        PROOF.replace("index 6", "index 6\nextra AAAA"),
        PROOF.replace("index 6", "extra AAAA\nextra AAAA\nindex 6"),
        PROOF.replace("index 6", "extra AAA\nindex 6"),
        PROOF.replace("index 6", "\nindex 6"),
        PROOF.replace("\n", "\r\n"),
        "\n" + PROOF,
        "c2sp.org/tlog-proof@v1\n\n" + PROOF.partition("\n\n")[2],
    ],
)
def test_what_is_no_proof_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        verify_tlog_proof(text, LEAVES[6], TRUST)


def test_trust_is_the_callers() -> None:
    witness = Verifier("w", COSIGNATURE_V1, bytes(32)).vkey
    log = Verifier(ORIGIN, ED25519, PUBLIC).vkey
    with pytest.raises(NotTrusted, match="too few"):
        verify_tlog_proof(PROOF, LEAVES[6], parse_trust(f"log {log}\nwitness w {witness}\nquorum w\n"))
    with pytest.raises(NotTrusted, match="not signed by any"):
        verify_tlog_proof(PROOF, LEAVES[6], parse_trust(f"witness w {witness}\nquorum none\n"))


def test_what_could_not_be_read_back_is_not_written() -> None:
    for index, hashes in ((-1, []), (2**63, []), (0, [b"short"])):
        with pytest.raises(Malformed):
            encode_tlog_proof(index, hashes, "note")
