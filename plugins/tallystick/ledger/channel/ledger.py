"""A channel of Fabric behind the port: submit through the Gateway, read the log that was judged here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chaincode import canonical
from tallystick.errors import CouldNotCheck, NotAsRecorded
from tallystick.identity import Identity
from tallystick.ledger.channel.failures import translated
from tallystick.ledger.channel.log import ChannelLog
from tallystick.ledger.fabric import Deadlines, Gateway, GatewayError, Profile, Proposal
from tallystick.ledger.port import Call, Configuration, LoggedBlock, Receipt
from tallystick.ledger.requests import encode_request
from tallystick.proof import merkle
from tallystick.proof.checkpoint import Checkpoint
from tallystick.proof.note import ED25519, Verifier, sign_note

Clock = Callable[[], int]
_NOT_HERE: Final = "Run this in the home that `tally init` made for this member."


def system_clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class ChannelLedger:
    """`tallystick.ledger.port.Ledger` over a channel of Fabric."""

    def __init__(
        self,
        profile: Profile,
        directory: Path,
        *,
        reader: Identity,
        log_key: Ed25519PrivateKey | None = None,
        name: str | None = None,
        clock: Clock = system_clock,
        deadlines: Deadlines | None = None,
    ) -> None:
        """Open the channel of ``profile``; ``directory`` keeps what is derived from its blocks.

        ``reader`` asks peers for blocks. Without ``log_key`` heads are not signed here. ``name`` is the
        log's until the charter says it; the channel's own where it is left out. Raises `CouldNotCheck`
        where no peer answers.
        """
        self._profile = profile
        self._log_key = log_key
        self._clock = clock
        self._deadlines = deadlines
        self.chaincode = profile.chaincode
        self.reader = reader
        self._connections = profile.connect()
        try:
            gateway = profile.gateway(self._connections, reader, deadlines)
            self.blocks = ChannelLog(
                gateway, directory, chaincode=profile.chaincode, name=name or profile.channel
            )
        except BaseException:
            self._connections.close()
            raise

    @property
    def origin(self) -> str:
        """As the port says."""
        return self.blocks.origin

    def trust(self) -> str:
        """As the port says: this member's own key, which signs what it verified."""
        key = self._signing_key().public_key().public_bytes_raw()
        return f"log {Verifier(self.origin, ED25519, key).vkey}\nquorum none\n"

    def submit(self, identity: Identity, call: Call, *, time_ms: int | None = None) -> Receipt:
        """As the port says. What met another transaction is proposed anew for a while first."""
        gateway = self._profile.gateway(self._connections, identity, self._deadlines)
        propose = self._proposals(gateway, call, time_ms)
        try:
            committed = gateway.submit(propose)
        except GatewayError as error:
            raise translated(error, call) from error
        self.blocks.promise(committed.block)
        return Receipt(committed.transaction_id, committed.block, _response(committed.payload, call))

    def evaluate(self, identity: Identity, call: Call) -> Any:
        """As the port says, by one peer's word."""
        gateway = self._profile.gateway(self._connections, identity, self._deadlines)
        propose = self._proposals(gateway, call, None)
        try:
            return _response(gateway.evaluate(propose()), call)
        except GatewayError as error:
            raise translated(error, call) from error

    @property
    def height(self) -> int:
        """As the port says."""
        return self.blocks.height

    def block_hash(self, number: int) -> str:
        """As the port says."""
        return self.blocks.block_hash(number)

    def log(self, first: int = 0) -> Iterator[LoggedBlock]:
        """As the port says."""
        return self.blocks.log(first)

    def configurations(self) -> Iterator[Configuration]:
        """As the port says."""
        return self.blocks.configurations()

    def checkpoint(self) -> str:
        """As the port says, signed by this member's key."""
        return self.signed(self.blocks.head())

    def inclusion_proof(self, leaf: int) -> tuple[list[bytes], str]:
        """As the port says. Raises `InvalidInput` for a leaf beyond the head."""
        proof, head = self.blocks.prove(lambda size, read: merkle.inclusion_proof(leaf, size, read))
        return proof, self.signed(head)

    def consistency_proof(self, old_size: int) -> tuple[list[bytes], str]:
        """As the port says. Raises `InvalidInput` for a size beyond the head."""
        proof, head = self.blocks.prove(lambda size, read: merkle.consistency_proof(old_size, size, read))
        return proof, self.signed(head)

    def close(self) -> None:
        """Close the connections to peers."""
        self._connections.close()

    def _proposals(self, gateway: Gateway, call: Call, time_ms: int | None) -> Callable[[], Proposal]:
        request = encode_request(call)
        arguments = [f"{call.contract}:{call.transaction}".encode(), request]

        def propose() -> Proposal:
            claimed = self._clock() if time_ms is None else time_ms
            return gateway.propose(self._profile.chaincode, arguments, time_ms=claimed)

        return propose

    def signed(self, head: Checkpoint) -> str:
        """A head of this log, signed by this member's key. Raises `CouldNotCheck` where that is not here."""
        return sign_note(head.body(), head.origin, self._signing_key())

    def _signing_key(self) -> Ed25519PrivateKey:
        if self._log_key is None:
            raise CouldNotCheck("the key with which this member signs heads is not here", hint=_NOT_HERE)
        return self._log_key


def _response(payload: bytes, call: Call) -> Any:
    try:
        return canonical.decode(payload)
    except canonical.NotCanonical as error:
        raise NotAsRecorded(
            f"{call.contract}.{call.transaction}: the peers' answer is not canonical JSON",
            hint="What runs there are other contracts than ours.",
        ) from error
