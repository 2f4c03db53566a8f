"""A member's word on a head that another one signed: the same blocks, judged here, give the same root.

The cosignature is C2SP's (docs/formats/checkpoint.md), under a name and a key of its own: in a trust policy a
log's key is never a witness's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick import wiring
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.files import alone, private_directory
from tallystick.identity import generate_log_key, load_log_key
from tallystick.ledger.port import Ledger
from tallystick.proof import merkle
from tallystick.proof.checkpoint import Checkpoint, head_of
from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.note import COSIGNATURE_V1, Verifier, cosign_note, parse_note
from tallystick.settings import Settings

_NOT_OURS: Final = "Give the file that holds what another member's `tally checkpoint` printed."


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The note with this member's line, the key that made it, and the head that it is of."""

    note: str
    verifier: Verifier
    head: Checkpoint


def cosign(settings: Settings, note: str, *, time_s: int) -> Cosigned:
    """Add this member's cosignature of ``time_s`` to a signed head, where the log derived here has it too.

    Raises `InvalidInput` for what is no head of this channel, `CouldNotCheck` where not so much of the log
    is known here yet, `NotAsRecorded` where the log has another root at that size.
    """
    if not wiring.on_channel(settings):
        raise InvalidInput(
            f"{settings.ledger_url} has one operator, whose own cosignature would say nothing",
            hint="Members of a channel of Fabric cosign. Here the head itself is kept elsewhere:"
            " tally checkpoint --out DIRECTORY",
        )
    try:
        head = head_of(note)
    except Malformed as error:
        raise InvalidInput(f"what is to be cosigned is no signed head: {error}", hint=_NOT_OURS) from None
    ledger = wiring.open_ledger(settings)
    try:
        check_head(ledger, head)
    finally:
        ledger.close()
    verifier, key = _cosigner(settings, head.origin)
    if any(
        (line.name, line.key_id) == (verifier.name, verifier.key_id) for line in parse_note(note).signatures
    ):
        raise InvalidInput("this member has cosigned that head already", hint="Nothing is left to do.")
    return Cosigned(cosign_note(note, verifier.name, key, time_s), verifier, head)


def check_head(ledger: Ledger, head: Checkpoint) -> None:
    """That ``ledger`` had this head at its size. Raises as `cosign` does."""
    if head.origin != ledger.origin:
        raise InvalidInput(f"that is a head of {head.origin}, and here is {ledger.origin}", hint=_NOT_OURS)
    own = head_of(ledger.checkpoint())
    if head.size > own.size:
        raise CouldNotCheck(
            f"that head has {head.size:,} leaves, and what this member's peer has makes {own.size:,}",
            hint="Try again when the peer has caught up: tally status",
        )
    proof, signed = ledger.consistency_proof(head.size)
    own = head_of(signed)
    try:
        merkle.verify_consistency(head.size, own.size, head.root, own.root, proof)
    except NotProven:
        raise NotAsRecorded(
            f"the log that this member judged has another root at {head.size:,} leaves than that head",
            hint="One of the two members was shown another channel. Keep both heads for the auditor:"
            " tally checkpoint --out DIRECTORY",
        ) from None


def _cosigner(settings: Settings, origin: str) -> tuple[Verifier, Ed25519PrivateKey]:
    """This member's name and key as a cosigner; the key is made when it is first asked for."""
    path = settings.cosigner_key
    with alone(private_directory(path.parent)):
        key = load_log_key(path) if path.exists() else generate_log_key(path)
    name = f"{origin.rpartition('/')[0]}/{wiring.signer(settings).msp_id}"
    return Verifier(name, COSIGNATURE_V1, key.public_key().public_bytes_raw()), key
