"""Must show 3: of 1,000 random bytes of the ledger file, each flipped alone, none changes a value unseen."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

from support import ledgers

from tallystick.errors import TallystickError
from tallystick.evidence.chain import Chain
from tallystick.evidence.verify import verify
from tallystick.ledger.embedded.stored import StoredFile
from tallystick.ledger.port import Call

FLIPS = 1_000
SEED = 20_261_123
TABLES = ("sqlite_master", "blocks", "state", "transactions", "hashes", "head")


def make_file(directory: Path) -> Path:
    host = ledgers.make_host(directory)
    data = host.submit("register_dataset", ledgers.dataset())
    host.submit("record_screening", ledgers.screening(data))
    uses = [Call("provenance", "record_use", ledgers.use(data, number)) for number in range(6)]
    host.ledger.submit_many(host.pipeline, uses)
    host.ledger.close()
    path = directory / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def dump(path: Path) -> object:
    """Every stored value as SQLite gives it, or why it gives none."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        connection.text_factory = bytes
        try:
            return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES]
        except (sqlite3.Error, UnicodeDecodeError) as error:
            return str(error)


def is_found(path: Path) -> bool:
    try:
        with StoredFile(path) as stored:
            return verify(stored, Chain(stored.blocks())).exit_code != 0
    except TallystickError as refused:
        return refused.exit_code in (1, 3)


def test_every_flip_that_changes_a_stored_value_is_found_or_the_file_is_refused(tmp_path):
    path = make_file(tmp_path)
    original = path.read_bytes()
    untouched = dump(path)
    assert not is_found(path)
    chance = random.Random(SEED)
    changed, unseen = 0, []
    for _ in range(FLIPS):
        place, bit = chance.randrange(len(original)), 1 << chance.randrange(8)
        path.write_bytes(original[:place] + bytes([original[place] ^ bit]) + original[place + 1 :])
        if dump(path) != untouched:
            changed += 1
            if not is_found(path):
                unseen.append((place, bit))
        for leftover in path.parent.glob("ledger.db-*"):
            leftover.unlink()
    path.write_bytes(original)
    assert not is_found(path)
    assert changed > FLIPS // 4, "too few flips met a stored value to say anything"
    assert unseen == []
