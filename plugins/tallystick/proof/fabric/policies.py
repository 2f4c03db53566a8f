"""Who must have signed: signature policies and implicit meta policies, judged as Fabric judges them.

Sources: common/cauthdsl/cauthdsl.go, common/policies/implicitmeta.go and policy.go, msp/mspimpl.go of
Fabric 3.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.fabric.identities import Identity, Members
from tallystick.proof.protobuf import Message

SIGNATURE: Final = 1
IMPLICIT_META: Final = 3

_ROLE, _UNIT, _IDENTITY, _ANONYMITY, _COMBINED = range(5)
_NOMINAL: Final = 0
_ANY, _ALL, _MAJORITY = range(3)
#: A rule and what it asks for are two messages, and Go reads 10,000 within each other.
_DEEPEST: Final = 4_999


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that somebody claims to have made over ``data``; ``identity`` is serialised."""

    identity: bytes
    data: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as the configuration has it: its type and its bytes."""

    kind: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Group:
    """The policies of a group of the configuration, and the groups below it."""

    policies: Mapping[str, Policy]
    groups: Mapping[str, Group]


def signers(members: Members, signatures: Iterable[Signed]) -> list[Identity]:
    """Whose signatures are right, each identity once. Whether it is a member in force is the policy's."""
    found: dict[tuple[str, bytes], Identity] = {}
    for signed in signatures:
        try:
            identity = members.examine(signed.identity)
        except (Malformed, NotProven):
            continue
        if identity.name not in found and identity.signed(signed.signature, signed.data):
            found[identity.name] = identity
    return list(found.values())


def find(root: Group, path: Sequence[str]) -> tuple[Group, Policy] | None:
    """The policy at ``path`` (groups, then its name) with the group that it stands in."""
    group: Group | None = root
    for name in path[:-1]:
        group = group.groups.get(name) if group else None
    policy = group.policies.get(path[-1]) if group and path else None
    return (group, policy) if group and policy else None


def satisfied(root: Group, path: Sequence[str], members: Members, by: Sequence[Identity]) -> bool:
    """Whether ``by`` satisfy the policy at ``path``; a policy that is missing is satisfied by nobody.

    Raises `Malformed` for a policy that cannot be read.
    """
    found = find(root, path)
    if found is None:
        return False
    group, policy = found
    if policy.kind == SIGNATURE:
        return signature_satisfied(policy.value, members, by)
    if policy.kind == IMPLICIT_META:
        return _implicit(group, policy.value, members, by)
    raise Malformed("policy: neither of signatures nor implicit")


def signature_satisfied(envelope: bytes, members: Members, by: Sequence[Identity]) -> bool:
    """Whether ``by`` satisfy a SignaturePolicyEnvelope. Raises `Malformed` for one that cannot be read."""
    message = Message(envelope, "signature policy")
    if message.int32(1) != 0:
        raise Malformed("signature policy: of an unknown version")
    principals = message.messages(3)
    fits = [[_is(members, each, principal) for each in by] for principal in principals]
    return _rule(message.message(2), fits, len(by))


@dataclass(slots=True)
class _Gate:
    """So many of some rules: those still to be tried, the next one last, and which signers are used."""

    needed: int
    left: list[Message]
    used: list[bool]
    verified: int = 0


def _rule(rule: Message, fits: Sequence[Sequence[bool]], count: int) -> bool:
    """Whether a rule holds, nobody counting twice; one that does not hold has used nobody.

    Without recursion: how deep its own policy is decides each organisation alone.
    """
    gates = [_Gate(1, [rule], [False] * count)]
    while True:
        gate = gates[-1]
        if gate.left:
            _enter(gate.left.pop(), gate, gates, fits)
            continue
        gates.pop()
        holds = gate.verified >= gate.needed
        if not gates:
            return holds
        if holds:
            gates[-1].verified += 1
            gates[-1].used = gate.used


def _enter(rule: Message, gate: _Gate, gates: list[_Gate], fits: Sequence[Sequence[bool]]) -> None:
    which, parts = rule.oneof(numbers=(1,), blobs=(2,))
    if which == 1:
        signer = _signer(rule.int32(1), fits, gate.used)
        if signer is not None:
            gate.verified += 1
            gate.used[signer] = True
    elif which == 2 and len(gates) <= _DEEPEST:
        inner = Message(b"".join(parts), "signature policy")
        gates.append(_Gate(inner.int32(1), inner.messages(2)[::-1], list(gate.used)))
    else:
        raise Malformed("signature policy: nested too deeply, or a rule of no known kind")


def _signer(index: int, fits: Sequence[Sequence[bool]], used: Sequence[bool]) -> int | None:
    if not 0 <= index < len(fits):
        raise Malformed("signature policy: names a principal that it has not")
    return next((at for at, fit in enumerate(fits[index]) if fit and not used[at]), None)


def _is(members: Members, identity: Identity, principal: Message) -> bool:
    """Whether an identity is whom a principal names; one that cannot be read names nobody.

    A combined principal names who is all of its parts. Without recursion, as in `_rule`.
    """
    left = [principal]
    try:
        while left:
            kind, value = left[-1].int32(1), left.pop().blob(2)
            parts = Message(value, "principal").messages(1) if kind == _COMBINED else []
            if not parts and not _is_one(members, identity, kind, value):
                return False
            left += parts
    except (Malformed, NotProven):
        return False
    return True


def _is_one(members: Members, identity: Identity, kind: int, value: bytes) -> bool:
    if kind == _IDENTITY:
        return members.examine(value).name == identity.name and not identity.problem
    message = Message(value, "principal")
    if kind == _ROLE:
        return members.has_role(identity, message.text(1), message.int32(2))
    if kind == _UNIT:
        return members.has_unit(identity, message.text(1), message.text(2), message.blob(3))
    # A combined one without parts comes here too: it is nobody, as is one of no known kind.
    return kind == _ANONYMITY and message.int32(1) == _NOMINAL


def _implicit(group: Group, value: bytes, members: Members, by: Sequence[Identity]) -> bool:
    message = Message(value, "implicit policy")
    name, rule = message.text(1), message.int32(2)
    below = list(group.groups.values())
    if rule not in (_ANY, _ALL, _MAJORITY):
        raise Malformed("implicit policy: of an unknown rule")
    needed = {_ANY: min(1, len(below)), _ALL: len(below), _MAJORITY: len(below) // 2 + 1}[rule]
    if not below:
        return True
    return sum(satisfied(each, [name], members, by) for each in below) >= needed
