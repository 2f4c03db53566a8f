"""Proofs that verify without this ledger: `prove`, `prove-row`, `checkpoint`."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

from tallystick.cli.command import Adder, open_ledger, open_records, read_text
from tallystick.cli.screen import Screen
from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.reports.words import typed
from tallystick.settings import Settings


def add(adder: Adder) -> None:
    """Add this file's commands."""
    prove = adder.command("prove", _prove, "write the proof that a record is in the log, and its leaf")
    prove.add_argument("id", metavar="ID", help="what `tally show` takes")
    prove.add_argument("--out", type=Path, default=Path(), help="the directory to write to (default: here)")
    row = adder.command("prove-row", _prove_row, "write the proof that one row is in a recorded table")
    row.add_argument("id", metavar="DATASET", help="a dataset, as for `tally show`")
    row.add_argument("row", type=int, metavar="ROW", help="the row's number, counted from 0")
    row.add_argument("--out", type=Path, default=Path(), help="the directory to write to (default: here)")
    checkpoint = adder.command("checkpoint", _checkpoint, "print the signed head, to be kept elsewhere")
    checkpoint.add_argument(
        "--out", type=Path, help="write checkpoint.txt and trust.txt into this directory instead"
    )
    checkpoint.add_argument(
        "--since", type=Path, metavar="FILE", help="the proof that today's head extends this checkpoint"
    )


