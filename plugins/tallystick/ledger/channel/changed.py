"""What a configuration of the channel changed, in words: the policies' old and new text, else the path."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from tallystick.proof.errors import Malformed
from tallystick.proof.fabric import policies
from tallystick.proof.fabric.configuration import Configuration
from tallystick.proof.protobuf import Message

_WELL_KNOWN: Final = {
    "Channel/Application/Endorsement": "who may endorse",
    "Channel/Application/LifecycleEndorsement": "who may replace the contracts",
    "Channel/Application/Admins": "who may change the members and their rules",
    "Channel/Application/Writers": "who may write",
    "Channel/Application/Readers": "who may read",
}
_ROLES: Final = ("member", "admin", "client", "peer", "orderer")
_RULES: Final = ("any", "all", "a majority")
_ROLE: Final = 0
#: A policy that is nested deeper is told by its digest: one organisation decides alone how deep its own is.
_DEEPEST: Final = 8


def changes_told(before: Configuration | None, after: Configuration, paths: Sequence[str]) -> tuple[str, ...]:
    """A line for each of ``paths``, in which the two differ."""
    return tuple(_line(path, before, after) for path in paths)


def _line(path: str, before: Configuration | None, after: Configuration) -> str:
    names = path.split("/")
    if names[-1] == "MSP":
        return f"{names[-2]} has other membership rules ({path})"
    name = f"{_WELL_KNOWN[path]} ({path})" if path in _WELL_KNOWN else path
    old, new = _policy(before, names[1:]), _policy(after, names[1:])
    return name if old == new else f"{name}: {old} -> {new}"


def _policy(rules: Configuration | None, path: Sequence[str]) -> str:
    found = policies.find(rules.policies, path) if rules else None
    return policy_text(found[1]) if found else "none"


def policy_text(policy: policies.Policy) -> str:
    """Who satisfies ``policy``, in words; its digest where it cannot be told so."""
    try:
        if policy.kind == policies.IMPLICIT_META:
            message = Message(policy.value, "implicit policy")
            return f"{_RULES[message.int32(2)]} of the groups' {message.text(1)}"
        if policy.kind == policies.SIGNATURE:
            message = Message(policy.value, "signature policy")
            principals = [_principal(each) for each in message.messages(3)]
            return _rule(message.message(2), principals, 0)
    except (Malformed, IndexError):
        return _digest(policy.value)
    return _digest(policy.value)


def _digest(value: bytes) -> str:
    return f"what has the digest {sha256(value).hexdigest()[:16]}"


def _rule(rule: Message, principals: Sequence[str], depth: int) -> str:
    which, parts = rule.oneof(numbers=(1,), blobs=(2,))
    if which == 1:
        return principals[rule.int32(1)]
    if which != 2 or depth > _DEEPEST:
        raise Malformed("policy: nested too deeply")
    inner = Message(b"".join(parts), "signature policy")
    rules = inner.messages(2)
    if inner.int32(1) <= 0:
        return "anybody"
    each = ", ".join(_rule(one, principals, depth + 1) for one in rules)
    return f"{inner.int32(1)} of ({each})"


def _principal(principal: Message) -> str:
    kind, value = principal.int32(1), principal.blob(2)
    if kind != _ROLE:
        return _digest(value)
    message = Message(value, "principal")
    return f"{message.text(1)} {_ROLES[message.int32(2)]}"
