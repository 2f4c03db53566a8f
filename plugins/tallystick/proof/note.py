"""C2SP signed notes: a text, a blank line, and a line for each signature.

Two kinds of key: Ed25519 over the text (type 0x01), and timestamped Ed25519 cosignatures of checkpoints (type
0x04, C2SP tlog-cosignature). Rules: c2sp.org/signed-note, and docs/formats/checkpoint.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tallystick.proof.errors import Malformed, NotProven, NotTrusted
from tallystick.proof.text import MAX_SIZE, parse_base64, split_lines, to_base64

ED25519: Final = 0x01
COSIGNATURE_V1: Final = 0x04

MAX_NOTE_SIZE: Final = 1_000_000
MAX_SIGNATURES: Final = 100

_KEY_SIZE: Final = 32
_SIGNATURE_SIZES: Final = {ED25519: 64, COSIGNATURE_V1: 8 + 64}
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DASH: Final = "\u2014 "


@dataclass(frozen=True)
class Verifier:
    """A public key under a name. ``key_type`` is `ED25519` or `COSIGNATURE_V1`; the key has 32 bytes."""

    name: str
    key_type: int
    public_key: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.key_type not in _SIGNATURE_SIZES:
            raise Malformed("verifier key: a key type other than Ed25519 (1) and cosignature/v1 (4)")
        if len(self.public_key) != _KEY_SIZE:
            raise Malformed("verifier key: an Ed25519 key has 32 bytes")

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || type || key), the first 4 bytes."""
        return sha256(self.name.encode() + b"\n" + self._typed_key).digest()[:4]

    @property
    def vkey(self) -> str:
        """``NAME+KEY ID+KEY``, as trust files and Go's sumdb/note spell it."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(self._typed_key)}"

    @property
    def _typed_key(self) -> bytes:
        return bytes([self.key_type]) + self.public_key


@dataclass(frozen=True)
class Signature:
    """One signature line: who claims to have signed, with which key (4 bytes), and what the key made."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True)
class Note:
    """A note that was read but not verified. ``text`` ends in a newline."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True)
class Signed:
    """A verified signature. ``time``: a cosigner's claim in seconds since the epoch, else None."""

    verifier: Verifier
    time: int | None


def parse_vkey(vkey: str) -> Verifier:
    """The verifier that a vkey spells. Raises `Malformed`, also when the key id is not the key's."""
    parts = vkey.split("+", 2)
    if len(parts) != 3:
        raise Malformed("verifier key: not of the form NAME+KEY ID+KEY")
    typed_key = parse_base64(parts[2], "verifier key")
    if not typed_key:
        raise Malformed("verifier key: the key is empty")
    verifier = Verifier(parts[0], typed_key[0], typed_key[1:])
    if verifier.vkey != vkey:
        raise Malformed("verifier key: the key id does not belong to this name and key")
    return verifier


def sign_note(text: str, name: str, private_key: Ed25519PrivateKey) -> str:
    """The note of ``text`` (which ends in a newline) with one Ed25519 signature. Raises `Malformed`."""
    _check_text(text)
    verifier = Verifier(name, ED25519, private_key.public_key().public_bytes_raw())
    return f"{text}\n{_signature_line(verifier, private_key.sign(text.encode()))}"


def cosign_note(note: str, name: str, private_key: Ed25519PrivateKey, time: int) -> str:
    """``note`` with one more line: a cosignature/v1 of ``time``, in seconds since the epoch."""
    if not 0 <= time <= MAX_SIZE:
        raise Malformed("cosignature: the time is out of range")
    verifier = Verifier(name, COSIGNATURE_V1, private_key.public_key().public_bytes_raw())
    value = private_key.sign(_cosigned_message(parse_note(note).text, time))
    return note + _signature_line(verifier, time.to_bytes(8, "big") + value)


def parse_note(note: str) -> Note:
    """Text and signatures of ``note``, nothing verified. Raises `Malformed`."""
    if len(note) > MAX_NOTE_SIZE:
        raise Malformed("note: too long")
    _check_characters(note)
    text, separator, block = note.rpartition("\n\n")
    if not separator:
        raise Malformed("note: no blank line before the signatures")
    lines = split_lines(block, "note")
    if len(lines) > MAX_SIGNATURES:
        raise Malformed(f"note: more than {MAX_SIGNATURES} signatures")
    return Note(text + "\n", tuple(_parse_signature(line) for line in lines))


def verify_note(note: str, verifiers: Iterable[Verifier]) -> tuple[str, list[Verifier]]:
    """The text and those of ``verifiers`` that signed it, each once, in the order of the note's lines.

    Raises as `verify_signatures` does.
    """
    text, signed = verify_signatures(note, verifiers)
    return text, [item.verifier for item in signed]


def verify_signatures(note: str, verifiers: Iterable[Verifier]) -> tuple[str, list[Signed]]:
    """As `verify_note`, with the times that cosigners claim; of several lines by one key, the first counts.

    Lines by other keys are ignored. Raises `Malformed`; `NotProven` when a line that names a known key was
    not made by it; `NotTrusted` when none of the keys signed.
    """
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise Malformed("verifier keys: two keys share a name and a key id")
    parsed = parse_note(note)
    signed: dict[Verifier, Signed] = {}
    for signature in parsed.signatures:
        match = known.get((signature.name, signature.key_id))
        if match:
            signed.setdefault(match, _verify(match, parsed.text, signature.value))
    if not signed:
        raise NotTrusted("note: not signed by any of the trusted keys")
    return parsed.text, list(signed.values())


def _verify(verifier: Verifier, text: str, value: bytes) -> Signed:
    time, message, signature = None, text.encode(), value
    if verifier.key_type == COSIGNATURE_V1:
        time, signature = int.from_bytes(value[:8], "big"), value[8:]
        message = _cosigned_message(text, time)
    try:
        if len(value) != _SIGNATURE_SIZES[verifier.key_type] or (time or 0) > MAX_SIZE:
            raise InvalidSignature
        Ed25519PublicKey.from_public_bytes(verifier.public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise NotProven(f"note: the signature by {verifier.name} is wrong") from None
    return Signed(verifier, time)


def _cosigned_message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _signature_line(verifier: Verifier, value: bytes) -> str:
    return f"{_DASH}{verifier.name} {to_base64(verifier.key_id + value)}\n"


def _parse_signature(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise Malformed("note: a signature line does not start with an em dash and a space")
    name, space, encoded = line[len(_DASH) :].partition(" ")
    if not space:
        raise Malformed("note: a signature line without a signature")
    _check_name(name)
    value = parse_base64(encoded, "note: a signature")
    if len(value) < 5:
        raise Malformed("note: a signature without a key id and a value")
    return Signature(name, value[:4], value[4:])


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise Malformed("note: the text does not end in a newline")
    _check_characters(text)


def _check_characters(text: str) -> None:
    if _CONTROL.search(text):
        raise Malformed("note: a control character other than a newline")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Malformed("note: not valid UTF-8") from None


def _check_name(name: str) -> None:
    _check_characters(name)
    if not name or "+" in name or any(character.isspace() for character in name):
        raise Malformed("key name: empty, or with a space or a plus")
