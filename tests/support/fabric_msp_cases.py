"""Makes tests/vectors/fabric/msp.zip: MSPs, identities and signatures, with what Fabric's own code says.

    PYTHONPATH=.:plugins:tests python -m support.fabric_msp_cases tests/vectors/fabric/msp.zip

Needs Go, and the modules of deploy/fabric. Keys are drawn anew; which mutants there are is not.
"""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from support.fabric_msp import (
    CERTIFIES,
    DATA,
    ED25519,
    NOT_CA,
    PKCS1,
    PSS,
    SIGNS,
    Case,
    Makes,
    bits,
    constraints,
    encode,
    extension,
    identifier,
    integer,
    name,
    oid,
    own,
    pem,
    seq,
    utc,
)

ROOT: Final = Path(__file__).resolve().parents[2]
MUTANTS: Final = 1500

SERVER, CLIENT, ANY = oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2"), oid("2.5.29.37.0")
POLICIES = extension("2.5.29.32", seq(seq(oid("1.2.3.4"))))
#: Extensions of a member, and whether some are there in place of the usual two.
EXTENSIONS: dict[str, tuple[bytes, ...]] = {
    "a name of X.400": (extension("2.5.29.17", seq(b"\xa3\x02\x30\x00")),),
    "critical names that are not read": (extension("2.5.29.17", seq(b"\xa3\x02\x30\x00"), True),),
    "critical names": (extension("2.5.29.17", seq(b"\x82\x03a.b"), True),),
    "a name outside ASCII": (extension("2.5.29.17", seq(b"\x82\x01\xff")),),
    "an address of three bytes": (extension("2.5.29.17", seq(b"\x87\x03abc")),),
    "an unknown feature of TLS": (extension("1.3.6.1.5.5.7.1.24", bytes.fromhex("3003020163")),),
    "an unknown one": (extension("1.2.3.4.5", b"\xff"),),
    "an unknown critical one": (extension("1.2.3.4.5", b"\xff", True),),
    "one twice": (extension("1.2.3.4.5", b"a"), extension("1.2.3.4.5", b"b")),
    "a large number in an identifier": (seq(encode(6, b"\x2a\x88\x80\x80\x80\x00"), encode(4, b"")),),
    "an identifier that is padded": (seq(encode(6, b"\x2a\x80\x01"), encode(4, b"")),),
    "server": (extension("2.5.29.37", seq(SERVER)),),
    "client": (extension("2.5.29.37", seq(CLIENT)),),
    "any use": (extension("2.5.29.37", seq(CLIENT, ANY)),),
    "no use": (extension("2.5.29.37", seq(), True),),
    "a critical authority key": (extension("2.5.29.35", seq(b"\x80\x01a"), True),),
    "a critical subject key": (extension("2.5.29.14", encode(4, b"a"), True),),
    "policies": (POLICIES,),
    "a policy twice": (extension("2.5.29.32", seq(seq(oid("1.2.3")), seq(oid("1.2.3")))),),
    "a policy asked for": (extension("2.5.29.36", seq(b"\x80\x01\x00"), True),),
    "a policy asked for and there": (extension("2.5.29.36", seq(b"\x80\x01\x00"), True), POLICIES),
    "a policy asked for later": (extension("2.5.29.36", seq(b"\x80\x01\x01"), True),),
    "policies mapped": (extension("2.5.29.33", seq(seq(oid("1.2.3"), oid("1.2.4"))), True),),
    "any policy inhibited": (extension("2.5.29.54", integer(0), True),),
    "name constraints": (extension("2.5.29.30", seq(encode(0xA0, seq(b"\x82\x01a"))), True),),
    "name constraints not read": (extension("2.5.29.30", seq(encode(0xA0, seq(b"\xa4\x00"))), True),),
    "constrained to no name": (extension("2.5.29.30", seq(encode(0xA0, seq(b"\x82\x01 ")))),),
    "constrained to no network": (
        extension("2.5.29.30", seq(encode(0xA0, seq(b"\x87\x08abcd\xff\0\xff\0")))),
    ),
    "constrained to a network": (
        extension("2.5.29.30", seq(encode(0xA0, seq(b"\x87\x08abcd\xff\xf0\0\0")))),
    ),
    "constrained to an address": (extension("2.5.29.30", seq(encode(0xA1, seq(b"\x86\x071.2.3.4")))),),
    "constrained to a host": (extension("2.5.29.30", seq(encode(0xA1, seq(b"\x86\x04.a.b")))),),
    "no name constraints": (extension("2.5.29.30", seq(), True),),
    "distribution points": (extension("2.5.29.31", seq(seq(encode(0xA0, encode(0xA0, b"\x86\x01a"))))),),
    "information": (extension("1.3.6.1.5.5.7.1.1", seq(seq(oid("1.3.6.1.5.5.7.48.1"), b"\x86\x01a"))),),
    "critical information": (extension("1.3.6.1.5.5.7.1.1", seq(), True),),
}
#: A unit's name in the subject, as elements.
UNITS: dict[str, tuple[str | bytes, ...]] = {
    "peer twice": ("peer", "peer"),
    "peer and another": ("x", "peer"),
    "peer and client": ("peer", "client"),
    "none": (),
    "printable": (encode(0x13, b"peer"),),
    "not printable": (encode(0x13, b"peer@"),),
    "of IA5": (encode(0x16, b"peer"),),
    "of T.61": (encode(0x14, b"peer"),),
    "of BMP": (encode(0x1E, "peer".encode("utf-16-be")),),
    "of BMP, ended": (encode(0x1E, "peer\0".encode("utf-16-be")),),
    "of BMP, half": (encode(0x1E, b"\xd8\x00"), "peer"),
    "no text": (encode(0x04, b"peer"), "peer"),
    "no UTF-8": (b"\x0c\x01\xff", "peer"),
    "admin": ("admin",),
    "orderer": ("orderer",),
}
TIMES: dict[str, tuple[bytes, bytes]] = {
    "before its authority": (utc("251231235958Z"), utc("280101000000Z")),
    "in its authority's first second": (utc("251231235959Z"), utc("280101000000Z")),
    "after its authority": (utc("300101000000Z"), utc("310101000000Z")),
    "in its authority's last second": (utc("291231235959Z"), utc("310101000000Z")),
    "at no time": (utc("270101000000Z"), utc("260101000000Z")),
    "without seconds": (utc("2701010000Z"), utc("2801010000Z")),
    "with an offset": (utc("270101000000+0100"), utc("280101000000-0130")),
    "with an offset of zero": (utc("270101000000+0000"), utc("280101000000Z")),
    "with a fraction": (utc("270101000000.1Z"), utc("280101000000Z")),
    "in general": (encode(0x18, b"20270101000000Z"), encode(0x18, b"99991231235959Z")),
    "on no day": (utc("270230000000Z"), utc("280101000000Z")),
    "until long ago": (utc("270101000000Z"), utc("500101000000Z")),
}


