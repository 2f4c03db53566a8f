"""Reading damaged and reconfigured blocks as entries: named, or judged by the rules of their own time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256

import pytest
from support import ledgers
from support.ledgers import make_host, open_embedded, revoke_reader

from tallystick.errors import NotAsRecorded, Refused
from tallystick.ledger.port import Call


@pytest.fixture
def host(tmp_path):
    """Blocks 0 and 1, a dataset, the revocation of the reader, another dataset."""
    made = make_host(tmp_path)
    made.submit("register_dataset", ledgers.dataset())
    revoke_reader(made)
    made.submit("register_dataset", ledgers.dataset(version=2))
    return made


def execute(host, statement):
    with closing(sqlite3.connect(host.directory / "ledger.db")) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize("first", range(6))
def test_the_log_starts_anywhere_around_a_configuration(host, first):
    numbers = [block.number for block in open_embedded(host.directory).log(first)]
    assert numbers == list(range(first, 5))


@pytest.mark.parametrize("number", [0, 2, 3, 4])
def test_a_damaged_block_is_named(host, number):
    execute(host, f"UPDATE blocks SET data = CAST(data AS TEXT) || ' ' WHERE number = {number}")
    execute(host, "UPDATE blocks SET data = CAST(data AS BLOB)")
    with pytest.raises(NotAsRecorded, match=f"block {number} cannot be read"):
        list(open_embedded(host.directory).log())


@pytest.mark.parametrize("number", [0, 3])
def test_a_damaged_configuration_is_named(host, number):
    execute(host, f"UPDATE blocks SET data = data || CAST(' ' AS BLOB) WHERE number = {number}")
    execute(host, "UPDATE blocks SET data = CAST(data AS BLOB)")
    with pytest.raises(NotAsRecorded, match=f"block {number} cannot be read"):
        list(open_embedded(host.directory).configurations())


def test_a_configuration_by_no_administrator_is_named(host):
    ledger = open_embedded(host.directory)
    (genesis,) = [block for block in ledger.blocks() if block.number == 0]
    (change,) = [block for block in ledger.blocks() if block.number == 3]
    # Signed over another configuration: the signature of block 0 under the words of block 3.
    signature = genesis.data[genesis.data.index(b'"signature"') :]
    forged = change.data[: change.data.index(b'"signature"')] + signature
    with closing(sqlite3.connect(host.directory / "ledger.db")) as connection, connection:
        header = change.header.replace(_data(change.header), sha256(forged).hexdigest().encode())
        connection.execute("UPDATE blocks SET data = ?, header = ? WHERE number = 3", (forged, header))
    with pytest.raises(NotAsRecorded, match="block 3 cannot be read"):
        list(open_embedded(host.directory).configurations())


def test_a_gap_is_named_wherever_reading_begins(host):
    execute(host, "DELETE FROM blocks WHERE number = 2")
    ledger = open_embedded(host.directory)
    for first in (0, 1, 2):
        with pytest.raises(NotAsRecorded, match="block 2 is missing"):
            list(ledger.log(first))
    assert [block.number for block in ledger.log(3)] == [3, 4]
    with pytest.raises(NotAsRecorded, match="block 2"):
        ledger.block_hash(2)


def test_a_caller_whose_certificate_was_revoked_later_is_named_as_then(host):
    host.authorities["operator"].revoke([host.pipeline.certificate_pem])
    revoke_reader(host)
    calls = [call for block in host.ledger.log(2) for call in block.transactions]
    assert {call.enrolment_id for call in calls} == {"pipeline"}
    with pytest.raises(Refused, match="revoked"):
        host.ledger.submit(host.pipeline, Call("provenance", "register_dataset", ledgers.dataset(version=3)))


def _data(header):
    return header[header.index(b'"data":"') + 8 :][:64]
