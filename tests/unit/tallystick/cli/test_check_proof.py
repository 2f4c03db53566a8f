"""Proofs judged by whoever was given them, with nothing but the files and a key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick import sealing, wiring
from tallystick.cli import main
from tallystick.clients.provenance import Request
from tallystick.fingerprint.row_proof import prove_row
from tallystick.fingerprint.tables import fingerprint_table
from tallystick.proof.note import ED25519, Verifier
from tallystick.settings import Settings


@pytest.fixture
def kept(home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Where an auditor keeps what he was given: head, trust, a proof of the dataset's record."""
    directory = tmp_path / "kept"
    directory.mkdir()
    assert main(["checkpoint", "--out", str(directory)]) == 0
    assert main(["prove", "people", "--out", str(directory)]) == 0
    capsys.readouterr()
    return directory


def check(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, Any]:
    """The exit code and the JSON of `check-proof`."""
    code = main(["check-proof", *map(str, argv), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_records_proof_is_judged_without_its_home(
    kept: Path, home: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home.home.rename(home.home.with_name("gone"))
    proof, trust = kept / "dataset-people-1.tlog-proof", kept / "trust.txt"
    code, told = check(capsys, proof, "--trust", trust)
    assert (code, told["proven"], told["id"], told["witnessed"]) == (0, True, "dataset/people/1", False)
    vkey = trust.read_text().split("log ")[1].split()[0]
    assert check(capsys, proof, "--vkey", vkey)[0] == 0
    assert main(["check-proof", str(proof), "--trust", str(trust)]) == 0
    assert "NOT witnessed" in capsys.readouterr().out


def test_a_changed_leaf_or_another_key_proves_nothing(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proof, trust = kept / "dataset-people-1.tlog-proof", kept / "trust.txt"
    leaf = proof.with_suffix(".leaf").read_bytes()
    proof.with_suffix(".leaf").write_bytes(leaf.replace(b"people", b"peopel"))
    code, told = check(capsys, proof, "--trust", trust)
    assert (code, told["error"]["kind"]) == (1, "NotAsRecorded")
    (kept / "other.leaf").write_bytes(leaf)
    assert check(capsys, proof, "--trust", trust, "--leaf", kept / "other.leaf")[0] == 0
    origin = told_origin(trust)
    stranger = Verifier(origin, ED25519, Ed25519PrivateKey.generate().public_key().public_bytes_raw()).vkey
    assert check(capsys, proof, "--vkey", stranger, "--leaf", kept / "other.leaf")[0] == 1


def told_origin(trust: Path) -> str:
    return trust.read_text().split("log ")[1].split("+")[0]


@pytest.mark.parametrize(
    "argv",
    [
        ["nosuch.tlog-proof", "--trust", "kept/trust.txt"],
        ["kept/trust.txt", "--trust", "kept/trust.txt", "--leaf", "kept/dataset-people-1.leaf"],
        ["kept/dataset-people-1.tlog-proof", "--trust", "nosuch"],
        ["kept/dataset-people-1.tlog-proof", "--vkey", "what"],
        ["kept/dataset-people-1.tlog-proof", "--trust", "kept/trust.txt", "--leaf", "nosuch"],
        ["kept/dataset-people-1.tlog-proof"],
        ["brace.json", "--trust", "kept/trust.txt"],
    ],
)
def test_what_cannot_be_read_is_invalid_input(
    argv: list[str], kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "brace.json").write_text("{}")
    assert check(capsys, *argv)[0] == 2


def test_the_log_only_grew_since_a_kept_head(
    kept: Path, home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["retire", "people", "--reason", "superseded"]) == 0
    since, trust = kept / "checkpoint.txt", kept / "trust.txt"
    capsys.readouterr()
    assert main(["checkpoint", "--since", str(since), "--out", str(kept), "--json"]) == 0
    proof = Path(json.loads(capsys.readouterr().out)["proof_file"])
    code, told = check(capsys, proof, "--since", since, "--trust", trust)
    assert (code, told["kind"], told["size"] > told["old_size"]) == (0, "consistency", True)
    assert check(capsys, proof, "--trust", trust)[0] == 2
    assert main(["checkpoint", "--since", str(since)]) == 0
    assert capsys.readouterr().out == proof.read_text()
    lines = since.read_text().splitlines()
    lines[2] = "A" * 43 + "="
    (kept / "other.txt").write_text("\n".join(lines) + "\n")
    assert check(capsys, proof, "--since", kept / "other.txt", "--trust", trust)[0] == 1
    assert main(["checkpoint", "--since", str(kept / "other.txt")]) == 1
    lines[1] = "9999"
    (kept / "other.txt").write_text("\n".join(lines) + "\n")
    assert main(["checkpoint", "--since", str(kept / "other.txt")]) == 1
    assert main(["checkpoint", "--since", str(trust)]) == 2


@pytest.mark.parametrize("regime", [False, True])
def test_a_row_is_proven_under_the_record_of_its_table(
    regime: bool, kept: Path, home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pa.table({"age": [40, 41, 42], "cost": [1.5, 2.5, None]})
    proof_file = register(home, rows, kept, regime=regime)
    assert main(["prove", "rows", "--out", str(kept)]) == 0
    capsys.readouterr()
    record = ["--record", kept / "dataset-rows-1.tlog-proof", "--trust", kept / "trust.txt"]
    code, told = check(capsys, proof_file, *record)
    assert (code, told["row"], told["values"]) == (0, 2, {"age": "42", "cost": None})
    other = ["--record", kept / "dataset-people-1.tlog-proof", "--trust", kept / "trust.txt"]
    assert check(capsys, proof_file, *other)[0] in (1, 3)
    assert check(capsys, proof_file, "--trust", kept / "trust.txt")[0] == 2
    home.home.rename(home.home.with_name("gone"))
    code, told = check(capsys, proof_file, *record)
    assert code == (3 if regime else 0)
    if regime:
        assert "names of the row's columns" in told["error"]["message"]


def register(home: Settings, rows: Any, directory: Path, *, regime: bool) -> Path:
    """Record a dataset "rows" with the table ``rows``; the proof of its last row as a file."""
    nonce = bytes(range(32))
    with wiring.open_workspace(home) as w:
        key = w.keyring.create("rows")
        table_key = key.table_key(nonce)
        print_ = fingerprint_table(rows, table_key)
        plain = {"sha256": "a" * 64}
        w.provenance.register_dataset(
            Request("rows"),
            name="rows",
            version=1,
            files=[(plain, 15, False)],
            table={
                "scheme": "tallystick-table-v1",
                "root": print_.root,
                "rows": print_.rows,
                "nonce": nonce.hex(),
                "key": key.key_id,
            },
            schema=sealing.seal(table_key if regime else None, print_.schema_digest),
            source="made up",
            licence="CC0",
            policy=plain,
        )
    path = directory / "rows.json"
    path.write_bytes(prove_row(rows, table_key, 2).to_bytes())
    return path