def members(make: Makes) -> None:
    """Certificates and signatures of an organisation as it should be."""
    make.case("plain")
    for what, extensions in EXTENSIONS.items():
        make.case(f"extension: {what}", leaf=make.leaf(*extensions))
    for what, extensions in {
        "none": (),
        "no usage": (NOT_CA,),
        "an empty usage": (NOT_CA, extension("2.5.29.15", bits(b""))),
        "an authority's": (constraints(True), CERTIFIES),
        "true in another way": (extension("2.5.29.19", seq(b"\x01\x01\x01")),),
        "a path length": (constraints(False, 0),),
        "a negative path length": (constraints(False, -1),),
    }.items():
        make.case(f"extensions: {what}", leaf=make.leaf(extensions=extensions))
    for what, units in UNITS.items():
        make.case(f"unit: {what}", leaf=make.leaf(units=units))
    for what, times in TIMES.items():
        make.case(f"time: {what}", leaf=make.leaf(times=times))
    for serial in (0, -1, 2**200, -(2**63)):
        make.case(f"serial {serial}", leaf=make.leaf(serial=serial))
    make.case("high S of its authority", leaf=make.leaf(high=True))
    make.case("another item within", leaf=make.leaf(behind=b"\x05\x00"))
    make.case("bytes within", leaf=make.leaf(behind=b"\xff"))
    make.case("bytes behind", leaf=make.leaf() + b"\0")
    make.case("of version 1", leaf=make.leaf(extensions=(), version=b""))
    make.case("of version 4", leaf=make.leaf(version=encode(0xA0, integer(3))))
    make.case("unused bits", leaf=make.leaf(unused=1))
    make.case("its own authority", leaf=make.authority(make.key, subject=name("p", "peer")))
    make.case("self-signed", leaf=make.leaf(by=make.key, issuer=name("p", "peer")))
    signature = own(make.key)
    inside = signature[2:]
    for what, each in {
        "a byte behind": signature + b"\0",
        "a third item": encode(0x30, inside, b"\x05\x00"),
        "no item behind": encode(0x30, inside, b"\xff"),
        "a long length": b"\x30\x81" + signature[1:],
        "a padded number": encode(0x30, encode(2, b"\0" * 34), inside),
        "a negative number": encode(0x30, integer(-5), integer(5)),
        "nought": encode(0x30, integer(0), integer(5)),
        "one number": encode(0x30, integer(5)),
        "a set": encode(0x31, inside),
        "nothing": b"",
    }.items():
        make.case(f"signature: {what}", signature=each)
    for curve in (ec.SECP224R1(), ec.SECP384R1(), ec.SECP521R1()):
        make.case(f"key: {curve.name}", key=ec.generate_private_key(curve))
    make.case("key: secp256k1", leaf=make.leaf(key=ec.generate_private_key(ec.SECP256K1())))
    edwards, large = ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)
    make.case("key: Ed25519", key=edwards)
    make.case("key: Ed25519, V3_0", key=edwards, v3=True)
    make.case("key: RSA", key=large, leaf=make.leaf(key=large), v3=True)


