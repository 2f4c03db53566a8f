"""Whatever is changed in the file, without or with the operator's keys, is named."""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from support import forgery, ledgers
from support.cases import Case, bad

import chaincode
from tallystick.errors import NotAsRecorded
from tallystick.evidence.derived import TABLES
from tallystick.execution import packages
from tallystick.ledger.embedded.genesis import reconfigure
from tallystick.ledger.embedded.proposals import propose
from tallystick.ledger.embedded.rebuild import rebuild
from tallystick.ledger.embedded.stored import StoredFile
from tallystick.ledger.port import Call

COLUMNS = {"blocks": ("number", "header", "data", "checkpoint", "first_leaf"), **TABLES}
#: SQLite itself refuses a second head, so its key is a case of its own.
SINGLE = ("head", "id")


def test_a_ledger_as_it_was_written_is_verified_but_not_witnessed(case):
    report = case.verify()
    assert report.verified
    assert report.exit_code == 0
    assert not report.witnessed
    ledger = report.subjects[0]
    assert (ledger.kind, ledger.id, ledger.status) == ("ledger", case.origin, "verified")
    assert ledger.detail.endswith("consistent, signed by the operator, NOT witnessed")


@pytest.mark.parametrize(
    ("table", "column"), [(t, c) for t, names in COLUMNS.items() for c in names if (t, c) != SINGLE]
)
@pytest.mark.parametrize("row", ["first", "last"])
def test_one_byte_of_any_stored_value_is_named(case, table, column, row):
    order = "ASC" if row == "first" else "DESC"
    key = COLUMNS[table][0]
    with closing(sqlite3.connect(case.path)) as connection:
        where, value = connection.execute(
            f"SELECT {key}, {column} FROM {table} ORDER BY {key} {order} LIMIT 1"
        ).fetchone()
    assert (
        forgery.execute(case.path, f"UPDATE {table} SET {column} = ? WHERE {key} = ?", flip(value), where)
        == 1
    )
    report = case.verify()
    assert report.exit_code == 1
    assert not report.witnessed
    found = bad(report)
    assert found[0].kind == ("block" if table == "blocks" else f"row of {table}")
    assert len(found) <= 2 or column == "start"


def flip(value):
    """The value with one bit changed, still of its type."""
    if isinstance(value, int):
        return value + 1_000_000
    if isinstance(value, str):
        middle = len(value) // 2
        return value[:middle] + chr(ord(value[middle]) ^ 1) + value[middle + 1 :]
    middle = len(value) // 2
    return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]


def test_a_head_that_is_not_the_one_head_is_refused(case):
    forgery.execute(case.path, "UPDATE head SET id = 2")
    with pytest.raises(NotAsRecorded, match="damaged: CHECK constraint failed in head"):
        case.verify()


@pytest.mark.parametrize("table", [table for table in TABLES if table != "head"])
def test_a_derived_row_that_is_gone_or_too_many_is_named(case, table):
    key = TABLES[table][0]
    columns = ", ".join(TABLES[table][1:])
    other = {"state": "'zz/zz'", "transactions": f"x'{'ff' * 33}'", "hashes": "9999"}[table]
    forgery.execute(
        case.path, f"INSERT INTO {table} SELECT {other}, {columns} FROM {table} ORDER BY {key} LIMIT 1"
    )
    assert [s.status for s in bad(case.verify())] == ["UNRECORDED"]
    forgery.execute(case.path, f"DELETE FROM {table} WHERE {key} IN (SELECT max({key}) FROM {table})")
    assert case.verify().verified
    forgery.execute(case.path, f"DELETE FROM {table} WHERE {key} IN (SELECT min({key}) FROM {table})")
    report = case.verify()
    assert report.exit_code == 1
    assert {s.status for s in bad(report)} <= {"MISSING", "CHANGED"}


def test_many_wrong_rows_are_not_all_listed(case):
    assert forgery.execute(case.path, "UPDATE hashes SET data = zeroblob(length(data))") > 10
    found = bad(case.verify())
    assert found[-1].detail.startswith("and more rows")
    assert len(found) == 21


