"""Rebuilding: what blocks say is made again, and blocks that are not as they were written change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import forgery, ledgers

from tallystick.errors import NotAsRecorded
from tallystick.ledger.embedded.rebuild import rebuild


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The file of a ledger of three blocks, nobody has it open."""
    host = ledgers.make_host(tmp_path)
    host.submit("register_dataset", ledgers.dataset())
    host.ledger.close()
    return tmp_path / "ledger.db"


def test_what_is_as_the_blocks_say_has_no_differences_and_progress_counts_blocks(ledger: Path) -> None:
    told: list[int] = []
    done = rebuild(ledger, told.append)
    assert (done.blocks, sum(told), {*done.differences.values()}) == (3, 3, {0})


def test_a_row_of_a_derived_table_is_counted_and_put_right(ledger: Path) -> None:
    forgery.execute(ledger, "UPDATE state SET value = 'x' WHERE key LIKE 'provenance/%'")
    assert rebuild(ledger).differences["state"] > 0
    assert {*rebuild(ledger).differences.values()} == {0}


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM blocks WHERE number = 1", r"block 1 .*does not follow on the one before"),
        ("DELETE FROM blocks WHERE number = 0", r"block 0 .*does not follow on the one before"),
        ("UPDATE blocks SET first_leaf = first_leaf + 1 WHERE number = 2", "block 2 .*does not follow"),
        (
            "UPDATE blocks SET header = (SELECT header FROM blocks WHERE number = 1), "
            "data = (SELECT data FROM blocks WHERE number = 1) WHERE number = 2",
            "block 2 .*header does not follow",
        ),
        (
            "UPDATE blocks SET checkpoint = (SELECT checkpoint FROM blocks WHERE number = 1)"
            " WHERE number = 2",
            "block 2 .*do not give the head that was signed",
        ),
    ],
)
def test_blocks_that_are_not_as_written_are_named_and_nothing_is_changed(
    ledger: Path, statement: str, says: str
) -> None:
    forgery.execute(ledger, "UPDATE state SET value = 'x' WHERE key LIKE 'provenance/%'")
    assert forgery.execute(ledger, statement) == 1
    with pytest.raises(NotAsRecorded, match=says):
        rebuild(ledger)
    assert forgery.execute(ledger, "UPDATE state SET value = 'x' WHERE value = 'x'") > 0
