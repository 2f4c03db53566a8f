"""The leaves of the log over Fabric's blocks, as on every host: docs/formats/leaves.md.

A block's leaf counts transactions, to which a configuration does not belong. A transaction of another
chaincode (the lifecycle's) has a leaf too, named after it and without records.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from tallystick.proof.errors import Malformed
from tallystick.proof.fabric.blocks import Header
from tallystick.proof.fabric.configuration import Configuration
from tallystick.proof.fabric.judged import JudgedTransaction
from tallystick.proof.fabric.validity import Found
from tallystick.proof.leaves import block_leaf, transaction_leaves


def leaves_of(
    header: Header,
    config: Configuration | None,
    found: Sequence[Found],
    judged: Sequence[JudgedTransaction],
) -> list[bytes]:
    """All leaves of a block, in order; ``config`` where it changes the configuration."""
    valid = sum(each.verdict == "VALID" for each in judged)
    leaves = [block_leaf(header, config, valid, len(judged) - valid)]
    for each, transaction in zip(found, judged, strict=True):
        if transaction.verdict == "VALID":
            leaves += _transaction(each, transaction)
    return leaves


def _transaction(found: Found, judged: JudgedTransaction) -> list[bytes]:
    if judged.call is None or judged.outcome is None:
        raise Malformed("a transaction that counts cannot be read")
    return transaction_leaves(
        judged.call.transaction_id,
        judged.call.nonce,
        judged.call.caller,
        judged.call.contract,
        judged.outcome.package,
        sha256(found.envelope).hexdigest(),
        judged.outcome.records,
    )
