"""What the embedded ledger's blocks say, in the port's terms."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from tallystick.ledger.port import (
    Configuration,
    LoggedBlock,
    LoggedRecord,
    LoggedTransaction,
    Organisation,
)
from tallystick.proof.block import Block, Config, Envelope, judge_config
from tallystick.proof.leaves import salt
from tallystick.proof.membership import Membership, Msp


def logged_block(block: Block, first_leaf: int, membership: Membership) -> LoggedBlock:
    """``block``, whose own leaf is ``first_leaf``, with its callers as ``membership`` knows them.

    Raises `ProofError` for a caller that was no member.
    """
    transactions, leaf = [], first_leaf + 1
    for envelope in block.valid:
        transaction = _transaction(envelope, leaf, membership)
        transactions.append(transaction)
        leaf += 1 + len(transaction.records)
    return LoggedBlock(
        block.header.number,
        block.header.digest,
        first_leaf,
        tuple(transactions),
        len(block.envelopes) - len(transactions),
    )


def configuration(block: Block, config: Config, previous: Config | None) -> Configuration:
    """What ``block`` configures, its signer judged by ``previous``. Raises `ProofError`."""
    signer = judge_config(config, block.config_creator, block.config_signature, previous)
    return Configuration(
        block.header.number,
        config.time,
        signer.msp_id,
        signer.enrolment_id,
        tuple(_organisation(msp) for msp in config.msps),
        config.package,
    )


def _transaction(envelope: Envelope, leaf: int, membership: Membership) -> LoggedTransaction:
    proposal = envelope.proposal
    member = membership.judge(envelope.creator, proposal["time"])
    nonce = bytes.fromhex(proposal["nonce"])
    records = tuple(
        LoggedRecord(leaf + number, content, salt(nonce, number))
        for number, content in enumerate(envelope.records, 1)
    )
    return LoggedTransaction(
        envelope.transaction_id, member.msp_id, member.enrolment_id, proposal["time"], leaf, records
    )


def _organisation(msp: Msp) -> Organisation:
    roots = [x509.load_pem_x509_certificate(root).fingerprint(SHA256()).hex() for root in msp.roots]
    revoked = {entry.serial_number for crl in msp.crls for entry in x509.load_pem_x509_crl(crl)}
    return Organisation(msp.msp_id, tuple(sorted(roots)), tuple(sorted(f"{serial:x}" for serial in revoked)))
