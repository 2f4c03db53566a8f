"""Building the next block: state as the block leaves it, leaves, tree and signed head."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.execution.simulate import Simulation, Version
from tallystick.ledger.embedded.pending import PendingState
from tallystick.ledger.embedded.proposals import SignedProposal, envelope_bytes
from tallystick.proof import leaves
from tallystick.proof.block import Config, Header, canonical
from tallystick.proof.checkpoint import Checkpoint
from tallystick.proof.membership import Member
from tallystick.proof.merkle import HASH_SIZE, Frontier, leaf_hash, stored_count
from tallystick.proof.note import sign_note

#: Stored hashes a row: as many as lie on one page of the file, so that one hash is one page read.
_HASHES_A_ROW: Final = 120
_IDS_ASKED: Final = 500


@dataclass(slots=True)
class Head:
    """Where the ledger stands: the last block, the configuration's block, the tree's right edge."""

    number: int
    header: str
    config: int
    frontier: Frontier

    @classmethod
    def load(cls, connection: sqlite3.Connection) -> Head:
        """The head as stored."""
        number, header, config, frontier = connection.execute(
            "SELECT number, header, config, frontier FROM head WHERE id = 1"
        ).fetchone()
        return cls(number, header, config, Frontier.from_bytes(frontier))

    def save(self, connection: sqlite3.Connection) -> None:
        """Store the head."""
        connection.execute(
            "INSERT OR REPLACE INTO head VALUES (1, ?, ?, ?, ?)",
            (self.number, self.header, self.config, self.frontier.to_bytes()),
        )


class Executed(NamedTuple):
    """A proposal that was run, with the verdict that it is ordered under."""

    proposal: SignedProposal
    member: Member
    simulation: Simulation
    verdict: str


def recorded(connection: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    """Which of these transactions (ids in hex) stand in the ledger."""
    found: set[str] = set()
    for start in range(0, len(ids), _IDS_ASKED):
        asked = [bytes.fromhex(each) for each in ids[start : start + _IDS_ASKED]]
        marks = ",".join("?" * len(asked))
        rows = connection.execute(f"SELECT id FROM transactions WHERE id IN ({marks})", asked)  # noqa: S608 - marks only
        found.update(row[0].hex() for row in rows)
    return found


def append_transactions(
    connection: sqlite3.Connection,
    head: Head,
    executed: Sequence[Executed],
    state: PendingState,
    package: str,
    origin: str,
    log_key: Ed25519PrivateKey,
) -> None:
    """Write a block of transactions, valid or not."""
    envelopes = [envelope_bytes(each.proposal, each.simulation) for each in executed]
    creators = dict.fromkeys(each.proposal.creator for each in executed)
    data = (
        b'{"creators":'
        + canonical([base64.b64encode(creator).decode() for creator in creators])
        + b',"transactions":['
        + b",".join(envelopes)
        + b'],"v":1,"verdicts":'
        + canonical([each.verdict for each in executed])
        + b"}"
    )
    header = Header(head.number + 1, head.header, sha256(data).hexdigest())
    valid = sum(each.verdict == "VALID" for each in executed)
    block_leaves = [leaves.block_leaf(header, None, valid, len(executed) - valid)]
    for each, envelope in zip(executed, envelopes, strict=True):
        if each.verdict != "VALID":
            continue
        proposal = each.proposal
        block_leaves += leaves.transaction_leaves(
            proposal.transaction_id,
            proposal.nonce,
            each.member,
            proposal.contract,
            package,
            sha256(envelope).hexdigest(),
            each.simulation.records,
        )
    connection.executemany(
        "INSERT INTO transactions VALUES (?, ?, ?)",
        [
            (bytes.fromhex(each.proposal.transaction_id), header.number, position)
            for position, each in enumerate(executed)
        ],
    )
    write_state(connection, state.writes)
    append_block(connection, head, header, data, block_leaves, origin, log_key)


def append_config(
    connection: sqlite3.Connection,
    head: Head,
    config: Config,
    creator: bytes,
    signature: bytes,
    origin: str,
    log_key: Ed25519PrivateKey,
) -> None:
    """Write a block that changes the configuration."""
    header, data = config_block(config, creator, signature, head.number + 1, head.header)
    head.config = header.number
    append_block(connection, head, header, data, [leaves.block_leaf(header, config, 0, 0)], origin, log_key)


def config_block(
    config: Config, creator: bytes, signature: bytes, number: int, previous: str
) -> tuple[Header, bytes]:
    """Header and data of a configuration block."""
    data = canonical(
        {
            "config": config.encoded.decode(),
            "creator": base64.b64encode(creator).decode(),
            "signature": base64.b64encode(signature).decode(),
            "v": 1,
        }
    )
    return Header(number, previous, sha256(data).hexdigest()), data


def append_block(
    connection: sqlite3.Connection,
    head: Head,
    header: Header,
    data: bytes,
    block_leaves: Sequence[bytes],
    origin: str,
    log_key: Ed25519PrivateKey,
) -> None:
    """Write a block with its part of the tree and the signed head after it; ``head`` moves on."""
    first_leaf = head.frontier.size
    write_hashes(connection, stored_count(first_leaf), head.frontier.extend(map(leaf_hash, block_leaves)))
    checkpoint = Checkpoint(origin, head.frontier.size, head.frontier.root())
    connection.execute(
        "INSERT INTO blocks VALUES (?, ?, ?, ?, ?)",
        (header.number, header.encode(), data, sign_note(checkpoint.body(), origin, log_key), first_leaf),
    )
    head.number, head.header = header.number, header.digest
    head.save(connection)


def write_hashes(connection: sqlite3.Connection, start: int, new: bytes) -> None:
    """Store hashes (concatenated) from stored index ``start`` on."""
    step = _HASHES_A_ROW * HASH_SIZE
    connection.executemany(
        "INSERT INTO hashes VALUES (?, ?)",
        [(start + offset // HASH_SIZE, new[offset : offset + step]) for offset in range(0, len(new), step)],
    )


def write_state(connection: sqlite3.Connection, writes: dict[str, tuple[bytes | None, Version]]) -> None:
    """Store the last value of every key written, remove what was deleted."""
    connection.executemany(
        "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)",
        [(key, value, *version) for key, (value, version) in sorted(writes.items()) if value is not None],
    )
    connection.executemany(
        "DELETE FROM state WHERE key = ?", [(key,) for key, (value, _) in writes.items() if value is None]
    )
