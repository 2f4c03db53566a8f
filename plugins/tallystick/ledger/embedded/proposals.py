"""Signed proposals: what a client asks of the embedded ledger. docs/formats/block.md#proposals."""

from __future__ import annotations

import base64
import functools
import secrets
from hashlib import sha256
from typing import Any, NamedTuple

from chaincode import canonical
from chaincode.context import Caller
from tallystick.execution import simulate
from tallystick.identity import Identity
from tallystick.ledger.port import Call
from tallystick.ledger.requests import encode_request
from tallystick.proof import block
from tallystick.proof.membership import Member


class SignedProposal(NamedTuple):
    """A proposal with its signature. ``data`` is canonical JSON; ``creator`` a serialised identity."""

    data: bytes
    signature: bytes
    creator: bytes
    nonce: bytes
    transaction_id: str
    origin: str
    contract: str
    transaction: str
    request: bytes
    time: int

    def is_what_was_signed(self) -> bool:
        """Whether the fields beside the signed bytes say what those bytes say."""
        if type(self.time) is not int:  # a float would be signed as it is, and then no block could be read
            return False
        creator = _creator_digest(self.creator)
        data = _encode(
            self.contract, creator, self.nonce.hex(), self.origin, self.request, self.time, self.transaction
        )
        return data == self.data and self.transaction_id == block.transaction_id(self.nonce, self.creator)

    def call(self, member: Member) -> simulate.Call:
        """What to run, as the member that signed."""
        caller = Caller(member.msp_id, member.enrolment_id, member.roles)
        return simulate.Call(
            self.contract, self.transaction, self.request, caller, self.transaction_id, self.time
        )


def propose(identity: Identity, origin: str, call: Call, time_ms: int) -> SignedProposal:
    """Sign ``call`` for the ledger ``origin``. Raises `InvalidInput` for a request with no canonical form."""
    creator = identity.serialised
    nonce = secrets.token_bytes(24)
    request = encode_request(call)
    data = _encode(
        call.contract, _creator_digest(creator), nonce.hex(), origin, request, time_ms, call.transaction
    )
    return SignedProposal(
        data,
        identity.sign(data),
        creator,
        nonce,
        block.transaction_id(nonce, creator),
        origin,
        call.contract,
        call.transaction,
        request,
        time_ms,
    )


def _encode(
    contract: str, creator: str, nonce: str, origin: str, request: bytes, time: int, transaction: str
) -> bytes:
    # Canonical JSON of an object whose fields are known, so that the request's bytes, which are encoded
    # once and kept, stand in their place.
    before = (
        f'{{"contract":{_text(contract)},"creator":"{creator}","nonce":"{nonce}","origin":{_text(origin)}'
    )
    behind = f'"time":{time},"transaction":{_text(transaction)},"v":1}}'
    return b'%b,"request":%b,%b' % (before.encode(), request, behind.encode())


@functools.lru_cache(maxsize=256)
def _creator_digest(creator: bytes) -> str:
    """The digest of an identity that signs many proposals."""
    return sha256(creator).hexdigest()


@functools.lru_cache(maxsize=256)
def _text(text: str) -> str:
    """The JSON of a name that stands in many proposals."""
    return canonical.encode(text).decode()


def envelope_bytes(proposal: SignedProposal, simulation: simulate.Simulation) -> bytes:
    """The canonical envelope of an executed proposal."""
    content: dict[str, Any] = {
        "proposal": proposal.data.decode(),
        "reads": reads_value(simulation.reads),
        "records": [record.decode() for record in simulation.records],
        "response": simulation.response.decode(),
        "scans": scans_value(simulation.scans),
        "signature": base64.b64encode(proposal.signature).decode(),
        "writes": writes_value(simulation.writes),
    }
    # In the model already: a proposal that was judged, and what the host took of a contract.
    return canonical.encode_decoded(content)


def reads_value(reads: dict[str, simulate.Version | None]) -> list[list[Any]]:
    """Each read as [key, block, position], or [key] where there was nothing."""
    return [[key, *version] if version else [key] for key, version in reads.items()]


def scans_value(scans: tuple[simulate.Scan, ...]) -> list[list[Any]]:
    """Each scan as [start, end, limit, digest of the page]."""
    return [[scan.start, scan.end, scan.limit, scan.digest] for scan in scans]


def writes_value(writes: dict[str, bytes | None]) -> list[list[Any]]:
    """Each write as [key, text], or [key, null] for a removal."""
    return [[key, None if value is None else value.decode()] for key, value in writes.items()]
