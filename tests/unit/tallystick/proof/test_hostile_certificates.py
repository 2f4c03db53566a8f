"""Hostile certificates and revocation lists: refused with the room's own error, whatever the library says."""

from __future__ import annotations

import base64
import random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.certificates import DURING, crl, judge, member, root

from tallystick.proof.errors import Malformed, ProofError
from tallystick.proof.membership import Membership, Msp

ROOT, CRL, MEMBER = root(), crl(5, 6), member()
DERS = {
    "root": x509.load_pem_x509_certificate(ROOT).public_bytes(Encoding.DER),
    "crl": x509.load_pem_x509_crl(CRL).public_bytes(Encoding.DER),
    "member": x509.load_pem_x509_certificate(MEMBER).public_bytes(Encoding.DER),
}
_TIMES = b"\x17\x0d260101000000Z"


def read(kind: str, der: bytes) -> None:
    """What a verifier does with a file of ``kind``."""
    if kind == "root":
        Membership([Msp("OperatorMSP", (_pem(der, "CERTIFICATE"),))])
    elif kind == "crl":
        Membership([Msp("OperatorMSP", (ROOT,), (_pem(der, "X509 CRL"),))])
    else:
        judge(_pem(der, "CERTIFICATE"), DURING, roots=(ROOT,))


def _pem(der: bytes, kind: str) -> bytes:
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n".encode()


def changed(der: bytes, chance: random.Random) -> bytes:
    """``der`` with one to three bytes changed, taken away or put in."""
    data = bytearray(der)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        place = chance.randrange(len(data))
        match chance.choice(["set", "set", "set", "set", "take", "put"]):
            case "set":
                bit = data[place] ^ 1 << chance.randrange(8)
                data[place] = chance.choice([chance.randrange(256), bit, 0, 0x80, 255])
            case "take":
                del data[place : place + chance.randrange(1, 4)]
            case _:
                data[place:place] = chance.randbytes(chance.randrange(1, 4))
    return bytes(data)


@pytest.mark.parametrize("kind", DERS)
def test_nothing_but_the_rooms_error_comes_of_changed_bytes(kind: str) -> None:
    read(kind, DERS[kind])
    chance, refused = random.Random(20261123), 0
    for _ in range(1500):
        try:
            read(kind, changed(DERS[kind], chance))
        except ProofError:
            refused += 1
    assert refused > 1400


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("crl", b"\x02\x01\x01", b"\x02\x01\x05"),
        ("crl", _TIMES, _TIMES.replace(b"0101", b"9999")),
        ("crl", b"\x0c\x02ca", b"\x0c\x02c\xff"),
        ("crl", b"\x0c\x02ca", b"\x03\x02ca"),
        ("root", b"\x0c\x02ca", b"\x03\x02ca"),
        ("member", b"\x0c\x07someone", b"\x03\x07someone"),
        ("member", b"\x02\x01\x02", b"\x02\x01\x09"),
        ("member", _TIMES, _TIMES.replace(b"0101", b"9999")),
    ],
)
def test_what_the_library_reads_late_is_refused_all_the_same(kind: str, old: bytes, new: bytes) -> None:
    assert old in DERS[kind]
    with pytest.raises(Malformed):
        read(kind, DERS[kind].replace(old, new))
