"""Only a head kept elsewhere shows a rewritten or shortened ledger, and no verdict claims more than that."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support import forgery, ledgers
from support.cases import bad

from tallystick.errors import InvalidInput
from tallystick.ledger.port import Call
from tallystick.proof.note import COSIGNATURE_V1, Verifier, cosign_note
from tallystick.proof.trust import parse_trust


def trust(case, *lines: str, quorum: str = "none"):
    return parse_trust("\n".join([f"log {case.vkey}", *lines, f"quorum {quorum}", ""]))


def grow(case) -> None:
    pipeline = ledgers.load_user(case.directory / "msp", "OperatorMSP", "pipeline")
    with closing(case.open()) as ledger:
        ledger.submit(pipeline, Call("provenance", "register_dataset", ledgers.dataset("later")))


def rewrite(case) -> None:
    """All blocks from the second on are written anew by their own authors, and signed as ever."""
    forgery.sign_anew(case.path, case.log_key, lambda number, value: value if number < 2 else None)
    grow(case)
    pipeline = ledgers.load_user(case.directory / "msp", "OperatorMSP", "pipeline")
    with closing(case.open()) as ledger:
        for number in range(20):
            ledger.submit(pipeline, Call("provenance", "register_dataset", ledgers.dataset(f"d{number}")))


def by_kind(report, kind):
    (found,) = [subject for subject in report.subjects if subject.kind == kind]
    return found


def test_a_ledger_that_extends_the_pinned_head_is_witnessed_by_it(case):
    report = case.verify(pin=case.early, trust=trust(case))
    assert report.verified
    assert report.witnessed
    assert by_kind(report, "checkpoint").detail == "extends it: blocks 0-2 are those of that head"
    assert report.subjects[0].detail.endswith(f"witnessed up to block 2 of {case.last_block}")
    assert (report.witnessed_blocks, report.blocks) == (3, case.last_block + 1)


def test_a_pin_of_today_is_witnessed_too(case):
    assert case.verify(pin=case.head()).witnessed


def test_the_one_line_that_people_keep_pins_as_the_whole_head_does(case):
    line = " ".join(case.early.split("\n")[:3])
    assert case.verify(pin=line + "\n").witnessed
    origin, size, root = line.split()
    report = case.verify(pin=f"{origin} {int(size) - 1} {root}")
    assert (report.exit_code, report.witnessed) == (1, False)
    # Nobody signed it, so it cannot count for somebody who trusts certain keys only.
    assert not case.verify(pin=line, trust=trust(case)).witnessed


def test_a_ledger_written_anew_with_every_key_fails_a_kept_head(case):
    rewrite(case)
    without = case.verify()
    assert without.verified
    assert not without.witnessed
    assert "NOT witnessed" in without.subjects[0].detail
    report = case.verify(pin=case.early)
    assert report.exit_code == 1
    assert not report.witnessed
    (found,) = bad(report)
    assert found.kind == "checkpoint"
    assert found.detail.startswith("the ledger was rewritten")


def test_another_ledger_of_the_same_operator_fails_a_kept_head(case, tmp_path):
    other = ledgers.make_host(tmp_path / "other")
    other.ledger.close()
    shutil.copy(tmp_path / "other" / "ledger.db", case.path)
    report = case.verify(pin=case.early, trust=trust(case))
    assert report.exit_code == 1
    assert {s.kind for s in bad(report)} == {"trust", "checkpoint"}


def test_yesterdays_ledger_put_back_fails_todays_head(case, tmp_path):
    yesterday = tmp_path / "yesterday.db"
    shutil.copy(case.path, yesterday)
    grow(case)
    today = case.head()
    for leftover in case.directory.glob("ledger.db*"):
        leftover.unlink()
    shutil.copy(yesterday, case.path)
    assert case.verify().verified
    for kind, kept in (("checkpoint", {"pin": today}), ("last head seen", {"last_seen": today})):
        report = case.verify(**kept)
        assert report.exit_code == 1
        assert by_kind(report, kind).detail.startswith("the ledger was longer")


def test_what_this_machine_saw_is_no_witness(case):
    report = case.verify(last_seen=case.early)
    assert report.verified
    assert not report.witnessed
    assert by_kind(report, "last head seen").status == "verified"


def test_a_damaged_memory_of_the_last_head_cannot_be_checked(case):
    report = case.verify(last_seen="not a head")
    assert report.exit_code == 3
    assert by_kind(report, "last head seen").status == "cannot check"


def test_an_empty_head_covers_nothing_and_witnesses_nothing(case):
    empty = f"{case.origin}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— x AAAAAAAA\n"
    report = case.verify(pin=empty)
    assert by_kind(report, "checkpoint").detail == "covers no block"
    assert not report.witnessed


def test_a_head_inside_a_block_is_compared_too(case):
    """Heads stand at the ends of blocks; a pin elsewhere is judged all the same."""
    with closing(case.open()) as ledger:
        size = int(ledger.checkpoint().splitlines()[1]) - 1
    forged = f"{case.origin}\n{size}\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— x AAAAAAAA\n"
    assert by_kind(case.verify(pin=forged), "checkpoint").status == "CHANGED"


def test_a_head_signed_by_a_key_that_is_not_trusted_is_refused(case):
    stranger = Verifier(case.origin, 1, Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    policy = parse_trust(f"log {stranger.vkey}\nquorum none\n")
    report = case.verify(trust=policy)
    assert report.exit_code == 1
    assert by_kind(report, "trust").status == "CHANGED"


def test_a_pin_that_trusted_keys_did_not_sign_does_not_count(case):
    pin = case.early.replace("\n\n— ", "\n\n— other")
    report = case.verify(pin=pin, trust=trust(case))
    assert report.exit_code == 3
    assert not report.witnessed
    assert by_kind(report, "checkpoint").detail.startswith("your own checkpoint does not count")


@pytest.fixture
def witness(case):
    key = Ed25519PrivateKey.generate()
    verifier = Verifier("regulator.example", COSIGNATURE_V1, key.public_key().public_bytes_raw())
    policy = trust(case, f"witness regulator {verifier.vkey}", quorum="regulator")
    return key, policy


def test_a_quorum_is_asked_of_the_pin(case, witness):
    key, policy = witness
    assert case.verify(pin=case.early, trust=policy).exit_code == 3
    cosigned = cosign_note(case.early, "regulator.example", key, 1_700_000_000)
    report = case.verify(pin=cosigned, trust=policy)
    assert report.verified
    assert report.witnessed


def test_without_a_pin_a_quorum_is_met_by_no_ledgers_own_word(case, witness):
    _, policy = witness
    report = case.verify(trust=policy)
    assert (report.exit_code, report.witnessed) == (3, False)
    assert by_kind(report, "trust").detail.startswith("it asks for witnesses")


@pytest.mark.parametrize("line", ["cosigned", "twice", "unknown"])
def test_a_stored_head_is_the_log_keys_one_line_and_nothing_else(case, witness, line):
    """A line that no key in force made would stand there as if somebody had confirmed the head."""
    head = case.head()
    note = {
        "cosigned": cosign_note(head, "regulator.example", witness[0], 1_700_000_000),
        "twice": head + head.splitlines(keepends=True)[-1],
        "unknown": head + "— nobody.example AAAAAAAA\n",
    }[line]
    forgery.execute(case.path, "UPDATE blocks SET checkpoint = ? WHERE number = ?", note, case.last_block)
    (found,) = bad(case.verify(trust=trust(case)))
    assert found.detail == "the signed head has more lines than the log's key made"


def test_a_pin_that_is_no_checkpoint_is_the_callers_mistake(case):
    with pytest.raises(InvalidInput, match="the checkpoint to verify since cannot be read"):
        case.verify(pin="hello")
