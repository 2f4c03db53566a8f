"""Finding records: the right one, proven in the log whatever the index says, or a clear no."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.home import make_home

from chaincode import canonical
from tallystick import wiring
from tallystick.clients.provenance import Recorded, Reference, Request
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.identity import load_user
from tallystick.ledger.port import Call, LoggedBlock
from tallystick.reports.index import IndexedRecords, open_index
from tallystick.steps.records import find_record, find_records
from tallystick.steps.workspace import Workspace

HEX = "ab" * 32


@pytest.fixture(scope="module")
def w(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with wiring.open_workspace(make_home(tmp_path_factory.mktemp("records"))) as opened:
        yield opened


def register(w: Workspace, version: int) -> Recorded:
    table: dict[str, Any] = {"scheme": "s", "root": HEX, "rows": 1, "nonce": HEX, "key": "0" * 16}
    return w.provenance.register_dataset(
        Request(f"claims-{version}"),
        name="claims",
        version=version,
        files=[({"sha256": HEX}, 1, False)],
        table=table,
        schema={"sha256": HEX},
        source="s",
        licence="l",
        policy={"sha256": HEX},
    )


@pytest.fixture(scope="module")
def registered(w: Workspace) -> list[Recorded]:
    return [register(w, version) for version in range(1, 41)]


def test_a_record_is_found_with_its_own_leaf(w: Workspace, registered: list[Recorded]) -> None:
    for recorded in (registered[0], registered[9], registered[-1]):
        found = find_record(w, recorded.reference)
        assert found.reference == recorded.reference
        block = next(w.ledger.log(recorded.receipt.block))
        assert found.proven.logged == block.transactions[0].records[0]


def test_an_id_that_begins_another_is_not_that_one(w: Workspace, registered: list[Recorded]) -> None:
    found = find_records(w, ["dataset/claims/1", "dataset/claims/10"])
    assert {key: record.body["version"] for key, record in found.items()} == {
        "dataset/claims/1": 1,
        "dataset/claims/10": 10,
    }


def test_every_record_of_a_transaction_has_the_next_leaf(w: Workspace, registered: list[Recorded]) -> None:
    stream = {"stream": "dataset:claims"}
    items = [{"transaction": "attest", "request": {"request_id": f"a{n}", **stream}} for n in range(3)]
    identity = load_user(w.settings.msp, w.settings.msp_id, w.settings.user)
    receipt = w.ledger.submit(identity, Call("provenance", "batch", {"items": items}))
    found = find_records(w, [f"attestation/a{n}" for n in range(3)])
    (logged,) = next(w.ledger.log(receipt.block)).transactions
    assert [found[f"attestation/a{n}"].proven.logged.leaf - logged.leaf for n in range(3)] == [1, 2, 3]


def test_what_is_not_there_or_not_the_same_is_said(w: Workspace, registered: list[Recorded]) -> None:
    with pytest.raises(InvalidInput, match="no record dataset/claims/999"):
        find_record(w, "dataset/claims/999")
    with pytest.raises(NotAsRecorded, match="not the one that is referred to"):
        find_record(w, Reference("dataset/claims/1", canonical.digest(b"")))


@pytest.mark.parametrize(
    "forgery",
    [
        "content = replace(CAST(content AS TEXT), '\"rows\":1', '\"rows\":2')",
        "content = (SELECT content FROM records WHERE id = 'dataset/claims/2')",
        "salt = x'ff'",
        "salt = (SELECT salt FROM records WHERE id = 'dataset/claims/2')",
        "leaf = 100000",
        "leaf = -1",
    ],
)
def test_a_forged_index_feeds_no_step(
    w: Workspace, registered: list[Recorded], tmp_path: Path, forgery: str
) -> None:
    forged = tmp_path / "index.db"
    with open_index(forged, w.ledger) as index:
        index.connection.execute(f"UPDATE records SET {forgery} WHERE id = 'dataset/claims/1'")
    of_forged = dataclasses.replace(w, records=IndexedRecords(forged, w.ledger))
    assert find_record(of_forged, "dataset/claims/2").body["version"] == 2
    with pytest.raises((NotAsRecorded, CouldNotCheck)):
        find_record(of_forged, "dataset/claims/1")


def test_another_record_under_an_id_is_refused(
    w: Workspace, registered: list[Recorded], tmp_path: Path
) -> None:
    forged = tmp_path / "index.db"
    with open_index(forged, w.ledger) as index:
        index.connection.execute("DELETE FROM records WHERE id = 'dataset/claims/1'")
        index.connection.execute("UPDATE records SET id = 'dataset/claims/1' WHERE id = 'dataset/claims/2'")
    with pytest.raises(NotAsRecorded, match="it is another record"):
        find_record(dataclasses.replace(w, records=IndexedRecords(forged, w.ledger)), "dataset/claims/1")


def test_a_look_up_reads_no_block_twice(
    w: Workspace, registered: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_record(w, "dataset/claims/40")
    register(w, 41)
    read: list[int] = []
    log = w.ledger.log

    def counted(first: int = 0) -> Iterator[LoggedBlock]:
        for block in log(first):
            read.append(block.number)
            yield block

    monkeypatch.setattr(w.ledger, "log", counted)
    for version in (41, 1, 40):
        assert find_record(w, f"dataset/claims/{version}").body["version"] == version
    assert read == [w.ledger.height - 1]
