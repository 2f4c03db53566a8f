"""The read index: up with the ledger whoever follows, the same as one made anew, never in the way."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from support.records import RUN_ID, make_recorded_home, record_use

from tallystick import wiring
from tallystick.clients.provenance import Provenance
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.identity import load_user
from tallystick.ledger.inclusion import prove_record
from tallystick.ledger.port import Ledger
from tallystick.reports import schema
from tallystick.reports.checked import find_checked
from tallystick.reports.index import compare_index, open_index, rebuild_index
from tallystick.reports.queries import Edge, reduced
from tallystick.reports.summary import summary, title
from tallystick.settings import Settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_recorded_home(tmp_path_factory.mktemp("recorded"))


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    ledger = wiring.open_ledger(settings)
    yield ledger
    ledger.close()


def write_more(settings: Settings, ledger: Ledger, request: str) -> None:
    record_use(Provenance(ledger, load_user(settings.msp, settings.msp_id, settings.user)), request)


def test_it_holds_every_record_with_its_leaf(ledger: Ledger, tmp_path: Path) -> None:
    with open_index(tmp_path / "index.db", ledger) as index:
        records = index.latest(limit=100)
        assert index.height == ledger.height
    assert len(records) == 8
    for record in records:
        assert prove_record(ledger, record.id, record.logged).digest == record.digest
    assert [record.kind for record in records][-1] == "charter"


def test_it_follows_what_was_written_since(settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    with open_index(path, ledger) as index:
        before = index.count("use")
    write_more(settings, ledger, "since")
    read: list[int] = []
    with open_index(path, ledger, read.append) as index:
        assert index.count("use") == before + 1
    assert read == [1]


def _follow(home: tuple[Settings, Path]) -> int:
    settings, path = home
    ledger = wiring.open_ledger(settings)
    try:
        with open_index(path, ledger) as index:
            return index.count()
    finally:
        ledger.close()


def test_several_processes_follow_at_once(settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        counts = set(pool.map(_follow, [(settings, tmp_path / "index.db")] * 6))
    with open_index(tmp_path / "index.db", ledger) as index:
        assert counts == {index.count()}
    assert set(rebuild_index(tmp_path / "index.db", ledger).values()) == {0}


def _connect(path: Path) -> str:
    with contextlib.closing(schema.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_of_several_that_make_it_at_once_none_is_turned_away(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        paths = [tmp_path / f"{number // 4}.db" for number in range(400)]
        assert {*pool.map(_connect, paths)} == {"wal"}


def test_an_index_of_another_version_is_made_again(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "index.db"
    with open_index(path, ledger) as index:
        count = index.count()
        index.connection.execute("DELETE FROM records")
    with open_index(path, ledger) as index:
        assert index.count() == 0
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with open_index(path, ledger) as index:
        assert index.count() == count


def test_rebuilding_says_what_was_not_as_the_blocks_say(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    with open_index(path, ledger) as index:
        index.connection.execute("UPDATE records SET digest = 'x' WHERE kind = 'model'")
        index.connection.execute("DELETE FROM links WHERE role = 'intent'")
    differences = rebuild_index(path, ledger)
    assert differences == {"position": 0, "records": 1, "streams": 0, "links": 1}
    assert set(rebuild_index(path, ledger).values()) == {0}


FORGERIES = {
    "a changed record": ("UPDATE records SET msp_id = 'x' WHERE kind = 'model'", {"records": 1}),
    "a record too few": ("DELETE FROM records WHERE kind = 'run'", {"records": 1}),
    "a record too many": (
        "INSERT INTO records SELECT leaf + 1000, id, kind, subject, rest, digest, block, transaction_id,"
        " time_ms, msp_id, member, salt, content FROM records WHERE kind = 'run'",
        {"records": 1},
    ),
    "other streams": ("UPDATE streams SET leaf = leaf + 1 WHERE stream = 'model:risk'", {"streams": 1}),
    "a link too few": ("DELETE FROM links WHERE role = 'intent'", {"links": 1}),
    "another ledger": ("UPDATE position SET origin = 'x/0000000000000000'", {"position": 1}),
    "another last block": ("UPDATE position SET header = 'x'", {"position": 1}),
    "more than there is": ("UPDATE position SET next = 1000", {"position": 1}),
    "nothing": ("UPDATE position SET next = next", {}),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_comparing_finds_what_the_ledger_does_not_give_and_writes_nothing(
    ledger: Ledger, tmp_path: Path, name: str
) -> None:
    statement, wrong = FORGERIES[name]
    path = tmp_path / "index.db"
    with open_index(path, ledger) as index:
        index.connection.execute(statement)
    expected = dict.fromkeys(schema.TABLES, 0) | wrong
    assert compare_index(path, ledger) == expected
    assert compare_index(path, ledger) == expected


def test_an_index_that_is_behind_is_compared_as_far_as_it_is(
    settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    path = tmp_path / "index.db"
    with open_index(path, ledger):
        pass
    write_more(settings, ledger, "behind")
    assert set((compare_index(path, ledger) or {}).values()) == {0}


def test_no_index_and_one_of_another_version_are_nothing_to_compare(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "index.db"
    assert compare_index(path, ledger) is None
    path.touch()
    assert compare_index(path, ledger) is None
    with open_index(path, ledger):
        pass
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    assert compare_index(path, ledger) is None


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON records BEGIN UPDATE records SET member = 'x'; END",
        "DROP TABLE links",
        "CREATE TABLE more (x)",
    ],
)
def test_other_tables_than_an_index_has_are_named_and_thrown_away(
    ledger: Ledger, tmp_path: Path, statement: str
) -> None:
    path = tmp_path / "index.db"
    with open_index(path, ledger) as index:
        index.connection.execute(statement)
    with pytest.raises(NotAsRecorded, match="other tables"):
        compare_index(path, ledger)
    with open_index(path, ledger) as index:
        assert index.count()
    assert set((compare_index(path, ledger) or {}).values()) == {0}


def test_a_damaged_index_is_not_as_recorded(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(b"no database at all" * 300)
    with pytest.raises(NotAsRecorded, match="damaged"):
        compare_index(path, ledger)


@pytest.mark.parametrize(
    "forgery",
    [
        "member = 'somebody'",
        "time_ms = time_ms - 1",
        "block = 0",
        "block = 999",
        "digest = 'x'",
        "salt = 'x'",
    ],
)
def test_a_record_that_is_shown_is_held_against_its_block(
    ledger: Ledger, tmp_path: Path, forgery: str
) -> None:
    path = tmp_path / "index.db"
    with open_index(path, ledger) as index:
        record, proven = find_checked(ledger, index, "people")
        assert (record.id, record.digest) == ("dataset/people/1", proven.digest)
        index.connection.execute(f"UPDATE records SET {forgery} WHERE id = 'dataset/people/1'")
    with open_index(path, ledger) as index, pytest.raises(NotAsRecorded, match="tally rebuild"):
        find_checked(ledger, index, "people")


def test_an_index_whose_last_block_is_no_longer_there_is_made_again(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    with open_index(path, ledger) as index:
        count = index.count()
        index.connection.execute("DELETE FROM records WHERE leaf > 5")
        index.connection.execute("UPDATE position SET header = ?", ("0" * 64,))
    with open_index(path, ledger) as index:
        assert index.count() == count


def test_a_place_that_cannot_be_written_is_named(ledger: Ledger) -> None:
    path = Path("/proc/tallystick/index.db")
    with pytest.raises(CouldNotCheck, match=r"/proc/tallystick/index.db"), open_index(path, ledger):
        pass


def read_damaged(path: Path, ledger: Ledger) -> None:
    with open_index(path, ledger):
        raise sqlite3.DatabaseError("database disk image is malformed")


def test_damage_met_while_reading_is_translated(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(CouldNotCheck, match="damaged"):
        read_damaged(tmp_path / "index.db", ledger)


def test_an_error_of_another_file_is_not_taken_for_the_indexs(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="another"), open_index(tmp_path / "index.db", ledger):
        raise FileNotFoundError(2, "gone", "another")


def test_a_name_means_its_latest_version_of_the_kinds_asked_for(ledger: Ledger, tmp_path: Path) -> None:
    with open_index(tmp_path / "index.db", ledger) as index:
        assert index.find("people").id == "dataset/people/1"
        assert index.find("risk").id == "model/risk/1"
        assert index.find(RUN_ID[:6]).id == f"run/{RUN_ID}"
        assert index.find(index.find("people").digest[:10]).id == "dataset/people/1"
        assert index.find("healthcare_risk").kind == "pipeline"
        with pytest.raises(InvalidInput, match="could be more than one") as caught:
            index.find("request-")
        assert "screening/request-screen" in caught.value.hint
        for nothing in ("nosuch", "", "ÿ", "people/2", "%", "model/people"):
            with pytest.raises(InvalidInput, match="no record is called"):
                index.find(nothing)


def test_lineage_in_both_directions(ledger: Ledger, tmp_path: Path) -> None:
    with open_index(tmp_path / "index.db", ledger) as index:
        up, down = index.ancestors("model/risk/1"), index.descendants("dataset/people/1")
        assert index.ancestors("dataset/people/1") == []
    assert Edge("model/risk/1", "run", f"run/{RUN_ID}") in up
    assert {edge.target for edge in up} >= {"dataset/people/1", "validation/request-validate"}
    assert {edge.source for edge in down} >= {"model/risk/1", "screening/request-screen"}


def test_a_drawing_leaves_out_what_a_longer_way_says() -> None:
    edges = [Edge("b", "x", "a"), Edge("c", "x", "b"), Edge("c", "y", "a"), Edge("d", "x", "a")]
    assert reduced(edges) == [Edge("b", "x", "a"), Edge("c", "x", "b"), Edge("d", "x", "a")]


def test_every_kind_has_a_summary_in_words(ledger: Ledger, tmp_path: Path) -> None:
    with open_index(tmp_path / "index.db", ledger) as index:
        said = {record.kind: summary(record) for record in index.latest(limit=100)}
    assert said["dataset"] == "people v1, 20,190 rows, root bbbbbbbbbbbb"
    assert said["validation"] == "people v1, 24 of 24 expectations passed"
    assert said["run"] == "MLflow run 1f0e1f0e1f0e, 3 files sealed"
    assert said["pipeline"] == "healthcare_risk success, 1 of 1 task succeeded"
    assert title(f"run/{RUN_ID}") == "1f0e1f0e1f0e"


@pytest.mark.parametrize(
    ("record_id", "streams"),
    [
        (f"run/{RUN_ID}", [f"run:{RUN_ID}", "dataset:people", "pipeline:healthcare_risk"]),
        ("model/risk/1", ["model:risk", "pipeline:healthcare_risk"]),
        ("screening/request-screen", ["dataset:people", "pipeline:healthcare_risk"]),
        ("pipeline/request-record", ["pipeline:healthcare_risk"]),
    ],
)
def test_a_records_own_stream_comes_first_and_its_pipelines_last(
    record_id: str, streams: list[str], ledger: Ledger, tmp_path: Path
) -> None:
    with open_index(tmp_path / "index.db", ledger) as index:
        assert list(index.find(record_id).streams) == streams


@pytest.mark.parametrize("end", ["", "-journal"])
def test_a_pipe_in_place_of_the_index_is_not_waited_for(ledger: Ledger, tmp_path: Path, end: str) -> None:
    path = tmp_path / "index.db"
    with open_index(path, ledger):
        pass
    path.with_name(path.name + end).unlink(missing_ok=True)
    os.mkfifo(f"{path}{end}")
    with pytest.raises(CouldNotCheck, match="not a regular file"):
        compare_index(path, ledger)
    with pytest.raises(CouldNotCheck, match="not a regular file"), open_index(path, ledger):
        pytest.fail("there is no index")
