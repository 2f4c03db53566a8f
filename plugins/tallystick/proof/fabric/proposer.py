"""Whom a call of our contracts was endorsed for, read as their host reads it (chaincode/fabric/caller.py).

Its endorsers have verified that signer's signature over the proposal. The envelope may name its creator in
other bytes, or even another creator: Fabric asks of it only whether it is a member's.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tallystick.proof.errors import Malformed
from tallystick.proof.membership import Member, NotInForce, foreign, member_attributes, parse_identity


def judge_proposer(identity: bytes, at_ms: int) -> Member:
    """The member that ``identity`` names; ``at_ms`` is the time that it claims, in ms since the epoch.

    Raises `Malformed` for an identity that the contracts' host does not read, `NotInForce` where its
    certificate was not valid at that time. Which organisations and lists are in force is the peers' to ask.
    """
    msp_id, pem = parse_identity(identity)
    with foreign("certificate"):
        certificate = x509.load_pem_x509_certificate(pem)
        plain = certificate.public_bytes(Encoding.PEM)
        first, last = (
            _milliseconds(certificate.not_valid_before_utc),
            _milliseconds(certificate.not_valid_after_utc),
        )
    if pem != plain:
        raise Malformed("its signer's identity holds more than the certificate in its plain form")
    enrolment_id, roles = member_attributes(certificate)
    if at_ms < first:
        raise NotInForce("NOT_YET_VALID", "not yet valid at that time")
    if at_ms > last:
        raise NotInForce("EXPIRED", "expired at that time")
    return Member(msp_id, enrolment_id, roles)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
