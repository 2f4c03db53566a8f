"""The blocks in tests/vectors/fabric, and a block with something altered."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fabric_protos.common import common_pb2

from tallystick.proof.errors import NotProven
from tallystick.proof.fabric.channel import Channel
from tallystick.proof.fabric.endorsements import LIFECYCLE

LOG = "audit.example/fabric"
_DIRECTORY = Path(__file__).resolve().parents[1] / "vectors" / "fabric"


@dataclass(frozen=True)
class Stored:
    """The blocks of one network, and what some of them are called."""

    blocks: tuple[bytes, ...]
    names: dict[str, int]

    def __getitem__(self, name: str) -> bytes:
        return self.blocks[self.names[name]]

    def channel_before(self, name: str) -> Channel:
        """A channel that has judged every block before the one of this name."""
        channel = Channel(LOG)
        for block in self.blocks[: self.names[name]]:
            channel.judge(block)
        return channel


@cache
def stored(network: str) -> Stored:
    """The blocks of ``raft`` or ``bft``."""
    with zipfile.ZipFile(_DIRECTORY / f"{network}.zip") as archive:
        names = json.loads(archive.read("names.json"))
        blocks = sorted(name for name in archive.namelist() if name.endswith(".block"))
        return Stored(tuple(archive.read(name) for name in blocks), names)


@cache
def sound(network: str) -> tuple[bytes, ...]:
    """The blocks of ``raft`` or ``bft`` before the first that our contracts would not have allowed."""
    channel, found = Channel(LOG), []
    for block in stored(network).blocks:
        try:
            channel.judge(block)
        except NotProven:
            break
        found.append(block)
    return tuple(found)


@cache
def upgraded_fields() -> dict[str, tuple[str, bytes]]:
    """Key and value of each field of the contracts' definition as the upgrade on ``raft`` sets it."""
    network, channel, found = stored("raft"), Channel(LOG), {}
    for block in network.blocks[: network.names["upgrade"] + 1]:
        channel.judge(block)
    for name in ("EndorsementInfo", "ValidationInfo"):
        key = f"namespaces/fields/tallystick/{name}"
        value = channel._state.value(LIFECYCLE, key)
        assert value
        found[name] = key, value
    return found


def altered(block: bytes, change: Callable[[Any], None]) -> bytes:
    """The block after ``change`` has worked on its message."""
    message = common_pb2.Block.FromString(block)
    change(message)
    return bytes(message.SerializeToString())
