"""What both hosts accept from a contract, at the limit and one beyond."""

from __future__ import annotations

import pytest

from chaincode import host_limits
from chaincode.errors import Refusal


def _code(check, *arguments):
    with pytest.raises(Refusal) as refusal:
        check(*arguments)
    return refusal.value.code


def test_keys():
    host_limits.check_key("provenance/dataset/rand-hie/000000000001")
    host_limits.check_key("a/" + "b" * (host_limits.MAX_KEY - 2))
    for key in [
        "",
        "a",
        "/a",
        "a/",
        "A/b",
        "a//b",
        "a/é",
        "a/\x01",
        "a/b c",
        "a/" + "b" * (host_limits.MAX_KEY - 1),
        5,
    ]:
        assert _code(host_limits.check_key, key) == "INVALID_KEY"


def test_a_contract_writes_its_own_keys_and_the_streams():
    host_limits.check_write("provenance", "provenance/x", b"1")
    host_limits.check_write("provenance", "streams/dataset:x", b"1")
    assert _code(host_limits.check_write, "provenance", "governance/x", b"1") == "FOREIGN_KEY"
    assert _code(host_limits.check_write, "provenance", "provenances/x", b"1") == "FOREIGN_KEY"


def test_values():
    host_limits.check_write("a", "a/b", b"x" * host_limits.MAX_VALUE)
    host_limits.check_write("a", "a/b", None)
    for value in (b"", b"x" * (host_limits.MAX_VALUE + 1), b"\xff", "text"):
        assert _code(host_limits.check_write, "a", "a/b", value) == "INVALID_VALUE"


def test_scans():
    host_limits.check_scan("a", "b", 1)
    host_limits.check_scan("a", "b", host_limits.MAX_SCAN)
    for scan in [("b", "a", 1), ("a", "a", 1), ("a", "b", 0), ("a", "b", host_limits.MAX_SCAN + 1)]:
        assert _code(host_limits.check_scan, *scan) == "INVALID_SCAN"


def test_records_and_events():
    host_limits.check_event(b"x" * host_limits.MAX_RECORD, host_limits.MAX_EVENT)
    assert _code(host_limits.check_event, b"x" * (host_limits.MAX_RECORD + 1), 1) == "TOO_LARGE"
    assert _code(host_limits.check_event, b"x", host_limits.MAX_EVENT + 1) == "TOO_LARGE"
