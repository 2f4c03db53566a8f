"""Whom an MSP certifies and whose signatures count: as Fabric's own code says in tests/vectors/fabric."""

from __future__ import annotations

import base64
import json
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fabric_msp import integer, seq

from tallystick.proof.errors import Malformed, ProofError
from tallystick.proof.fabric import keys
from tallystick.proof.fabric.identities import Members, Organisation

VECTORS = Path(__file__).resolve().parents[4] / "vectors" / "fabric" / "msp.zip"
NOBODY = {"Setup": True, "Identity": False, "Valid": False, "Signed": False, "Roles": None, "Units": None}


@cache
def vectors() -> tuple[bytes, dict[str, Any]]:
    """What is signed, and each case with what Fabric says of it, by its name."""
    with zipfile.ZipFile(VECTORS) as archive:
        document = json.loads(archive.read("cases.json"))
    return document["data"].encode(), {each["name"]: each for each in document["cases"]}


def judged(case: list[Any]) -> dict[str, Any]:
    """The case as this verifier has it, in the words of tests/support/fabric_msp.go."""
    msp, identity, signature = (base64.b64decode(each) for each in case[:3])
    members = Members([Organisation(msp, ed25519_counts=case[3])])
    try:
        found = members.examine(identity)
    except ProofError:
        return NOBODY
    return {
        "Setup": True,
        "Identity": True,
        "Valid": not found.problem,
        "Signed": found.signed(signature, vectors()[0]),
        "Roles": [role for role in range(5) if members.has_role(found, found.msp_id, role)] or None,
        "Units": [f"{unit} {found.certifiers.hex()}" for unit in found.units if not found.problem] or None,
    }


EDITS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2**12), st.binary(min_size=1, max_size=3)), max_size=3
)
CASES = [name for name in vectors()[1] if not name.startswith("mutant")]


@pytest.mark.parametrize("name", CASES)
def test_what_fabric_says_is_found(name: str) -> None:
    each = vectors()[1][name]
    if each["fabric"]["Setup"]:
        assert judged(each["case"]) == each["fabric"]


def test_so_it_is_of_certificates_that_are_odd_in_a_byte() -> None:
    mutants = [each for name, each in vectors()[1].items() if name.startswith("mutant")]
    differing = [each["name"] for each in mutants if judged(each["case"]) != each["fabric"]]
    assert len(mutants) > 1000
    assert differing == []


def test_the_cases_are_of_both_kinds() -> None:
    said = [each["fabric"] for each in vectors()[1].values()]
    assert sum(each["Signed"] and each["Valid"] for each in said) > 200
    assert sum(not each["Valid"] for each in said) > 200


@pytest.mark.parametrize(("modulus", "exponent"), [(-5, 3), (0, 3), (15, -3), (15, 0), (15, 2), (1, 1)])
def test_a_key_of_rsa_that_is_none_is_refused(modulus: int, exponent: int) -> None:
    algorithm = keys.Algorithm(bytes.fromhex("2a864886f70d010101"), b"\x05\x00")
    with pytest.raises(Malformed):
        keys.read_key(algorithm, seq(integer(modulus), integer(exponent)))


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(CASES), edits=EDITS)
def test_whatever_the_bytes_somebody_or_nobody_is_found(name: str, edits: Any) -> None:
    parts = [base64.b64decode(each) for each in vectors()[1][name]["case"][:3]]
    for part, where, put in edits:
        at = where % (len(parts[part]) + 1)
        parts[part] = parts[part][:at] + put + parts[part][at + len(put) :]
    try:
        found = judged([*(base64.b64encode(each) for each in parts), False])
    except ProofError:
        return
    assert found["Setup"]
