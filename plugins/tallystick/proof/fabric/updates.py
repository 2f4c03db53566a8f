"""Whether one configuration may follow another: the update it names, its signatures, and what it gives.

As peers and orderers do (common/configtx of Fabric 3.1): what is read must stand at the versions read,
each element written is one version on, its policy in force is satisfied by the update's signatures, and
the new configuration is the old one with just that written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tallystick.proof.errors import Malformed, NotProven, ProofError
from tallystick.proof.fabric import policies
from tallystick.proof.fabric.blocks import parse_payload
from tallystick.proof.fabric.configuration import (
    ROOT,
    ConfigGroup,
    Configuration,
    Value,
    parse_group,
    policy_path,
)
from tallystick.proof.fabric.identities import Identity
from tallystick.proof.membership import Member
from tallystick.proof.protobuf import Message

CONFIG_UPDATE: Final = 2

_GROUP, _VALUE, _POLICY = "group", "value", "policy"
_Key = tuple[str, tuple[str, ...]]
_Elements = dict[_Key, ConfigGroup | Value]


def first(envelope: bytes, channel: str) -> Configuration:
    """The configuration of block 0, which nobody vouches for but who pins its digest. Raises `Malformed`."""
    return Configuration(Message(envelope, "configuration envelope").blob(1), channel)


def following(envelope: bytes, now: Configuration) -> Configuration:
    """The configuration of a ConfigEnvelope, if it may follow ``now``. Raises `Malformed` or `NotProven`."""
    message = Message(envelope, "configuration envelope")
    new = Configuration(message.blob(1), now.channel)
    if new.sequence != now.sequence + 1:
        raise NotProven("the configuration is not the next one of this channel")
    payload = parse_payload(message.message(2).blob(1))
    if payload.kind != CONFIG_UPDATE or payload.channel != now.channel:
        raise NotProven("the configuration names no update of this channel")
    updated = _updated(Message(payload.data, "configuration update"), now)
    if _rebuilt(updated, (ROOT,)) != new.root:
        raise NotProven("the configuration is not what its update gives")
    return new


def author(envelope: bytes, now: Configuration) -> Member | None:
    """Who sent the update of a ConfigEnvelope in, as ``now`` knows members; None where that is not proven.

    What the update may do is decided by the signatures in it, never by this one.
    """
    update = Message(envelope, "configuration envelope").message(2)
    try:
        creator = parse_payload(update.blob(1)).creator
        return now.members.verified(creator, update.blob(2), update.blob(1)).member()
    except ProofError:
        return None


def changes(before: Configuration, after: Configuration) -> tuple[str, ...]:
    """The values, policies and memberships in which two configurations differ, by their paths."""
    old, new = _elements(before.root), _elements(after.root)
    keys = sorted(old.keys() | new.keys(), key=lambda key: (key[1], key[0]))
    return tuple("/".join(key[1]) for key in keys if _own(old.get(key)) != _own(new.get(key)))


def _own(element: ConfigGroup | Value | None) -> object:
    """What of an element is not another element's: of a group, who belongs to it."""
    if not isinstance(element, ConfigGroup):
        return element
    return element.version, set(element.groups), set(element.values), set(element.policies)


def _updated(envelope: Message, now: Configuration) -> _Elements:
    encoded = envelope.blob(1)
    update = Message(encoded, "configuration update")
    if update.text(1) != now.channel:
        raise NotProven("the configuration's update is of another channel")
    standing = _elements(now.root)
    read, written = _elements(parse_group(update.blob(2))), _elements(parse_group(update.blob(3)))
    for key, element in read.items():
        if key not in standing or standing[key].version != element.version:
            raise NotProven(f"the configuration's update read another {_named(key)}")
    changed = {k: e for k, e in written.items() if k not in read or read[k].version != e.version}
    if not changed:
        raise NotProven("the configuration's update changes nothing")
    by = policies.signers(now.members, [_signed(each, encoded) for each in envelope.messages(2)])
    for key, element in changed.items():
        _judge(key, element, standing.get(key), now, by)
    result = standing | changed
    if written.keys() - result.keys():
        raise NotProven("the configuration's update writes what the configuration has not")
    return result


def _judge(
    key: _Key,
    element: ConfigGroup | Value,
    before: ConfigGroup | Value | None,
    now: Configuration,
    by: list[Identity],
) -> None:
    if not element.mod_policy:
        raise NotProven(f"nobody may change {_named(key)} any more")
    if before is None:
        if element.version:
            raise NotProven(f"{_named(key)} is new and has a version")
        return
    if element.version != before.version + 1:
        raise NotProven(f"{_named(key)} is not at its next version")
    kind, path = key
    group = path[1:] if kind == _GROUP else path[1:-1]
    if not now.satisfied(policy_path(before.mod_policy, group), by):
        raise NotProven(f"{_named(key)} was changed without the signatures that its policy asks for")


def _signed(signature: Message, update: bytes) -> policies.Signed:
    header = signature.blob(1)
    creator = Message(header, "signature header").blob(1)
    return policies.Signed(creator, header + update, signature.blob(2))


def _elements(group: ConfigGroup, path: tuple[str, ...] = (ROOT,)) -> _Elements:
    found: _Elements = {(_GROUP, path): group}
    for name, inner in group.groups.items():
        found |= _elements(inner, (*path, name))
    found |= {(_VALUE, (*path, name)): value for name, value in group.values.items()}
    found |= {(_POLICY, (*path, name)): policy for name, policy in group.policies.items()}
    return found


def _rebuilt(elements: _Elements, path: tuple[str, ...]) -> ConfigGroup:
    group = elements[_GROUP, path]
    if not isinstance(group, ConfigGroup):
        raise Malformed("configuration: a group that is none")
    return replace(
        group,
        groups={name: _rebuilt(elements, (*path, name)) for name in group.groups},
        values={name: _value(elements, _VALUE, (*path, name)) for name in group.values},
        policies={name: _value(elements, _POLICY, (*path, name)) for name in group.policies},
    )


def _value(elements: _Elements, kind: str, path: tuple[str, ...]) -> Value:
    value = elements[kind, path]
    if not isinstance(value, Value):
        raise Malformed("configuration: a value that is none")
    return value


def _named(key: _Key) -> str:
    return f"the {key[0]} {'/'.join(key[1])}"