def organisations(make: Makes) -> None:
    """MSPs of every kind."""
    plain, middle = make.leaf(), make.leaf(by=make.middle_key, issuer=make.middle_name)
    for nodes in (True, "off", False, None):
        make.case(f"nodes: {nodes}", msp=make.msp(nodes=nodes, admins=[make.leaf(units=("client",))]))
    make.case("admin by name", msp=make.msp(admins=[make.leaf(units=("client",))]), leaf=plain)
    named = make.leaf(units=("client",), high=True)
    make.case("admin by name itself", msp=make.msp(admins=[named]), leaf=named)
    unsound = make.leaf(units=("client", "peer"))
    make.case("unsound admin by name", msp=make.msp(admins=[unsound]), leaf=unsound)
    for leaf, whose in ((plain, "root"), (middle, "middle")):
        middles = {"middles": [make.middle]}
        make.case(f"{whose}: middle", msp=make.msp(**middles), leaf=leaf)
        for by, what in ((pem(make.root), "root"), (pem(make.middle), "middle")):
            make.case(
                f"{whose}: peers by {what}", msp=make.msp(nodes={"peer": ("peer", by)}, **middles), leaf=leaf
            )
            make.case(
                f"{whose}: peers by {what} alone", msp=make.msp(nodes={"peer": ("peer", by)}), leaf=leaf
            )
        for by, what in ((make.root, "root"), (make.middle, "middle")):
            make.case(f"{whose}: unit of {what}", msp=make.msp(units=[("peer", by)], **middles), leaf=leaf)
            make.case(f"{whose}: other unit of {what}", msp=make.msp(units=[("x", by)], **middles), leaf=leaf)
    for path in (0, 1):
        short = make.authority(extensions=(constraints(True, path), CERTIFIES, identifier(b"root")))
        make.case(f"path length {path}", msp=make.msp(short, middles=[make.middle]), leaf=middle)
    make.case("two roots of one key", msp=make.msp(make.root, make.authority(serial=8)))
    make.case("one root twice", msp=make.msp(make.root, make.root))
    high = make.authority(high=True)
    make.case("a root with a high S", msp=make.msp(high, units=[("peer", high)]))
    for what, extensions in {
        "may not certify": (constraints(True), SIGNS, identifier(b"root")),
        "no usage": (constraints(True), identifier(b"root")),
        "no key identifier": (constraints(True), CERTIFIES),
        "no authority": (NOT_CA, CERTIFIES, identifier(b"root")),
        "client use": (
            constraints(True),
            CERTIFIES,
            identifier(b"root"),
            extension("2.5.29.37", seq(CLIENT)),
        ),
    }.items():
        make.case(f"root: {what}", msp=make.msp(make.authority(extensions=extensions)))
    edwards, large = ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)
    for key, algorithm, what in (
        (edwards, ED25519, "Ed25519"),
        (large, PKCS1, "RSA"),
        (large, PSS, "RSA-PSS"),
    ):
        other = make.msp(make.authority(key, algorithm=algorithm))
        make.case(f"{what}: issued", msp=other, leaf=make.leaf(by=key, algorithm=algorithm))
        make.case(
            f"{what}: not issued",
            msp=other,
            leaf=make.leaf(by=ed25519.Ed25519PrivateKey.generate(), algorithm=ED25519),
        )
        revoked = make.listed(7, key=key, algorithm=algorithm)
        revoking = make.msp(make.authority(key, algorithm=algorithm), lists=[revoked])
        make.case(f"{what}: revoked", msp=revoking, leaf=make.leaf(by=key, algorithm=algorithm))
    for family in ("", "SHA3", "MD5"):
        make.case(f"family {family}", msp=make.msp(family=family))
    for chains in ("", "SHA384", "SHA3_256", "SHA3_384", "MD5"):
        make.case(f"chains {chains}", msp=make.msp(chains=chains, units=[("peer", make.root)]))
    lists = {
        "revoked": pem(make.listed(7), "X509 CRL"),
        "in DER": make.listed(7),
        "called otherwise": pem(make.listed(7), "CRL"),
        "another": make.listed(8),
        "nobody": make.listed(),
        "by another key": make.listed(7, key=make.middle_key),
        "with a high S": make.listed(7, high=True),
        "with a byte behind its signature": make.listed(7, behind=b"\0"),
        "no authority": make.listed(8, extensions=b""),
        "an authority without a key": make.listed(7, extensions=extension("2.5.29.35", seq())),
        "an authority not read": make.listed(8, extensions=extension("2.5.29.35", b"\xff")),
        "another authority": make.listed(7, extensions=extension("2.5.29.35", seq(encode(0x80, b"x")))),
    }
    for what, each in lists.items():
        make.case(f"list: {what}", msp=make.msp(lists=[each]))


