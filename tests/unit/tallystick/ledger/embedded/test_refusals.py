"""Every refusal of the host says what to do about it, on the screen and on the page."""

from __future__ import annotations

import json
import re
import resource
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import ledgers
from support.ledgers import make_host, open_embedded

import tallystick
from chaincode.errors import Refusal
from tallystick.errors import CouldNotCheck, Refused
from tallystick.ledger.embedded.refusals import RefusalLog
from tallystick.ledger.port import Call
from tallystick.ledger.requests import HINTS
from tallystick.proof.block import VERDICTS

_HOST = Path(tallystick.__file__).parent
_PAGE = Path(__file__).parents[5] / "docs" / "cli.md"
_CODE = re.compile(r'(?:Refusal|NotInForce)\(\s*"([A-Z_]+)"|code="([A-Z_]+)"')


def raised():
    """The codes that the host's own rooms raise."""
    files = [*(_HOST / "ledger").rglob("*.py"), *(_HOST / "execution").rglob("*.py")]
    texts = [path.read_text("utf-8") for path in [*files, _HOST / "proof" / "membership.py"]]
    return {code for text in texts for pair in _CODE.findall(text) for code in pair if code}


def test_every_code_of_the_host_has_a_hint_and_no_other():
    assert HINTS.keys() == raised() | (set(VERDICTS) - {"VALID"}) | {"NOT_A_MEMBER"}


def test_every_code_stands_on_the_page():
    page = _PAGE.read_text("utf-8")
    assert [code for code in HINTS if f"| `{code}` |" not in page] == []


@pytest.mark.parametrize(("minutes", "refused"), [(4, False), (6, True)])
def test_a_refusal_says_what_to_do(tmp_path, minutes, refused):
    host = make_host(tmp_path)
    claimed = host.clock() - minutes * 60_000
    if not refused:
        assert host.submit("register_dataset", ledgers.dataset(), time_ms=claimed)["id"]
        return
    with pytest.raises(Refused, match="CLOCK_SKEW") as caught:
        host.submit("register_dataset", ledgers.dataset(), time_ms=claimed)
    assert caught.value.hint == HINTS["CLOCK_SKEW"]


def test_a_log_of_refusals_that_cannot_be_written_turns_nothing_else_into_an_error(tmp_path):
    host = make_host(tmp_path)
    (tmp_path / "refusals.jsonl").mkdir()
    calls = [Call("provenance", "register_dataset", ledgers.dataset(version=version)) for version in (1, 7)]
    good, bad = host.ledger.submit_many(host.pipeline, calls)
    assert good.response["id"] == "dataset/claims/1"
    assert (bad.code, bad.facts) == ("VERSION_NOT_NEXT", {"expected": 2})
    assert "refusals.jsonl could not be written: Is a directory" in bad.hint
    with pytest.raises(Refused, match="UNKNOWN_TRANSACTION") as refused:
        host.ledger.evaluate(host.pipeline, Call("provenance", "drop", {}))
    assert "refusals.jsonl" in refused.value.hint


def test_a_refusal_is_noted_once_what_was_written_with_it_is_durable(tmp_path, monkeypatch):
    host = make_host(tmp_path)
    seen = []
    append = RefusalLog.append

    def noting(*arguments):
        with closing(open_embedded(tmp_path)) as other:
            seen.append(other.height)
        append(*arguments)

    monkeypatch.setattr(RefusalLog, "append", noting)
    calls = [Call("provenance", "register_dataset", ledgers.dataset(version=version)) for version in (1, 7)]
    host.ledger.submit_many(host.pipeline, calls)
    assert seen == [3]
    assert "VERSION_NOT_NEXT" in (tmp_path / "refusals.jsonl").read_text("utf-8")


def note(log, code):
    log.append(SimpleNamespace(data=b"a proposal"), "OperatorMSP", "pipeline", Refusal(code))


def codes(path):
    return [json.loads(line)["code"] for line in path.read_text("utf-8").splitlines()]


def test_what_there_is_no_room_for_leaves_no_half_line(tmp_path):
    path = tmp_path / "refusals.jsonl"
    log = RefusalLog(path)
    note(log, "REVOKED")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, before[1]))
    try:
        with pytest.raises(CouldNotCheck, match=r"refusals\.jsonl could not be written: File too large"):
            note(log, "EXPIRED")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    note(log, "CLOCK_SKEW")
    assert codes(path) == ["REVOKED", "CLOCK_SKEW"]


def test_a_line_that_a_power_cut_halved_spoils_no_other(tmp_path):
    path = tmp_path / "refusals.jsonl"
    path.write_text('{"time": "2026-')
    note(RefusalLog(path), "REVOKED")
    half, whole = path.read_text("utf-8").splitlines()
    assert (half, json.loads(whole)["code"]) == ('{"time": "2026-', "REVOKED")
