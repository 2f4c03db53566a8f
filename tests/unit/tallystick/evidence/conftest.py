"""A ledger with a block of every sort, made once; each test gets a copy that it may spoil."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest
from support import ledgers
from support.cases import Case

from tallystick.errors import Refused
from tallystick.identity import load_msp
from tallystick.ledger.embedded.genesis import reconfigure
from tallystick.ledger.port import Call


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Case:
    directory = tmp_path_factory.mktemp("evidence")
    host = ledgers.make_host(directory)
    data = host.submit("register_dataset", ledgers.dataset())
    early = host.ledger.checkpoint()
    screened = host.submit("record_screening", ledgers.screening(data))
    validated = host.submit("record_validation", ledgers.validation(data))
    declared = host.submit("declare_run", ledgers.intent(data, screened, validated))
    trained = host.submit("record_run", ledgers.run(declared))
    # Endorsed on the same state, committed one after the other: the second is not valid, on record.
    late = host.ledger.endorse(host.pipeline, Call("provenance", "record_use", ledgers.use(data, 1)))
    host.submit("record_use", ledgers.use(data, 2))
    with pytest.raises(Refused, match="MVCC_READ_CONFLICT"):
        host.ledger.commit(late)
    conflict = host.ledger.height - 1
    revoked = host.authorities["operator"].issue("leaver", ("pipeline",))
    host.authorities["operator"].revoke([revoked.certificate_pem])
    msps = [load_msp(directory / "msp" / msp) for msp in ledgers.PARTIES.values()]
    reconfigure(host.ledger, host.user("operator", "admin"), msps=msps)
    config = host.ledger.height - 1
    host.submit("register_model", ledgers.model(trained))
    uses = [Call("provenance", "record_use", ledgers.use(data, number)) for number in range(10, 13)]
    host.ledger.submit_many(host.pipeline, uses)
    case = Case(directory, host.ledger.origin, ledgers.vkey(host.ledger), early, conflict, config)
    host.ledger.close()
    with closing(sqlite3.connect(case.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return case


@pytest.fixture
def case(made, tmp_path) -> Case:
    shutil.copytree(made.directory, tmp_path / "ledger")
    return Case(tmp_path / "ledger", made.origin, made.vkey, made.early, made.conflict, made.config)
