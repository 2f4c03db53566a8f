"""Kept packages run one at a time, and are given up together."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

import chaincode
from chaincode.context import Caller
from chaincode.errors import Refusal
from tallystick.errors import CouldNotCheck
from tallystick.evidence import reexecution
from tallystick.evidence.derived import Derived
from tallystick.evidence.reexecution import Replay
from tallystick.execution import packages
from tallystick.execution.isolated import IsolatedContracts, Patience
from tallystick.execution.simulate import Call

CALL = Call("provenance", "none", b"{}", Caller("OperatorMSP", "member", frozenset()), "a" * 64, 5)


@pytest.fixture
def replay(tmp_path):
    with closing(Derived()) as derived:
        found = Replay(derived, tmp_path, lambda kind, record_id: False)
        with closing(found):
            yield found


def keep(directory: Path, mark: str) -> str:
    """The digest of a package, kept in ``directory``, that differs from the installed one by ``mark``."""
    files = {**packages.manifest(Path(chaincode.__file__).parent), f"{mark}.py": b""}
    digest = packages.digest_of(files)
    for name, data in files.items():
        path = directory / digest / "chaincode" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return digest


def run(replay, digest):
    """The code with which a package refuses a transaction that it does not have."""
    with pytest.raises(Refusal) as refused:
        replay._package(digest)(replay.derived, CALL, ())
    return refused.value.code


def test_one_process_runs_at_a_time(replay, tmp_path, monkeypatch):
    started = []

    def start(*arguments):
        started.append(IsolatedContracts(*arguments))
        return started[-1]

    monkeypatch.setattr(reexecution, "IsolatedContracts", start)
    one, two = keep(tmp_path, "one"), keep(tmp_path, "two")
    for digest in (one, one, two, one):
        assert run(replay, digest) == "UNKNOWN_TRANSACTION"
    assert [each._process.poll() is None for each in started] == [False, False, True]


def test_all_packages_have_one_patience(replay, tmp_path):
    one, two = keep(tmp_path, "one"), keep(tmp_path, "two")
    assert run(replay, one) == "UNKNOWN_TRANSACTION"
    replay._patience = Patience(0.0)
    with pytest.raises(CouldNotCheck, match="took too long"):
        replay._package(two)