def _prove(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.files import write_atomic
    from tallystick.reports.checked import find_checked
    from tallystick.reports.summary import title

    with open_records(settings, screen) as (ledger, index):
        record, proof = find_checked(ledger, index, arguments.id)
    stem = directory(arguments.out) / file_name(record.id)
    proof_path, leaf_path = Path(f"{stem}.tlog-proof"), Path(f"{stem}.leaf")
    write_atomic(proof_path, proof.file.encode(), 0o644)
    write_atomic(leaf_path, record.logged.leaf_bytes, 0o644)
    head = proof.head
    screen.line(f"Proven: {title(record.id)} is leaf {record.leaf:,} of {head.size:,} of {head.origin}.")
    screen.table(
        [
            (str(proof_path), f"the proof, {len(proof.hashes)} hashes and the signed head"),
            (str(leaf_path), "the leaf's bytes, which hold the whole record"),
        ],
        indent="  ",
    )
    screen.next(
        (f"tally checkpoint --out {shlex.quote(str(arguments.out))}", "writes the key that it is judged by"),
        (
            f"tally check-proof {shlex.quote(str(proof_path))} --trust {_trust_file(arguments.out)}",
            "what an auditor does, without this ledger",
        ),
    )
    screen.result(
        {
            "id": record.id,
            "leaf": record.leaf,
            "size": head.size,
            "origin": head.origin,
            "proof_file": str(proof_path),
            "leaf_file": str(leaf_path),
        }
    )
    return 0


def _prove_row(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick import wiring
    from tallystick.clients.provenance import Reference
    from tallystick.files import write_atomic
    from tallystick.fingerprint.row_proof import prove_row
    from tallystick.reports.checked import find_checked
    from tallystick.reports.summary import title
    from tallystick.steps.opening import open_dataset

    if arguments.row < 0:
        raise InvalidInput("a row's number counts from 0")
    with open_records(settings, screen) as (ledger, index):
        record, _ = find_checked(ledger, index, arguments.id)
    if record.kind != "dataset":
        raise InvalidInput(f"{title(record.id)} is no dataset", hint="See them: tally log --kind dataset")
    opened = wiring.open_workspace(settings, writing=False)
    with opened as workspace, screen.busy("reading the table"):
        dataset = open_dataset(workspace, Reference(record.id, record.digest))
        proof = prove_row(dataset.table, dataset.key, arguments.row, subject=dataset.policy.privacy.subject)
    if proof.root.hex() != record.body["table"]["root"]:
        raise NotAsRecorded(f"the rows of {title(record.id)} do not make the root that is recorded")
    path = directory(arguments.out) / f"{file_name(record.id)}-row-{arguments.row}.json"
    write_atomic(path, proof.to_bytes())
    screen.line(f"Proven: row {arguments.row:,} of {record.body['table']['rows']:,} of {title(record.id)}.")
    screen.line(f"  {path}   holds this row's values and salt, and nothing of any other row")
    stem = directory(arguments.out) / file_name(record.id)
    screen.next(
        (f"tally prove {arguments.id} --out {shlex.quote(str(arguments.out))}", "the record of that table"),
        (
            f"tally check-proof {shlex.quote(str(path))} --record {shlex.quote(f'{stem}.tlog-proof')}"
            f" --trust {_trust_file(arguments.out)}",
            "what an auditor does with both",
        ),
    )
    screen.result({"id": record.id, "row": arguments.row, "root": proof.root.hex(), "proof_file": str(path)})
    return 0


def _checkpoint(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.files import write_atomic
    from tallystick.proof.checkpoint import head_of
    from tallystick.proof.trust import parse_trust

    if arguments.since is not None:
        return _extension(arguments, settings, screen)
    with open_ledger(settings) as ledger:
        block, note, trust = ledger.height - 1, ledger.checkpoint(), ledger.trust()
    head = head_of(note)
    vkeys = [key.vkey for key in parse_trust(trust).logs]
    trust = f"# The ledger's own word. Keep this file away from the ledger.\n{trust}"
    if arguments.out is None:
        screen.text(note)
        if not screen.as_json:
            for vkey in vkeys:
                screen.note(f"vkey  {vkey}")
            screen.note(
                f"The head after block {block:,}. Keep it, and the key, where the operator cannot reach."
            )
            screen.note(
                f"next: {typed('tally checkpoint')} --out .   writes both as the files that `verify` takes"
            )
    else:
        place = directory(arguments.out)
        write_atomic(place / "checkpoint.txt", note.encode(), 0o644)
        write_atomic(place / "trust.txt", trust.encode(), 0o644)
        screen.line(f"Wrote the head after block {block:,} and the key that signed it. Keep both elsewhere.")
        since, key = (shlex.quote(str(place / name)) for name in ("checkpoint.txt", "trust.txt"))
        screen.next(
            (f"tally verify --since {since} --trust {key}", "later, proves that nothing was rewritten")
        )
    screen.result(
        {
            "checkpoint": note,
            "vkeys": vkeys,
            "trust": trust,
            "origin": head.origin,
            "size": head.size,
            "block": block,
        }
    )
    return 0


def _extension(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """The proof that today's head extends one that was kept, verified before it is given away."""
    from tallystick.evidence.witness import read_head
    from tallystick.files import write_atomic
    from tallystick.proof.consistency_proof import encode_consistency_proof, verify_consistency_proof
    from tallystick.proof.errors import ProofError
    from tallystick.proof.trust import parse_trust

    old = read_head(read_text(arguments.since, "checkpoint"))
    with open_ledger(settings) as ledger:
        try:
            hashes, note = ledger.consistency_proof(old.size)
            proof = encode_consistency_proof(old.size, hashes, note)
            verdict = verify_consistency_proof(proof, old, parse_trust(ledger.trust()))
        except (InvalidInput, ProofError) as error:
            raise NotAsRecorded(
                f"today's ledger does not extend the head of {old.size:,} leaves of {old.origin}: {error}",
                hint="Keep both for the auditor. See what is wrong: tally verify --since FILE",
            ) from None
    if arguments.out is None:
        screen.text(proof)
        path = None
    else:
        path = directory(arguments.out) / f"consistency-{verdict.old_size}-{verdict.size}.proof"
        write_atomic(path, proof.encode(), 0o644)
        screen.line(
            f"Wrote the proof that the log grew from {verdict.old_size:,} leaves to {verdict.size:,}."
        )
        screen.next(
            (
                f"tally check-proof {shlex.quote(str(path))} --since {shlex.quote(str(arguments.since))}"
                f" --trust {_trust_file(arguments.since.parent)}",
                "what an auditor does with it",
            )
        )
    screen.result(
        {
            "origin": verdict.origin,
            "old_size": verdict.old_size,
            "size": verdict.size,
            "proof": proof,
            "proof_file": None if path is None else str(path),
        }
    )
    return 0


def _trust_file(folder: Path) -> str:
    """Where `tally checkpoint --out` puts the key, as a shell takes it."""
    return shlex.quote(str(folder / "trust.txt"))


def directory(path: Path) -> Path:
    """``path`` as a directory to write to, made if it is missing. Raises `InvalidInput`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"{path} is not a directory to write to: {error.strerror}", hint="Name another with --out."
        ) from None
    return path


def file_name(record_id: str) -> str:
    """A record's id as the name of a file."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", record_id)