def test_rebuilding_brings_derived_rows_back(case):
    for table in ("state", "hashes", "transactions"):
        forgery.execute(case.path, f"DELETE FROM {table}")
    assert case.verify().exit_code == 1
    rebuild(case.path)
    assert case.verify().verified


def test_a_block_taken_out_of_the_middle_is_missing(case):
    forgery.execute(case.path, "DELETE FROM blocks WHERE number = 3")
    (found,) = bad(case.verify())
    assert (found.kind, found.id, found.detail) == ("block", "3", "missing")


def test_a_block_taken_out_and_the_rest_renumbered_does_not_follow(case):
    forgery.execute(case.path, "DELETE FROM blocks WHERE number = 3")
    forgery.execute(case.path, "UPDATE blocks SET number = number - 1 WHERE number > 3")
    (found,) = bad(case.verify())
    assert (found.kind, found.id, found.status) == ("block", "3", "CHANGED")


def test_two_blocks_in_each_others_place_are_found(case):
    for old, new in ((3, -1), (4, 3), (-1, 4)):
        forgery.execute(case.path, "UPDATE blocks SET number = ? WHERE number = ?", new, old)
    (found,) = bad(case.verify())
    assert (found.kind, found.id) == ("block", "3")


def test_a_tail_cut_off_shows_in_what_is_kept_beside_the_blocks(case):
    last = forgery.execute(case.path, "DELETE FROM blocks WHERE number = (SELECT max(number) FROM blocks)")
    assert last == 1
    assert case.verify().exit_code == 1


def test_no_blocks_at_all(case):
    forgery.execute(case.path, "DELETE FROM blocks")
    (found,) = bad(case.verify())
    assert (found.kind, found.id, found.status) == ("block", "0", "CHANGED")


def test_a_changed_record_signed_anew_does_not_come_out_of_its_contract(case):
    def change(data):
        record = json.loads(data["transactions"][0]["records"][0])
        record["body"]["source"] = "another survey"
        data["transactions"][0]["records"][0] = json.dumps(record, sort_keys=True, separators=(",", ":"))

    forgery.sign_anew(case.path, case.log_key, forgery.change_block(2, change))
    (found,) = bad(case.verify())
    assert (found.kind, found.id) == ("block", "2")
    assert found.detail == "transaction 0 run again has other records than the block says"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("reads", [["charter/charter"]]),
        ("writes", [["provenance/latest/dataset/claims", "2"]]),
        ("response", "null"),
        ("scans", [["a/a", "a/b", 1, "0" * 64]]),
    ],
)
def test_any_part_of_an_outcome_is_run_again(case, part, value):
    def change(data):
        data["transactions"][0][part] = value

    forgery.sign_anew(case.path, case.log_key, forgery.change_block(2, change))
    (found,) = bad(case.verify())
    assert found.detail == f"transaction 0 run again has other {part} than the block says"


@pytest.mark.parametrize("reads", [[[]], [["a/b", "1", 2]], [["a/b", 1]], [["a/b"], ["a/b"]], [[1]], ["x"]])
def test_reads_out_of_their_form_are_refused(case, reads):
    def change(data):
        data["transactions"][0]["reads"] = reads

    forgery.sign_anew(case.path, case.log_key, forgery.change_block(case.conflict, change))
    (found,) = bad(case.verify())
    assert "transaction 0" in found.detail


def test_a_changed_request_breaks_its_clients_signature(case):
    def change(data):
        proposal = data["transactions"][0]["proposal"]
        data["transactions"][0]["proposal"] = proposal.replace("a survey", "b survey")

    forgery.sign_anew(case.path, case.log_key, forgery.change_block(2, change))
    (found,) = bad(case.verify())
    assert found.detail == "transaction 0: signature: not this member's over these bytes"


def test_a_valid_transaction_marked_invalid_is_found(case):
    def change(data):
        data["verdicts"] = ["MVCC_READ_CONFLICT"]

    last = case.conflict - 1
    forgery.sign_anew(case.path, case.log_key, forgery.change_block(last, change))
    (found,) = bad(case.verify())
    assert (found.id, found.detail) == (
        str(last),
        "transaction 0 is marked MVCC_READ_CONFLICT, and by what it read it is VALID",
    )


