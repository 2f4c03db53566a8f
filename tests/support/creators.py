"""Creators of transactions, and whom to take them for: run through every reader of identities."""

from __future__ import annotations

import base64

from cryptography import x509
from fabric_protos.msp import identities_pb2
from support import certificates as certs

MSP = "OperatorMSP"
EXTENSIONS = [(certs.NOT_CA, True), (certs.usage(sign=True), True)]
BOSS = {"hf.EnrollmentID": "boss", "tallystick.roles": "admin"}


def member(attrs: object) -> bytes:
    return certs.member([*EXTENSIONS, certs.attributes(attrs)])


def extended(oid: str, value: str) -> bytes:
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), bytes.fromhex(value))
    return certs.member([*EXTENSIONS, certs.attributes(certs.ATTRS), (extension, False)])


def serialised(pem: bytes, msp_id: str = MSP) -> bytes:
    return bytes(identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=pem).SerializeToString())


def called(pem: bytes, name: bytes) -> bytes:
    """The block under another name."""
    return pem.replace(b" CERTIFICATE-", b" " + name + b"-")


def lines(pem: bytes, length: int) -> bytes:
    """The block with lines of another length."""
    head, *body, foot = pem.splitlines()
    text = b"".join(body)
    return b"\n".join([head, *(text[at : at + length] for at in range(0, len(text), length)), foot, b""])


OWN = member({"hf.EnrollmentID": "x"})
#: Issued by no authority: whoever has a key can make it.
INVENTED = certs.member(
    [*EXTENSIONS, certs.attributes(BOSS)], key=certs.KEYS["other"], issuer_key=certs.KEYS["other"]
)
_PLAIN = serialised(OWN)
_NAME, _CERTIFICATE = _PLAIN[: 2 + len(MSP)], _PLAIN[2 + len(MSP) :]
_LENGTH = len(OWN)

#: The creator, its enrolment id and its roles.
READ: dict[str, tuple[bytes, str, set[str]]] = {
    "roles": (serialised(member(certs.ATTRS)), "pipeline", {"admin", "pipeline"}),
    "no roles": (serialised(member({"hf.EnrollmentID": "x", "hf.Type": "client"})), "x", set()),
    "an empty list": (serialised(member({"hf.EnrollmentID": "x", "tallystick.roles": ""})), "x", set()),
    "no attributes": (serialised(certs.member(EXTENSIONS)), "someone", set()),
    "a long one": (serialised(member({"hf.EnrollmentID": "x", "more": "m" * 40_000})), "x", set()),
}
#: Whom no host takes for anybody, though a peer may.
REFUSED: dict[str, bytes] = {
    "another's behind its own, under another name": serialised(called(OWN, b"WHATEVER") + INVENTED),
    "another's behind its own": serialised(OWN + INVENTED),
    "its own behind another's": serialised(INVENTED + OWN),
    "twice its own": serialised(OWN + OWN),
    "another name": serialised(called(OWN, b"WHATEVER")),
    "the old name": serialised(called(OWN, b"X509 CERTIFICATE")),
    "text before": serialised(b"text\n" + OWN),
    "text after": serialised(OWN + b"text\n"),
    "a line feed after": serialised(OWN + b"\n"),
    "no line feed at the end": serialised(OWN[:-1]),
    "carriage returns": serialised(OWN.replace(b"\n", b"\r\n")),
    "a header": serialised(OWN.replace(b"-----\n", b"-----\nName: value\n\n", 1)),
    "other lines": serialised(lines(OWN, 76)),
    "a space": serialised(OWN.replace(b"MII", b"M II", 1)),
    "DER": serialised(base64.b64decode(b"".join(OWN.splitlines()[1:-1]))),
    "no certificate": serialised(b"not a certificate"),
    "nothing": b"",
    "no message": b"\xff",
    "no name": serialised(OWN, ""),
    "only a name": _NAME,
    "fields in another order": _CERTIFICATE + _NAME,
    "a name twice": _NAME + _PLAIN,
    "a certificate twice": _PLAIN + _CERTIFICATE,
    "an unknown field": _PLAIN + b"\x7a\x01x",
    "a long length": _NAME + bytes([0x12, _LENGTH & 0x7F | 0x80, _LENGTH >> 7 | 0x80, 0]) + OWN,
    "no UTF-8": b"\x0a\x01\xff" + _CERTIFICATE,
    "over 64 KiB": serialised(member({"hf.EnrollmentID": "x", "more": "m" * 50_000})),
    "no enrolment id": serialised(member({"tallystick.roles": "admin"})),
    "a space in the id": serialised(member({"hf.EnrollmentID": "a b"})),
    "a role twice": serialised(member({"hf.EnrollmentID": "x", "tallystick.roles": "admin,admin"})),
    "a role with a space": serialised(
        member({"hf.EnrollmentID": "x", "tallystick.roles": "admin, pipeline"})
    ),
    "a number": serialised(member({"hf.EnrollmentID": 7})),
    "no object": serialised(member(["x"])),
    **{
        f"attributes {data[:8]!r}": serialised(certs.member([*EXTENSIONS, certs.raw_attributes(data)]))
        for data in (b"", b"{", b'{"attrs":{},"attrs":{}}', b"[" * 30_000, b"\xff")
    },
    "a name of X.400": serialised(extended("2.5.29.17", "3004a3023000")),
    "an unknown feature of TLS": serialised(extended("1.3.6.1.5.5.7.1.24", "3003020163")),
}
