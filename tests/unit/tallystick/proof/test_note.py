"""Signed notes: the published example, what is ignored, what is refused, and that a note has one spelling."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tallystick.proof.errors import Malformed, NotProven, NotTrusted
from tallystick.proof.note import (
    COSIGNATURE_V1,
    ED25519,
    Verifier,
    cosign_note,
    parse_note,
    parse_vkey,
    sign_note,
    verify_note,
    verify_signatures,
)

# The example that the Go package golang.org/x/mod/sumdb/note documents.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
GO_NOTE = f"{GO_TEXT}\n— PeterNeumann {GO_SIGNATURE}\n"

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
TEXT = "a text\n\nwith an empty line\n"
NOTE = sign_note(TEXT, "example.com/log", KEY)


def verifier(key: Ed25519PrivateKey, name: str = "example.com/log", key_type: int = ED25519) -> Verifier:
    return Verifier(name, key_type, key.public_key().public_bytes_raw())


LOG = verifier(KEY)
WITNESS = verifier(OTHER, "witness.example", COSIGNATURE_V1)
COSIGNED = cosign_note(NOTE, "witness.example", OTHER, 1_700_000_000)


def test_the_published_example_verifies() -> None:
    key = parse_vkey(GO_VKEY)
    assert key.vkey == GO_VKEY
    assert verify_note(GO_NOTE, [key]) == (GO_TEXT, [key])


def test_signing_is_deterministic_and_reads_back() -> None:
    assert sign_note(TEXT, "example.com/log", KEY) == NOTE
    assert verify_note(NOTE, [LOG]) == (TEXT, [LOG])
    assert parse_vkey(LOG.vkey) == LOG


def test_cosignatures_carry_a_time_that_is_signed() -> None:
    text, signed = verify_signatures(COSIGNED, [LOG, WITNESS])
    assert text == TEXT
    assert [(item.verifier, item.time) for item in signed] == [(LOG, None), (WITNESS, 1_700_000_000)]
    line = COSIGNED.splitlines()[-1]
    raw = bytearray(base64.b64decode(line.split(" ")[2]))
    raw[11] ^= 1  # the last byte of the time
    moved = COSIGNED.replace(line.split(" ")[2], base64.b64encode(raw).decode())
    with pytest.raises(NotProven, match=r"witness\.example is wrong"):
        verify_signatures(moved, [LOG, WITNESS])
    assert verify_note(moved, [LOG]) == (TEXT, [LOG])


def test_a_cosignature_is_no_plain_signature_and_the_reverse() -> None:
    plain, timed = verifier(KEY), verifier(KEY, key_type=COSIGNATURE_V1)
    assert plain.key_id != timed.key_id
    with pytest.raises(NotTrusted):
        verify_note(NOTE, [timed])
    forged = parse_note(NOTE).signatures[0].value
    line = f"— example.com/log {base64.b64encode(timed.key_id + forged).decode()}\n"
    with pytest.raises(NotProven):
        verify_note(f"{TEXT}\n{line}", [timed])


def test_lines_of_unknown_keys_are_ignored() -> None:
    same_name = sign_note(TEXT, "example.com/log", OTHER).splitlines(keepends=True)[-1]
    garbage = "— example.com/unknown AAAAAAAA\n"
    assert verify_note(NOTE + same_name + garbage, [LOG]) == (TEXT, [LOG])
    with pytest.raises(NotTrusted, match="not signed by any"):
        verify_note(sign_note(TEXT, "example.com/log", OTHER), [LOG])
    with pytest.raises(NotTrusted):
        verify_note(NOTE, [])


def test_the_same_key_under_another_name_is_another_key() -> None:
    with pytest.raises(NotTrusted):
        verify_note(sign_note(TEXT, "example.com/other", KEY), [LOG])


def test_a_key_that_signed_twice_counts_once_and_must_be_right_each_time() -> None:
    line = NOTE.splitlines(keepends=True)[-1]
    assert verify_note(NOTE + line, [LOG, LOG]) == (TEXT, [LOG])
    wrong = sign_note("another text\n", "example.com/log", KEY).splitlines(keepends=True)[-1]
    for note in (NOTE + wrong, NOTE.replace(line, wrong + line)):
        with pytest.raises(NotProven, match="is wrong"):
            verify_note(note, [LOG])


def test_two_keys_with_one_name_and_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Verifier, "key_id", property(lambda self: b"same"))
    with pytest.raises(Malformed, match="share a name"):
        verify_note(NOTE, [LOG, verifier(OTHER)])


@pytest.mark.parametrize(
    "damage",
    [
        lambda note: note[:-1],
        lambda note: note + "\n",
        lambda note: note.replace("\n", "\r\n"),
        lambda note: note.replace("a text", "a\ttext"),
        lambda note: note.replace("a text", "a \ud800 text"),
        lambda note: note.replace("— ", "- "),
        lambda note: note.replace("— ", "—  "),
        lambda note: note.replace("— example.com/log ", "— "),
        lambda note: note.replace("/log ", "/log\u00a0"),
        lambda note: note.replace("example.com/log ", "example.com/l+g "),
        lambda note: note[:-1] + " \n",
        lambda note: note[:-2] + "\n",
        lambda note: note[:-1] + "=\n",
        lambda note: note + "— someone AAAA\n",
        lambda note: note + "— someone AAAAAB==\n",
        lambda note: note + "not a signature\n",
        lambda note: note + "— someone AAAAAAAA\n" * 100,
        lambda note: "x" * (1_000_001 - len(note)) + note,
        lambda note: TEXT[:-1],
        lambda note: TEXT,
        lambda note: "",
    ],
)
def test_what_is_no_note_is_malformed(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(Malformed):
        verify_note(damage(NOTE), [LOG])


def test_what_just_fits_is_accepted() -> None:
    shortest = "— someone AAAAAAA=\n"
    assert verify_note(NOTE + shortest * 99, [LOG]) == (TEXT, [LOG])
    padding = "x" * (1_000_000 - len(NOTE))
    assert parse_note(padding + NOTE).text == padding + TEXT
    for time in (0, 2**63 - 1):
        _, signed = verify_signatures(cosign_note(NOTE, "witness.example", OTHER, time), [WITNESS])
        assert signed[0].time == time


def test_a_cosigners_time_stays_below_two_to_the_63() -> None:
    time = 2**63
    value = time.to_bytes(8, "big") + OTHER.sign(f"cosignature/v1\ntime {time}\n{TEXT}".encode())
    line = f"— witness.example {base64.b64encode(WITNESS.key_id + value).decode()}\n"
    with pytest.raises(NotProven, match="is wrong"):
        verify_signatures(NOTE + line, [LOG, WITNESS])


@given(st.integers(0, len(COSIGNED) - 1), st.characters(codec="utf-8"))
def test_no_character_can_change(at: int, character: str) -> None:
    changed = COSIGNED[:at] + character + COSIGNED[at + 1 :]
    if changed == COSIGNED:
        return
    try:
        text, signed = verify_note(changed, [LOG, WITNESS])
    except (Malformed, NotProven):
        return
    # What remains acceptable: a line that now names a key nobody knows.
    assert text == TEXT
    assert len(signed) == 1


@given(st.integers(0, 2**512 - 1).map(lambda number: number.to_bytes(64, "big")))
def test_no_other_signature_passes(value: bytes) -> None:
    line = f"— example.com/log {base64.b64encode(LOG.key_id + value).decode()}\n"
    with pytest.raises(NotProven):
        verify_note(f"{TEXT}\n{line}", [LOG])


def test_the_signatures_scalar_is_not_malleable() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    value = parse_note(NOTE).signatures[0].value
    scalar = int.from_bytes(value[32:], "little") + order
    twin = value[:32] + scalar.to_bytes(32, "little")
    line = f"— example.com/log {base64.b64encode(LOG.key_id + twin).decode()}\n"
    with pytest.raises(NotProven):
        verify_note(f"{TEXT}\n{line}", [LOG])


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a3+",
        GO_VKEY.replace("c74f20a3", "c74f20a4"),
        GO_VKEY.replace("c74f20a3", "C74F20A3"),
        GO_VKEY.replace("PeterNeumann", "Peter Neumann"),
        GO_VKEY.replace("PeterNeumann", ""),
        GO_VKEY + "=",
        GO_VKEY[:-4],
        GO_VKEY + "\n",
        GO_VKEY.replace("+ARpc", "+Ampc"),
    ],
)
def test_what_is_no_vkey_is_malformed(vkey: str) -> None:
    with pytest.raises(Malformed):
        parse_vkey(vkey)


@pytest.mark.parametrize("key_type", [0, 2, 5, 6, 255])
def test_other_key_types_are_refused(key_type: int) -> None:
    with pytest.raises(Malformed, match="key type"):
        Verifier("name", key_type, bytes(32))


def test_only_a_text_that_can_be_read_back_is_signed() -> None:
    for text in ("", "no newline", "tab\t\n", "\ud800\n"):
        with pytest.raises(Malformed):
            sign_note(text, "name", KEY)
    for name in ("", "two words", "a+b", "a\nb"):
        with pytest.raises(Malformed):
            sign_note(TEXT, name, KEY)
    for time in (-1, 2**63):
        with pytest.raises(Malformed):
            cosign_note(NOTE, "name", KEY, time)
