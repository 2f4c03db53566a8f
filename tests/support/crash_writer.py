"""A process that writes, until it is killed or has written so many, and notes every acknowledgement first."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from support import ledgers
from support.ledgers import open_embedded

from tallystick.identity import load_user
from tallystick.ledger.port import Call


def main(directory: Path, worker: str, count: int | None) -> None:
    """Submit uses of a dataset, ``count`` or without end, noting each acknowledged request id."""
    ledger = open_embedded(directory)
    identity = load_user(directory / "msp", "OperatorMSP", "pipeline")
    facts = ledger.evaluate(identity, Call("provenance", "read", {"id": "dataset/claims/1"}))["facts"]
    made = {"id": "dataset/claims/1", "digest": {"sha256": facts["digest"]}}
    noted = os.open(directory / f"acknowledged-{worker}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    number = 0
    while number != count:
        request_id = f"{worker}-{os.getpid()}-{number}"
        ledger.submit(
            identity, Call("provenance", "record_use", {**ledgers.use(made), "request_id": request_id})
        )
        os.write(noted, request_id.encode() + b"\n")
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None)
