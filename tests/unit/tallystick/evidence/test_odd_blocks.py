"""Bodies of blocks of any odd structure, signed with every key: judged, not verified, no fault of ours."""

from __future__ import annotations

import base64
import copy
import json
import shutil
import sqlite3
from contextlib import closing
from enum import Enum
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import forgery, ledgers
from support.cases import Case, bad

from tallystick.evidence.subjects import OffChain
from tallystick.execution import packages
from tallystick.fingerprint.keys import Keyring
from tallystick.proof.block import canonical
from tallystick.store import Store

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 1.5, 2**53, 10**30, "", "x", "charter/charter", "VALID", "\x00", [], {},
    [[]], [None], ["a", 99, 0], ["a", "b", 10**15, "0" * 64], {"a": 1}, {"$int": 7}, {"id": "x", "kind": []},
]  # fmt: skip


class Op(Enum):
    """What is done to a place instead of putting an odd value there."""

    DELETE, TWICE, ADD = range(3)


def body_of(case: Case, number: int) -> Any:
    with closing(sqlite3.connect(case.path)) as connection:
        (data,) = connection.execute("SELECT data FROM blocks WHERE number = ?", (number,)).fetchone()
    return json.loads(data)


def opened(body: Any) -> Any:
    """A block's body with the JSON that stands in its strings as values."""
    body = copy.deepcopy(body)
    if "config" in body:
        body["config"] = json.loads(body["config"])
    for transaction in body.get("transactions", ()):
        transaction["proposal"] = json.loads(transaction["proposal"])
        transaction["records"] = [json.loads(record) for record in transaction["records"]]
    return body


def closed(body: Any, sign: Any) -> Any:
    """The body again; ``sign`` gives the signature over what was signed and has changed."""
    if not isinstance(body, dict):
        return body
    if "config" in body:
        body["config"] = text(body["config"])
        body["signature"] = sign(body["config"], body.get("signature"), "admin")
    transactions = body.get("transactions")
    for each in transactions if isinstance(transactions, list) else ():
        if not isinstance(each, dict):
            continue
        if "proposal" in each:
            each["proposal"] = text(each["proposal"])
            each["signature"] = sign(each["proposal"], each.get("signature"), "pipeline")
        if isinstance(each.get("records"), list):
            each["records"] = [text(record) for record in each["records"]]
    return body


def text(value: Any) -> str:
    return canonical(value).decode()


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place of a structure: container and key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *places(value[key]))]


def mutate(body: Any, where: int, how: Any) -> None:
    found = places(body)
    container, key = found[where % len(found)]
    if how is Op.DELETE:
        del container[key]
    elif how is Op.TWICE and isinstance(container, list):
        container.insert(key, container[key])
    elif how is Op.ADD and isinstance(container[key], dict):
        container[key]["another"] = 1
    elif isinstance(how, Op):
        container[key] = [container[key]]
    else:
        container[key] = copy.deepcopy(how)


def signer(case: Case, known: set[str]) -> Any:
    users = {name: ledgers.load_user(case.directory / "msp", "OperatorMSP", name) for name in ledgers.USERS}
    by_digest = {sha256(user.serialised).hexdigest(): user for user in users.values()}

    def sign(signed: str, signature: Any, otherwise: str) -> Any:
        if signed in known:
            return signature
        value = json.loads(signed)
        creator = value.get("creator") if isinstance(value, dict) else None
        user = by_digest.get(creator if isinstance(creator, str) else "", users[otherwise])
        return base64.b64encode(user.sign(signed.encode())).decode()

    return sign


def signed_in(body: Any) -> set[str]:
    """What clients and administrators signed in a body of any structure."""
    transactions = body.get("transactions")
    each = [t for t in transactions if isinstance(t, dict)] if isinstance(transactions, list) else []
    texts = [*(t.get("proposal") for t in each), body.get("config")]
    return {text for text in texts if isinstance(text, str)}


def judge(case: Case, monkeypatch: pytest.MonkeyPatch, *, at_hand: bool) -> int:
    here = OffChain(Store(case.directory / "objects"), Keyring(case.directory / "keys"))
    with monkeypatch.context() as patched:
        if not at_hand:
            patched.setattr(packages, "current_digest", lambda: "f" * 64)
        return case.verify(off_chain=here).exit_code


@settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 11), st.integers(0, 10**6), st.one_of(st.sampled_from(list(Op)), st.sampled_from(ODD)))
def test_no_structure_is_a_fault_of_ours_or_passes_unseen(
    made, tmp_path_factory, monkeypatch, number, where, how
):
    directory = tmp_path_factory.mktemp("odd") / "ledger"
    shutil.copytree(made.directory, directory)
    case = Case(directory, made.origin, made.vkey, made.early, made.conflict, made.config)
    before = body_of(case, number)
    changed = opened(before)
    mutate(changed, where, how)
    after = closed(changed, signer(case, signed_in(before)))
    forgery.put_block(case.path, case.log_key, number, after)
    assert judge(case, monkeypatch, at_hand=False) in (1, 3)
    code = judge(case, monkeypatch, at_hand=True)
    if after != before and signed_in(after) <= signed_in(before):
        assert code == 1
    else:
        # Who holds the clients' keys too can have asked for something else: only a kept head shows that.
        assert code in (0, 1, 3)
    shutil.rmtree(directory)


def change(case: Case, number: int, alter: Any) -> None:
    body = body_of(case, number)
    changed = opened(body)
    alter(changed)
    forgery.put_block(case.path, case.log_key, number, closed(changed, signer(case, signed_in(body))))


def outcome(name: str, value: Any) -> Any:
    return lambda body: body["transactions"][0].update({name: value})


def record(**parts: Any) -> Any:
    return lambda body: body["transactions"][0]["records"][0].update(parts)


def without_streams(body: Any) -> None:
    del body["transactions"][0]["records"][0]["streams"]


@pytest.mark.parametrize("at_hand", [True, False])
@pytest.mark.parametrize(
    ("alter", "detail"),
    [
        (outcome("reads", [["charter/charter", 10**6, 0]]), "reads|had not been written yet"),
        (outcome("reads", [["charter/charter", 0, 0]]), "reads|MVCC_READ_CONFLICT"),
        (outcome("reads", [["charter/charter", 10**30, 0]]), "not JSON"),
        (outcome("scans", [["a", "b", 10**30, "0" * 64]]), "not JSON"),
        (outcome("scans", [["a", "b", 10**15, "0" * 64]]), "out of their form"),
        (outcome("scans", [["a", "b", 0, "0" * 64]]), "out of their form"),
        (outcome("records", [["a", "list"]]), "records|record that is none"),
        (outcome("records", ["text"]), "records|record that is none"),
        (without_streams, "records|record that is none"),
        (record(streams=[]), "records|record that is none"),
        (record(body=[]), "records|record that is none"),
        (record(id="x"), "records|not of its kind"),
        (record(kind=["dataset"]), "records|record that is none"),
    ],
)
def test_odd_outcomes_are_named(case, monkeypatch, alter, detail, at_hand):
    change(case, 2, alter)
    if not at_hand:
        monkeypatch.setattr(packages, "current_digest", lambda: "f" * 64)
    (found,) = bad(case.verify())
    assert (found.kind, found.id, found.status) == ("block", "2", "CHANGED")
    assert any(each in found.detail for each in detail.split("|"))


@pytest.mark.parametrize("version", [[10**6, 0], [8, 0], [8, 5]])
def test_what_did_not_count_read_nothing_from_later_blocks(case, version):
    """Else any transaction could be left out by giving it a version that never was."""
    change(case, case.conflict, outcome("reads", [["charter/charter", *version]]))
    (found,) = bad(case.verify())
    assert found.detail == "transaction 0 says that it read what had not been written yet"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("msps", []),
        ("msps", {"OperatorMSP": []}),
        ("msps", {"OperatorMSP": {"roots": {}, "crls": []}}),
        ("msps", {"OperatorMSP": {"roots": [1], "crls": []}}),
        ("msps", {"": {"roots": [], "crls": []}}),
        ("name", "a\nb"),
        ("time", -1),
        ("number", 10**30),
        ("package", "x"),
        ("log_key", ""),
    ],
)
@pytest.mark.parametrize("block", ["first", "later"])
def test_odd_configurations_are_named(case, name, value, block):
    number = 0 if block == "first" else case.config
    change(case, number, lambda body: body["config"].update({name: value}))
    (found,) = bad(case.verify())
    assert (found.kind, found.id, found.status) == ("block", str(number), "CHANGED")


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_deep_nesting_is_refused(case, depth):
    data = b'{"a":' * depth + b"1" + b"}" * depth
    with closing(sqlite3.connect(case.path)) as connection:
        (stored,) = connection.execute("SELECT header FROM blocks WHERE number = 2").fetchone()
    header = {**json.loads(stored), "data": sha256(data).hexdigest()}
    forgery.execute(
        case.path, "UPDATE blocks SET header = ?, data = ? WHERE number = 2", canonical(header), data
    )
    (found,) = bad(case.verify())
    assert (found.kind, found.id, found.status) == ("block", "2", "CHANGED")