def test_an_invalid_transaction_marked_valid_is_found(case):
    def change(data):
        data["verdicts"] = ["VALID"]

    forgery.sign_anew(case.path, case.log_key, forgery.change_block(case.conflict, change))
    (found,) = bad(case.verify())
    assert found.id == str(case.conflict)
    assert "run again has other" in found.detail


def test_a_refused_transaction_marked_valid_is_found(case):
    """The same request id with another content is refused, whatever the block claims it gave."""
    pipeline = ledgers.load_user(case.directory / "msp", "OperatorMSP", "pipeline")
    signed = sign(
        pipeline, case.origin, Call("provenance", "register_dataset", ledgers.dataset(source="new"))
    )

    def change(data):
        data["transactions"][0]["proposal"], data["transactions"][0]["signature"] = signed

    forgery.sign_anew(case.path, case.log_key, forgery.change_block(3, change))
    (found,) = bad(case.verify())
    assert found.detail == "transaction 0 is marked VALID, but the contract refuses it: REQUEST_REUSED"


def sign(identity, origin, call):
    proposal = propose(identity, origin, call, time.time_ns() // 1_000_000)
    return proposal.data.decode(), base64.b64encode(proposal.signature).decode()


def test_a_transaction_put_in_twice_is_found(case):
    def change(data):
        data["transactions"][1] = data["transactions"][0]

    forgery.sign_anew(case.path, case.log_key, forgery.change_block(case.last_block, change), derive=False)
    (found,) = bad(case.verify())
    assert (found.id, found.detail) == (
        str(case.last_block),
        "transaction 1 stands in the log a second time",
    )


def test_a_transaction_of_another_ledger_is_found(case):
    pipeline = ledgers.load_user(case.directory / "msp", "OperatorMSP", "pipeline")
    signed = sign(pipeline, "other.example/0000000000000000", Call("provenance", "record_use", {}))

    def change(data):
        data["transactions"][0]["proposal"], data["transactions"][0]["signature"] = signed

    forgery.sign_anew(case.path, case.log_key, forgery.change_block(3, change))
    (found,) = bad(case.verify())
    assert found.detail == "transaction 0 was signed for another ledger"


def test_a_signer_who_was_revoked_before_is_found(case):
    """What stands after a revocation is judged by it: so is work that is moved behind it."""
    pipeline = ledgers.load_user(case.directory / "msp", "OperatorMSP", "pipeline")
    ledgers.Authority.load(case.directory / "msp" / "OperatorMSP").revoke([pipeline.certificate_pem])
    with closing(case.open()) as ledger:
        msps = [ledgers.load_msp(case.directory / "msp" / msp) for msp in ledgers.PARTIES.values()]
        reconfigure(ledger, ledgers.load_user(case.directory / "msp", "OperatorMSP", "admin"), msps=msps)
    assert case.verify().verified
    blocks = {}
    forgery.sign_anew(case.path, case.log_key, lambda number, value: blocks.setdefault(number, value))
    last = max(blocks)
    order = [*range(last - 1), last, last - 1]
    forgery.sign_anew(case.path, case.log_key, lambda number, value: blocks[order[number]], derive=False)
    (found,) = bad(case.verify())
    assert (found.id, found.detail) == (str(last), "transaction 0: certificate: revoked")


def test_a_configuration_by_nobody_who_may_is_found(case):
    def change(data):
        data["signature"] = data["signature"][:20] + "AAAA" + data["signature"][24:]

    forgery.sign_anew(case.path, case.log_key, forgery.change_block(case.config, change))
    (found,) = bad(case.verify())
    assert found.id == str(case.config)
    assert "signature" in found.detail


def test_contracts_that_are_not_at_hand_cannot_be_checked(case, monkeypatch):
    monkeypatch.setattr(packages, "current_digest", lambda: "f" * 64)
    report = case.verify()
    assert report.exit_code == 3
    (found,) = bad(report)
    assert (found.kind, found.status) == ("contracts", "cannot check")
    assert found.detail.startswith("from block 1 on its transactions were not run again")


def test_contracts_that_were_kept_run_again(case, monkeypatch, tmp_path):
    packages.keep_current(tmp_path / "packages")
    monkeypatch.setattr(packages, "current_digest", lambda: "f" * 64)
    assert case.verify(packages=tmp_path / "packages").verified

    def change(data):
        data["transactions"][0]["response"] = "null"

    forgery.sign_anew(case.path, case.log_key, forgery.change_block(2, change))
    (found,) = bad(case.verify(packages=tmp_path / "packages"))
    assert found.detail == "transaction 0 run again has other response than the block says"


@pytest.mark.parametrize("body", ["raise SystemExit", "import os; os.write(1, b'x' * 99)", "raise OSError"])
def test_contracts_that_break_off_cannot_be_checked_and_never_pass(case, monkeypatch, body):
    """The fourth transaction of them ends the process that ran the three before it."""
    files = packages.manifest(Path(chaincode.__file__).parent)
    source = files["catalogue.py"].decode()
    opening = "    if contract not in CONTRACTS:\n"
    assert opening in source
    broken = f"    if transaction == 'declare_run':\n        {body}\n{opening}"
    files["catalogue.py"] = source.replace(opening, broken).encode()
    monkeypatch.setattr(packages, "current_digest", lambda: "f" * 64)
    monkeypatch.setattr(packages, "kept", lambda digest, directory: files)
    report = case.verify()
    assert report.exit_code == 3
    (found,) = bad(report)
    assert (found.kind, found.status) == ("contracts", "cannot check")
    assert found.detail.startswith(
        "from block 5 on its transactions were not run again: the process that ran"
    )


def test_a_file_of_a_form_that_is_not_known_is_refused(case):
    with closing(sqlite3.connect(case.path)) as connection:
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(NotAsRecorded, match="a form that is not known"):
        case.verify()


def test_what_no_table_holds_is_not_the_ledger(case):
    """Free pages and bytes behind the last page are read by nobody (docs/verification.md, 9)."""
    with closing(sqlite3.connect(case.path)) as connection:
        connection.execute("CREATE TABLE more (data BLOB)")
        connection.execute("INSERT INTO more VALUES (randomblob(50000))")
        connection.commit()
        connection.execute("DROP TABLE more")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert connection.execute("PRAGMA freelist_count").fetchone()[0] > 5
    with case.path.open("ab") as file:
        file.write(b"x" * 10_000)
    assert case.verify().verified


@pytest.mark.parametrize(
    ("origin", "verified"), [(None, True), ("tallystick.example/other/0123456789abcdef", False)]
)
def test_the_charter_is_of_this_ledger(tmp_path, origin, verified):
    """The contract does not know where it runs, so a charter made for another ledger is adopted."""
    host = ledgers.make_host(tmp_path, adopt=False)
    charter = {
        "origin": origin or host.ledger.origin,
        "parties": ledgers.PARTIES,
        "independent": "regulator",
        "grants": {"pipeline": [{"party": "operator", "role": "pipeline"}]},
        "skew_ms": 300_000,
        "log_format": "tallystick-log-v1",
    }
    host.ledger.submit(host.user("operator", "admin"), Call("charter", "adopt", charter))
    case = Case(tmp_path, host.ledger.origin, ledgers.vkey(host.ledger), "", 0, 0)
    host.ledger.close()
    report = case.verify()
    assert report.verified is verified
    if not verified:
        (found,) = bad(report)
        assert (found.kind, found.id, found.detail) == ("block", "1", "the charter is that of another ledger")


def test_a_reading_that_is_given_up_after_the_file_was_closed_is_quiet(case):
    with StoredFile(case.path) as stored:
        blocks, rows = stored.blocks(), iter(stored.rows("state"))
        assert next(blocks).number == 0
        assert next(rows)
    blocks.close()
    rows.close()
