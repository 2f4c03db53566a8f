"""`check-proof`: a proof's file judged by the keys that the user trusts. No ledger is asked."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tallystick.cli.command import Adder, read_bytes, read_text
from tallystick.cli.screen import Screen
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.settings import Settings

if TYPE_CHECKING:
    from tallystick.fingerprint.row_proof import RowProof
    from tallystick.proof.trust import Judgement, TrustPolicy

_MOST_LEAF: Final = 1 << 20


def add(adder: Adder) -> None:
    """Add this file's command."""
    check = adder.command(
        "check-proof", _check, "judge a proof's file by keys that you trust; asks no ledger"
    )
    check.add_argument(
        "file", type=Path, metavar="FILE", help="what prove, prove-row or checkpoint --since wrote"
    )
    trusted = check.add_mutually_exclusive_group(required=True)
    trusted.add_argument(
        "--trust", type=Path, metavar="FILE", help="whose signatures count: a C2SP tlog-policy"
    )
    trusted.add_argument("--vkey", help="the one key whose signature counts, as `tally checkpoint` prints it")
    check.add_argument(
        "--leaf", type=Path, metavar="FILE", help="the leaf's bytes (default: beside the .tlog-proof)"
    )
    check.add_argument(
        "--record", type=Path, metavar="FILE", help="of a row: the .tlog-proof of its dataset's record"
    )
    check.add_argument(
        "--since",
        type=Path,
        metavar="FILE",
        help="of a consistency proof: the earlier checkpoint, as you kept it",
    )


