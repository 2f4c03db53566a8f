"""Homes, records and peers that the benchmarks of the ledger share."""

from __future__ import annotations

import contextlib
import resource
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from peers import CACHE

from tallystick.home.create import DEVELOPMENT_PARTIES, create_home
from tallystick.identity import Identity, load_user
from tallystick.ledger.embedded.ledger import EmbeddedLedger
from tallystick.ledger.port import Call
from tallystick.settings import Settings
from tallystick.wiring import open_embedded

DIGEST = "3f9c2a71b0de" * 5 + "3f9c"
SHARED = "CPU seconds are of all processes involved; other work ran on the machine at the same time."


@contextlib.contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder on the disk of the checkout, removed at the end."""
    CACHE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"benchmark-{name}-", dir=CACHE))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def settings_of(folder: Path) -> Settings:
    return Settings.from_environment(
        {"TALLYSTICK_HOME": str(folder / "home"), "TALLYSTICK_STATE": str(folder / "state")}
    )


@dataclass(frozen=True)
class Client:
    """A ledger that is open, and who writes to it."""

    ledger: EmbeddedLedger
    identity: Identity

    @classmethod
    def create(cls, folder: Path) -> Client:
        settings = settings_of(folder)
        create_home(settings, name="tallystick.example/benchmark", parties=DEVELOPMENT_PARTIES).close()
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Client:
        settings = settings_of(folder)
        return cls(open_embedded(settings), load_user(settings.msp, settings.msp_id, settings.user))

    def register(self, name: str) -> dict[str, Any]:
        """A dataset of that name; returns the reference to it."""
        call = Call("provenance", "register_dataset", dataset(name))
        receipt = self.ledger.submit(self.identity, call)
        return {"id": receipt.response["id"], "digest": receipt.response["digest"]}

    def record(self, name: str, dataset: dict[str, Any]) -> None:
        """One record in a transaction of its own."""
        self.ledger.submit(self.identity, Call("provenance", "record_use", use(name, dataset)))

    def record_many(self, names: Sequence[str], dataset: dict[str, Any]) -> None:
        """One transaction for each of ``names``, submitted together."""
        calls = [Call("provenance", "record_use", use(name, dataset)) for name in names]
        for outcome in self.ledger.submit_many(self.identity, calls):
            if isinstance(outcome, Exception):
                raise outcome

    def record_batch(self, names: Sequence[str], dataset: dict[str, Any]) -> None:
        """One transaction with a record for each of ``names``."""
        items = [{"transaction": "record_use", "request": use(name, dataset)} for name in names]
        self.ledger.submit(self.identity, Call("provenance", "batch", {"items": items}))

    def count(self) -> tuple[int, int]:
        """How many records stand in the blocks, and their mean size in bytes."""
        sizes = [
            len(record.content)
            for block in self.ledger.log()
            for transaction in block.transactions
            for record in transaction.records
        ]
        return len(sizes), round(statistics.mean(sizes))


def dataset(name: str) -> dict[str, Any]:
    """A request to register a dataset of that name."""
    table = {"scheme": "tallystick-table-v1", "root": DIGEST, "rows": 20190, "nonce": DIGEST}
    return {
        "request_id": f"dataset-{name}",
        "name": name,
        "version": 1,
        "files": [{"digest": {"sha256": DIGEST}, "bytes": 1_048_576, "referenced": False}],
        "table": {**table, "key": "0" * 16},
        "schema": {"sha256": DIGEST},
        "source": "benchmark",
        "licence": "none",
        "policy": {"sha256": DIGEST},
        "parents": [],
        "transformation": None,
    }


def use(name: str, dataset: dict[str, Any]) -> dict[str, Any]:
    """A request whose record has about 300 bytes."""
    return {"request_id": name, "dataset": dataset, "purpose": "Training of the risk model"}


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def verification_rate(seconds: float = 0.3) -> float:
    """P-256 verifications a second by one core, through `cryptography`, of messages of 600 bytes."""
    key, ecdsa, message = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256()), bytes(600)
    public, signature = key.public_key(), key.sign(message, ecdsa)
    return _rate(lambda: public.verify(signature, message, ecdsa), seconds)


def sqlite_rate(folder: Path, seconds: float = 0.5) -> float:
    """Single-row commits of 300 bytes a second: SQLite, WAL, synchronous=FULL, on the same disk."""
    with scratch_database(folder / "peer.db") as connection:
        row = bytes(300)
        return _rate(lambda: connection.execute("INSERT INTO rows (data) VALUES (?)", (row,)), seconds)


@contextlib.contextmanager
def scratch_database(path: Path) -> Iterator[sqlite3.Connection]:
    path.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE rows (id INTEGER PRIMARY KEY, data BLOB);"
        )
        yield connection


def _rate(action: Callable[[], object], seconds: float) -> float:
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        action()
        count += 1
    return count / passed
