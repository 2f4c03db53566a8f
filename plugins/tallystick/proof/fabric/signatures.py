"""The orderers' signatures of a block, against the configuration in force before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.fabric import policies
from tallystick.proof.fabric.blocks import Header
from tallystick.proof.fabric.configuration import Configuration
from tallystick.proof.protobuf import Message

_POLICY: Final = ("Orderer", "BlockValidation")


def judge_signatures(header: Header, metadata: bytes, rules: Configuration, last_config: int) -> int:
    """How many orderers signed a block; they satisfy the channel's BlockValidation policy.

    On a BFT channel also a quorum of the consenters, whatever that policy says. ``last_config`` is the
    block whose configuration is in force. Raises `Malformed` or `NotProven`.
    """
    message = Message(metadata, "block signatures")
    value, encoded = message.blob(1), header.encode()
    consenters = rules.consenters
    signatures = []
    for each in message.messages(2):
        if not each.has(1) and each.has(3) and consenters:
            by = consenters.get(Message(each.blob(3), "identifier header").number(1))
            over = each.blob(3)
        else:
            over = each.blob(1)
            by = Message(over, "signature header").blob(1)
        if by is not None:
            signatures.append(policies.Signed(by, value + over + encoded, each.blob(2)))
    signers = policies.signers(rules.members, signatures)
    if not rules.satisfied(_POLICY, signers):
        raise NotProven("the block is not signed by those orderers that the channel asks for")
    if consenters:
        known = _names(rules, consenters.values())
        if sum(signer.name in known and not signer.problem for signer in signers) < quorum(len(consenters)):
            raise NotProven("the block is signed by fewer orderers than a quorum")
    if Message(value, "block metadata").message(1).number(1) != last_config:
        raise NotProven("the orderers named another configuration than the one in force")
    return len(signers)


def _names(rules: Configuration, identities: Iterable[bytes]) -> set[tuple[str, bytes]]:
    """Who these are; one whom nobody certified any more signs no block, and spoils none."""
    found = set()
    for identity in identities:
        try:
            found.add(rules.members.examine(identity).name)
        except (Malformed, NotProven):
            continue
    return found


def quorum(consenters: int) -> int:
    """How many of the orderers of a BFT channel must sign: ceil((n + f + 1) / 2) with f = (n - 1) // 3."""
    return (consenters + (consenters - 1) // 3 + 2) // 2