def _check(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    from tallystick.fingerprint.row_proof import MAX_PROOF

    data = read_bytes(arguments.file, "proof", MAX_PROOF)
    with _judging():
        trust = _trust(arguments)
        if data.startswith(b"{"):
            value = _row(data, arguments, trust, settings, screen)
        elif data.startswith(b"tallystick/consistency-proof@"):
            value = _consistency(data, arguments, trust, screen)
        else:
            value = _inclusion(data, arguments.file, arguments.leaf, trust, screen)[1]
    screen.result({"proven": True, **value})
    return 0


def _inclusion(
    data: bytes, path: Path, leaf_path: Path | None, trust: TrustPolicy, screen: Screen
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The record whose leaf is proven, and the answer. Raises as `_judging` does."""
    from tallystick.proof.leaves import parse_record_leaf
    from tallystick.proof.tlog_proof import verify_tlog_proof

    leaf = read_bytes(leaf_path or path.with_suffix(".leaf"), "leaf (name it with --leaf)", _MOST_LEAF)
    verdict = verify_tlog_proof(data.decode("utf-8", "replace"), leaf, trust)
    try:
        record = dict(parse_record_leaf(leaf))
        record = {"id": str(record["id"]), "kind": str(record["kind"]), "body": dict(record["body"])}
    except (ValueError, TypeError, KeyError, RecursionError):
        raise NotAsRecorded(f"leaf {verdict.index:,} is in the log, and holds no record") from None
    screen.line(f"Proven: {record['id']} is leaf {verdict.index:,} of {verdict.size:,} of {verdict.origin}.")
    value = _signed(verdict.judgement, screen)
    return record, {"kind": "inclusion", "id": record["id"], "leaf": verdict.index, **value}


def _consistency(
    data: bytes, arguments: argparse.Namespace, trust: TrustPolicy, screen: Screen
) -> dict[str, Any]:
    from tallystick.evidence.witness import read_head
    from tallystick.proof.consistency_proof import verify_consistency_proof

    old = read_head(read_text(_given(arguments.since, "--since"), "checkpoint"))
    verdict = verify_consistency_proof(data.decode("utf-8", "replace"), old, trust)
    screen.line(
        f"Proven: {verdict.origin} grew from {verdict.old_size:,} leaves to {verdict.size:,},"
        " and none of the first was changed."
    )
    return {"kind": "consistency", "old_size": verdict.old_size, **_signed(verdict.judgement, screen)}


def _row(
    data: bytes, arguments: argparse.Namespace, trust: TrustPolicy, settings: Settings, screen: Screen
) -> dict[str, Any]:
    from tallystick.fingerprint.row_proof import RowProof, verify_row

    proof = RowProof.from_bytes(data)
    path = _given(arguments.record, "--record")
    record, value = _inclusion(read_bytes(path, "proof", _MOST_LEAF), path, arguments.leaf, trust, screen)
    body = record["body"]
    if record["kind"] != "dataset":
        raise NotAsRecorded(f"{record['id']} is no dataset, so no row is in it")
    try:
        schema, table = _schema(body, proof, settings), (body["table"]["root"], body["table"]["rows"])
    except (TypeError, KeyError, ValueError):
        raise NotAsRecorded(f"{record['id']} does not say which table it is of") from None
    values = verify_row(
        data,
        root=table[0],
        rows=table[1],
        schema_digest=schema,
    )
    screen.line(f"Proven: this is row {proof.index:,} of {proof.size:,} of that dataset.")
    shown = {name: None if cell is None else str(cell) for name, cell in values.items()}
    screen.table(
        [(name, "(no value)" if cell is None else cell) for name, cell in shown.items()], indent="  "
    )
    return {**value, "kind": "row", "row": proof.index, "rows": proof.size, "values": shown}


def _schema(body: dict[str, Any], proof: RowProof, settings: Settings) -> str:
    """The plain digest of the recorded schema: under a privacy regime the table's key must be here."""
    from tallystick import sealing
    from tallystick.fingerprint.columns import schema_digest
    from tallystick.fingerprint.keys import Keyring
    from tallystick.steps.opening import table_key

    if sealing.PLAIN in body["schema"]:
        return str(body["schema"][sealing.PLAIN])
    claimed = schema_digest(proof.columns)
    try:
        key = table_key(Keyring(settings.keys), body)
    except CouldNotCheck as error:
        raise CouldNotCheck(
            "the names of the row's columns cannot be checked: they are recorded under the table's key",
            hint="Check it in a home that has this key: TALLYSTICK_HOME names it.",
        ) from error
    if sealing.seal(key, claimed) != body["schema"]:
        raise NotAsRecorded("the row proof names other columns than the record")
    return claimed


def _signed(judgement: Judgement, screen: Screen) -> dict[str, Any]:
    """Say who signed the head, and no more than that."""
    logs = sorted(key.name for key in judgement.logs)
    witnesses = sorted(signed.verifier.name for signed in judgement.witnesses)
    told = (
        f"cosigned by {', '.join(witnesses)}"
        if judgement.witnessed
        else "NOT witnessed: nobody else's signature was asked for"
    )
    screen.line(
        f"The head of {judgement.checkpoint.size:,} leaves is signed by a key that you trust; {told}."
    )
    return {
        "origin": judgement.checkpoint.origin,
        "size": judgement.checkpoint.size,
        "signed_by": logs,
        "witnesses": witnesses,
        "witnessed": judgement.witnessed,
    }


def _trust(arguments: argparse.Namespace) -> TrustPolicy:
    from tallystick.proof.note import parse_vkey
    from tallystick.proof.trust import NO_QUORUM, TrustPolicy, parse_trust

    if arguments.trust is not None:
        return parse_trust(read_text(arguments.trust, "trust policy"))
    return TrustPolicy((parse_vkey(arguments.vkey),), {}, {}, NO_QUORUM)


def _given(path: Path | None, option: str) -> Path:
    if path is None:
        raise InvalidInput(f"this kind of proof needs {option}", hint="See: tally check-proof --help")
    return path


@contextmanager
def _judging() -> Iterator[None]:
    """A proof that cannot be read is `InvalidInput`; one that shows nothing is `NotAsRecorded`."""
    from tallystick.proof.errors import Malformed, ProofError

    try:
        yield
    except Malformed as error:
        raise InvalidInput(
            f"it cannot be read: {error}", hint="docs/formats/ says how it is written."
        ) from None
    except ProofError as error:
        raise NotAsRecorded(f"NOT proven: {error}") from None
