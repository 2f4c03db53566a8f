"""A change of the channel's configuration, as the bytes that administrators sign.

`tallystick.proof.fabric.updates` says what makes one count; here one is written.
"""

from __future__ import annotations

from typing import Final

from tallystick.proof.errors import NotProven
from tallystick.proof.fabric.blocks import parse_block, parse_envelope, parse_payload
from tallystick.proof.fabric.configuration import ConfigGroup, Configuration, Value
from tallystick.proof.fabric.updates import CONFIG_UPDATE
from tallystick.proof.protobuf import Message, bytes_field, number_field

_APPLICATION: Final = "Application"
_MSP: Final = "MSP"
#: Of Fabric's messages ConfigGroup, MSPConfig and FabricMSPConfig.
_GROUPS, _VALUES = 2, 3
_MSP_CONFIG, _REVOCATION_LIST = 2, 5


def config_of(block: bytes) -> tuple[int, Configuration]:
    """The number of a block of configuration, and what that puts in force. Raises `ProofError`."""
    parsed = parse_block(block)
    payload = parse_payload(parse_envelope(parsed.envelopes[0]).payload)
    configuration = Configuration(Message(payload.data, "configuration envelope").blob(1), payload.channel)
    return parsed.header.number, configuration


def revoking(now: Configuration, msp_id: str, revocations: bytes) -> bytes:
    """A ConfigUpdate that puts a revocation list (PEM) beside those of an organisation.

    None is taken away, so that nobody comes back into force by it. The organisation's own administrators
    sign it: its Admins policy stands over its MSP. Raises `NotProven` for no organisation of the channel.
    """
    name = now.organisation_of(msp_id)
    if name is None:
        raise NotProven(f"{msp_id} is not an organisation of the channel {now.channel}")
    standing = now.application.groups[name].values[_MSP]
    content = standing.content if isinstance(standing.content, bytes) else b""
    outer = Message(content, "MSP")
    config = outer.blob(_MSP_CONFIG) + bytes_field(_REVOCATION_LIST, revocations)
    msp = number_field(1, outer.number(1)) + bytes_field(_MSP_CONFIG, config)
    written = Value(standing.version + 1, msp, standing.mod_policy)
    path = [now.root, now.application, now.application.groups[name]]
    names = [_APPLICATION, name]
    return b"".join(
        (
            bytes_field(1, now.channel.encode()),
            bytes_field(2, _path(path, names, b"")),
            bytes_field(3, _path(path, names, _value(_MSP, written, msp))),
        )
    )


def unsigned(update: bytes, channel: str) -> bytes:
    """An update as Fabric's `peer channel update` takes it, which adds the signature and sends it."""
    header = number_field(1, CONFIG_UPDATE) + bytes_field(4, channel.encode())
    payload = bytes_field(1, bytes_field(1, header)) + bytes_field(2, bytes_field(1, update))
    return bytes_field(1, payload)


def _path(groups: list[ConfigGroup], names: list[str], last: bytes) -> bytes:
    """Nested groups at the versions that stand, the inner ones by ``names``; ``last`` is in the innermost."""
    *outer, innermost = groups
    encoded = number_field(1, innermost.version) + last
    for group, name in zip(reversed(outer), reversed(names), strict=True):
        encoded = number_field(1, group.version) + _entry(_GROUPS, name, encoded)
    return encoded


def _value(name: str, value: Value, content: bytes) -> bytes:
    fields = (
        number_field(1, value.version),
        bytes_field(2, content),
        bytes_field(3, value.mod_policy.encode()),
    )
    return _entry(_VALUES, name, b"".join(fields))


def _entry(number: int, key: str, value: bytes) -> bytes:
    """An entry of a map."""
    return bytes_field(number, bytes_field(1, key.encode()) + bytes_field(2, value))
