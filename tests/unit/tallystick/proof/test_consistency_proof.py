"""Consistency proof files: a signed head extends a kept one, or it does not."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tallystick.proof.checkpoint import Checkpoint
from tallystick.proof.consistency_proof import (
    encode_consistency_proof,
    parse_consistency_proof,
    verify_consistency_proof,
)
from tallystick.proof.errors import Malformed, NotProven, NotTrusted, ProofError
from tallystick.proof.merkle import Frontier, consistency_proof, leaf_hash, root
from tallystick.proof.note import ED25519, Verifier, sign_note
from tallystick.proof.trust import parse_trust

ORIGIN = "example.com/log"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw()
TRUST = parse_trust(f"log {Verifier(ORIGIN, ED25519, PUBLIC).vkey}\nquorum none\n")
LEAVES = [leaf_hash(b"record %d" % number) for number in range(13)]
REWRITTEN = [leaf_hash(b"rewritten"), *LEAVES[1:]]


def head(size: int, leaves: list[bytes] = LEAVES, origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin, size, root(leaves[:size]))


def make_proof(old: int, new: int, leaves: list[bytes] = LEAVES) -> str:
    stored = Frontier().extend(leaves)
    hashes = consistency_proof(old, new, lambda wanted: [stored[32 * i : 32 * i + 32] for i in wanted])
    return encode_consistency_proof(old, hashes, sign_note(head(new, leaves).body(), ORIGIN, KEY))


PROOF = make_proof(6, 13)


@given(st.data(), st.integers(0, len(LEAVES)))
def test_every_proof_reads_back_and_verifies(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(0, new))
    text = make_proof(old, new)
    proof = parse_consistency_proof(text)
    assert encode_consistency_proof(proof.old_size, proof.hashes, proof.note) == text
    verdict = verify_consistency_proof(text, head(old), TRUST)
    assert (verdict.origin, verdict.old_size, verdict.size) == (ORIGIN, old, new)
    assert verdict.judgement.logs == TRUST.logs


def test_a_rewritten_log_does_not_extend_the_kept_head() -> None:
    for new in (6, 7, 13):
        with pytest.raises(NotProven):
            verify_consistency_proof(make_proof(6, new, REWRITTEN), head(6), TRUST)


def test_a_shorter_log_does_not_extend_the_kept_head() -> None:
    rolled_back = encode_consistency_proof(13, [], sign_note(head(6).body(), ORIGIN, KEY))
    with pytest.raises(NotProven, match="smaller"):
        verify_consistency_proof(rolled_back, head(13), TRUST)


def test_the_proof_must_start_from_the_kept_head() -> None:
    with pytest.raises(NotProven, match="another size"):
        verify_consistency_proof(PROOF, head(7), TRUST)
    with pytest.raises(NotProven, match="origins"):
        verify_consistency_proof(PROOF, head(6, origin="example.com/other"), TRUST)


def test_the_new_head_must_be_trusted() -> None:
    with pytest.raises(NotTrusted):
        verify_consistency_proof(PROOF, head(6), parse_trust("quorum none\n"))


def test_every_cut_or_altered_proof_is_refused() -> None:
    lines = PROOF.split("\n")
    wrong = [lines[:i] + lines[i + 1 :] for i in range(len(lines) - 1)]
    wrong += [[*lines[:i], lines[i], *lines[i:]] for i in range(len(lines) - 2)]
    wrong += [[*lines[:i], lines[i + 1], lines[i], *lines[i + 2 :]] for i in range(2, lines.index("") - 1)]
    for variant in wrong:
        with pytest.raises(ProofError):
            verify_consistency_proof("\n".join(variant), head(6), TRUST)
    for end in range(len(PROOF)):
        with pytest.raises(ProofError):
            verify_consistency_proof(PROOF[:end], head(6), TRUST)


@given(st.integers(0, len(PROOF) - 1), st.characters(codec="utf-8"))
def test_no_character_can_change(at: int, character: str) -> None:
    changed = PROOF[:at] + character + PROOF[at + 1 :]
    if changed != PROOF:
        with pytest.raises(ProofError):
            verify_consistency_proof(changed, head(6), TRUST)


@pytest.mark.parametrize(
    "text",
    [
        "",
        PROOF.replace("@v1", "@v2"),
        PROOF.replace("old 6", "old 06"),
        PROOF.replace("old 6", "old"),
        PROOF.replace("old 6", "new 6"),
        PROOF.replace("old 6", "\nold 6"),
        "tallystick/consistency-proof@v1\n\n" + PROOF.partition("\n\n")[2],
        PROOF.replace("\n", "\r\n"),
    ],
)
def test_what_is_no_proof_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        verify_consistency_proof(text, head(6), TRUST)


def test_what_could_not_be_read_back_is_not_written() -> None:
    for old, hashes in ((-1, []), (2**63, []), (1, [b"short"])):
        with pytest.raises(Malformed):
            encode_consistency_proof(old, hashes, "note")
