"""A row's proof shows that row and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from chaincode.canonical import decode, encode
from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.fingerprint import sources
from tallystick.fingerprint.keys import TableKey
from tallystick.fingerprint.row_proof import RowProof, prove_row, verify_row
from tallystick.fingerprint.tables import TableFingerprint, fingerprint_table, row_leaves

TABLE = pa.table({"who": [f"p{n % 5}" for n in range(37)], "x": [n / 2 for n in range(37)]})


def verify(proof: bytes, found: TableFingerprint) -> dict[str, Any]:
    return verify_row(proof, root=found.root, rows=found.rows, schema_digest=found.schema_digest)


@pytest.mark.parametrize("subject", [None, "who"])
@pytest.mark.parametrize("chunk", [8, 16, 65536])
def test_every_row_is_provable(
    subject: str | None, chunk: int, monkeypatch: pytest.MonkeyPatch, key: TableKey
) -> None:
    monkeypatch.setattr(sources, "CHUNK", chunk)
    found = fingerprint_table(TABLE, key, subject=subject)
    for index in range(TABLE.num_rows):
        proof = prove_row(TABLE, key, index, subject=subject)
        assert verify(proof.to_bytes(), found) == {"who": f"p{index % 5}", "x": index / 2}


def test_only_the_rows_own_salt_is_revealed(key: TableKey) -> None:
    proof = prove_row(TABLE, key, 9).to_bytes().decode()
    salts = key.salts(0, TABLE.num_rows)
    shown = [n for n in range(TABLE.num_rows) if salts[16 * n : 16 * n + 16].hex() in proof]
    assert shown == [9]
    assert decode(proof.encode())["row"] == prove_row(TABLE, key, 9).row.hex()


@pytest.mark.parametrize(
    "change",
    [
        {"row": b"s\x00\x00\x00\x02p3f" + bytes(8)},
        {"salt": bytes(16)},
        {"subject": bytes(32)},
        {"index": 10},
        {"hashes": ()},
    ],
)
@pytest.mark.parametrize("subject", [None, "who"])
def test_a_changed_proof_proves_nothing(change: dict[str, Any], subject: str | None, key: TableKey) -> None:
    found = fingerprint_table(TABLE, key, subject=subject)
    proof = prove_row(TABLE, key, 9, subject=subject)
    assert verify(proof.to_bytes(), found)
    with pytest.raises(NotAsRecorded, match="not in the recorded table"):
        verify(replace(proof, **change).to_bytes(), found)


def test_a_proof_is_of_one_record(key: TableKey) -> None:
    found, proof = fingerprint_table(TABLE, key), prove_row(TABLE, key, 9)
    other = fingerprint_table(TABLE.slice(1), key)
    for wrong in (replace(found, root=other.root), replace(found, rows=36)):
        with pytest.raises(NotAsRecorded, match="another table"):
            verify(proof.to_bytes(), wrong)
    renamed = replace(proof, columns=(("whom", "string"), ("x", "float")))
    with pytest.raises(NotAsRecorded, match="other columns"):
        verify(renamed.to_bytes(), found)


def test_there_is_no_proof_of_a_row_that_is_not_there(key: TableKey) -> None:
    for index in (-1, 37):
        with pytest.raises(InvalidInput, match="of 37 rows"):
            prove_row(TABLE, key, index)


def test_only_canonical_proofs_are_read(key: TableKey) -> None:
    proof = prove_row(TABLE, key, 0)
    data = proof.to_bytes()
    assert RowProof.from_bytes(data) == proof
    fields = decode(data)
    wrong = [b"", b"{}", b"[]", data + b"\n", data[:-1]]
    wrong += [encode({**fields, name: None}) for name in fields if name != "subject"]
    wrong += [encode({name: fields[name] for name in fields if name != left_out}) for left_out in fields]
    wrong += [encode({**fields, "more": 1}), encode({**fields, "salt": "00"}), encode({**fields, "v": 2})]
    wrong += [encode({**fields, "index": "0"}), encode({**fields, "columns": [{"name": "a"}]})]
    for other in wrong:
        with pytest.raises(InvalidInput, match="no row proof"):
            RowProof.from_bytes(other)


def test_the_vectors_proof(key: TableKey, vectors: Any) -> None:
    expected = vectors["proof"]
    table = pa.table({"a": pa.array(expected["values"])})
    found = fingerprint_table(table, key)
    assert found.root == expected["root"]
    assert prove_row(table, key, expected["index"]).to_bytes().decode() == expected["proof"]
    assert verify(expected["proof"].encode(), found) == {"a": expected["values"][expected["index"]]}
    assert len(row_leaves(table, key).leaves) == found.rows
