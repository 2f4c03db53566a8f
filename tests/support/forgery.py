"""The hostile operator: holds every key and the file, changes what it likes and signs all of it anew."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

from tallystick.identity import load_log_key
from tallystick.ledger.embedded.rebuild import rebuild
from tallystick.proof.block import GENESIS_PREVIOUS, Config, Header, canonical, origin_of, parse_block
from tallystick.proof.checkpoint import Checkpoint
from tallystick.proof.leaves import block_leaf, envelope_leaves
from tallystick.proof.membership import Membership
from tallystick.proof.merkle import Frontier, leaf_hash
from tallystick.proof.note import sign_note

Edit = Callable[[int, Any], Any]
"""From a block's number and data to the data that replaces it, or None to drop the block."""


def execute(path: Path, statement: str, *values: Any) -> int:
    """Run SQL on the file behind the ledger's back; how many rows it touched."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        return connection.execute(statement, values).rowcount


def sign_anew(path: Path, log_key: Path, edit: Edit, *, derive: bool = True) -> None:
    """Rewrite every block as ``edit`` says, with fitting headers, leaves, heads and derived tables.

    Signers are taken for what the first configuration says they are.
    """
    key = load_log_key(log_key)
    with closing(sqlite3.connect(path)) as connection, connection:
        blocks = connection.execute("SELECT number, data FROM blocks ORDER BY number").fetchall()
        connection.execute("DELETE FROM blocks")
        previous, frontier, origin, written = GENESIS_PREVIOUS, Frontier(), "", 0
        config: Config | None = None
        membership: Membership | None = None
        for number, data in blocks:
            value = edit(number, json.loads(data))
            if value is None:
                continue
            changed = canonical(value)
            header = Header(written, previous, sha256(changed).hexdigest())
            block = parse_block(header.encode(), changed)
            if block.config is not None:
                config, membership = block.config, membership or Membership(block.config.msps)
                origin = origin or origin_of(config.name, header.digest)
            valid = block.valid
            leaves = [block_leaf(header, block.config, len(valid), len(block.envelopes) - len(valid))]
            for envelope in valid:
                member = membership.judge(envelope.creator, envelope.proposal["time"])
                digest = sha256(envelope.encoded).hexdigest()
                leaves += envelope_leaves(envelope, member, config.package, digest)
            first_leaf = frontier.size
            frontier.extend(map(leaf_hash, leaves))
            head = Checkpoint(origin, frontier.size, frontier.root())
            connection.execute(
                "INSERT INTO blocks VALUES (?, ?, ?, ?, ?)",
                (written, header.encode(), changed, sign_note(head.body(), origin, key), first_leaf),
            )
            previous, written = header.digest, written + 1
    if derive:
        rebuild(path)


def put_block(path: Path, log_key: Path, number: int, value: Any) -> None:
    """Put ``value`` into a block's place and sign all anew; where that is no block that can be signed,
    it stands there under a header that fits."""
    try:
        sign_anew(path, log_key, lambda at, data: value if at == number else data, derive=False)
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
        data = canonical(value)
        with closing(sqlite3.connect(path)) as connection:
            (stored,) = connection.execute("SELECT header FROM blocks WHERE number = ?", (number,)).fetchone()
        header = Header(number, json.loads(stored)["previous"], sha256(data).hexdigest())
        execute(
            path, "UPDATE blocks SET header = ?, data = ? WHERE number = ?", header.encode(), data, number
        )


def change_block(number: int, change: Callable[[Any], None]) -> Edit:
    """An edit of one block: ``change`` alters its data in place."""

    def edit(at: int, value: Any) -> Any:
        if at == number:
            change(value)
        return value

    return edit