def mutants(make: Makes) -> None:
    """Certificates that differ in a byte or two from a right one, all signed by the right authority."""
    chance = random.Random(4)
    usual = [extension("2.5.29.35", seq(encode(0x80, b"root"))), extension("2.5.29.37", seq(SERVER))]
    usual += [
        EXTENSIONS[what][0] for what in ("critical names", "policies", "information", "distribution points")
    ]

    def mutant(data: bytes) -> bytes:
        work = bytearray(data)
        for _ in range(chance.choice((1, 1, 2))):
            at = chance.randrange(4, len(work))
            work[at] = chance.choice(
                (0, 1, 2, 0x7F, 0x80, 0xFF, work[at] ^ 1, work[at] ^ 0x20, chance.randrange(256))
            )
        return bytes(work)

    for number in range(MUTANTS):
        make.case(f"mutant {number}", leaf=make.leaf(*usual, change=mutant))


def ask(cases: list[Case]) -> Any:
    """What Fabric says of each case."""
    keys = ("MSP", "Identity", "Signature", "V3")
    asked = [dict(zip(keys, case[1:], strict=True)) | {"Data": DATA} for case in cases]
    program = str(Path(__file__).with_name("fabric_msp.go"))
    told = subprocess.run(
        ["go", "run", program],
        cwd=ROOT / "deploy" / "fabric",
        input=json.dumps(asked, default=lambda data: base64.b64encode(data).decode()).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(told.stdout)


def main(target: str) -> None:
    """Makes the cases, asks, and writes both."""
    make = Makes()
    members(make)
    organisations(make)
    mutants(make)
    found = []
    for (what, msp, identity, signature, v3), answer in zip(make.cases, ask(make.cases), strict=True):
        spelt = [base64.b64encode(each).decode() for each in (msp, identity, signature)]
        found.append({"name": what, "case": [*spelt, v3], "fabric": answer})
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("cases.json", json.dumps({"data": DATA.decode(), "cases": found}, indent=0))


if __name__ == "__main__":
    main(sys.argv[1])
