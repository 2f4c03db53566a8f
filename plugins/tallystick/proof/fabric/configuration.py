"""A channel's configuration: its tree of groups, and what of it the judgement of blocks needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final

from tallystick.proof.errors import Malformed
from tallystick.proof.fabric import policies
from tallystick.proof.fabric.identities import Identity, Members, Organisation
from tallystick.proof.protobuf import Message, bytes_field

ROOT: Final = "Channel"

_DEEPEST: Final = 16


@dataclass(frozen=True, slots=True)
class Value:
    """A value or a policy with its version and with who may change it."""

    version: int
    content: bytes | policies.Policy | None
    mod_policy: str


@dataclass(frozen=True, slots=True)
class ConfigGroup:
    """A group of the configuration."""

    version: int
    mod_policy: str
    groups: Mapping[str, ConfigGroup]
    values: Mapping[str, Value]
    policies: Mapping[str, Value]


class Configuration:
    """The rules in force from a block on."""

    def __init__(self, encoded: bytes, channel: str) -> None:
        """Of a Config message. Raises `Malformed`."""
        message = Message(encoded, "configuration")
        self.encoded = encoded
        self.channel = channel
        self.sequence = message.number(1)
        self.root = parse_group(message.blob(2))
        self.policies = _policies(self.root)
        self.orderers = self._group("Orderer")
        self.application = self._group("Application")
        self._ed25519_counts = "V3_0" in _capabilities(self.root)
        listed = dict.fromkeys(self._msps(self.orderers, self.application))
        self.members = Members(map(self._organisation, listed))

    @property
    def digest(self) -> str:
        """SHA-256 of the Config message, in hex."""
        return sha256(self.encoded).hexdigest()

    @cached_property
    def consenters(self) -> dict[int, bytes]:
        """The orderers of a BFT channel by number, as serialised identities; none on another channel.

        Raises `Malformed` for two of one number.
        """
        value = self.orderers.values.get("Orderers")
        if "V3_0" not in _capabilities(self.root) or value is None:
            return {}
        orderers = Message(_content(value), "orderers").messages(1)
        found = {
            each.number(1): bytes_field(1, each.blob(4)) + bytes_field(2, each.blob(5)) for each in orderers
        }
        if len(found) != len(orderers):
            raise Malformed("orderers: two of one number, which would make a quorum smaller")
        return found

    def organisation_of(self, msp_id: str) -> str | None:
        """The name of the application's group whose MSP has this id."""
        return self._groups_by_msp.get(msp_id)

    @cached_property
    def _groups_by_msp(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, msp in zip(self.application.groups, self._msps(self.application), strict=True):
            found.setdefault(self._organisation(msp).msp_id, name)
        return found

    def organisations(self) -> list[Organisation]:
        """The application's member organisations, by their MSPs' ids."""
        return sorted(map(self._organisation, self._msps(self.application)), key=lambda o: o.msp_id)

    def has_policy(self, path: Sequence[str]) -> bool:
        """Whether there is a policy at this path below the channel's group."""
        return policies.find(self.policies, path) is not None

    def satisfied(self, path: Sequence[str], by: Sequence[Identity]) -> bool:
        """Whether ``by`` satisfy the policy at this path below the channel's group."""
        return policies.satisfied(self.policies, path, self.members, by)

    def _organisation(self, msp: bytes) -> Organisation:
        return Organisation(msp, ed25519_counts=self._ed25519_counts)

    def _group(self, name: str) -> ConfigGroup:
        if name not in self.root.groups:
            raise Malformed(f"configuration: has no group {name}")
        return self.root.groups[name]

    @staticmethod
    def _msps(*groups: ConfigGroup) -> list[bytes]:
        found = []
        for group in groups:
            for name, organisation in group.groups.items():
                if "MSP" not in organisation.values:
                    raise Malformed(f"configuration: {name} has no MSP")
                found.append(_content(organisation.values["MSP"]))
        return found


def policy_path(reference: str, group: Sequence[str]) -> list[str]:
    """The path of a policy below the channel's group: relative to ``group``, or absolute after a slash."""
    if not reference.startswith("/"):
        return [*group, *reference.split("/")]
    first, *rest = reference[1:].split("/")
    return rest if first == ROOT else []


def parse_group(data: bytes, depth: int = 0) -> ConfigGroup:
    """A ConfigGroup. Raises `Malformed`."""
    if depth > _DEEPEST:
        raise Malformed("configuration: nested too deeply")
    message = Message(data, "configuration")
    return ConfigGroup(
        message.number(1),
        message.text(5),
        {name: parse_group(inner, depth + 1) for name, inner in message.map(2).items()},
        {name: _value(Message(inner, "configuration")) for name, inner in message.map(3).items()},
        {name: _policy(Message(inner, "configuration")) for name, inner in message.map(4).items()},
    )


def _value(message: Message) -> Value:
    return Value(message.number(1), message.blob(2), message.text(3))


def _policy(message: Message) -> Value:
    policy = message.message(2)
    content = policies.Policy(policy.int32(1), policy.blob(2)) if message.has(2) else None
    return Value(message.number(1), content, message.text(3))


def _policies(group: ConfigGroup) -> policies.Group:
    own = {
        name: value.content
        for name, value in group.policies.items()
        if isinstance(value.content, policies.Policy)
    }
    return policies.Group(own, {name: _policies(inner) for name, inner in group.groups.items()})


def _content(value: Value) -> bytes:
    return value.content if isinstance(value.content, bytes) else b""


def _capabilities(group: ConfigGroup) -> set[str]:
    value = group.values.get("Capabilities")
    return set(Message(_content(value), "capabilities").map(1)) if value else set()
