"""Checkpoints: three lines, one spelling."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.proof.checkpoint import Checkpoint, head_of, parse_checkpoint
from tallystick.proof.errors import Malformed
from tallystick.proof.merkle import EMPTY_ROOT

# The example of C2SP tlog-checkpoint.
EXAMPLE = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
EMPTY = base64.b64encode(EMPTY_ROOT).decode()


def test_the_published_example_reads_and_prints_the_same() -> None:
    checkpoint = parse_checkpoint(EXAMPLE)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.body() == EXAMPLE


@given(
    st.text(st.characters(codec="utf-8", min_codepoint=0x20), min_size=1),
    st.integers(1, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_every_checkpoint_reads_back(origin: str, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin, size, root)
    assert parse_checkpoint(checkpoint.body()) == checkpoint


def test_a_signed_note_carries_its_head_and_a_bare_text_carries_none() -> None:
    assert head_of(f"{EXAMPLE}\n— x AAAAAAAA\n") == parse_checkpoint(EXAMPLE)
    for text in (EXAMPLE, f"{EXAMPLE[:-1]}x\n\n— x AAAAAAAA\n"):
        with pytest.raises(Malformed):
            head_of(text)


def test_the_empty_tree_has_its_own_root() -> None:
    assert parse_checkpoint(f"log\n0\n{EMPTY}\n").size == 0
    with pytest.raises(Malformed, match="size 0"):
        parse_checkpoint(EXAMPLE.replace("20852163", "0"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        EXAMPLE[:-1],
        EXAMPLE + "an extension\n",
        EXAMPLE + "\n",
        EXAMPLE.replace("example.com/behind-the-sofa", ""),
        EXAMPLE.replace("20852163", "020852163"),
        EXAMPLE.replace("20852163", "+20852163"),
        EXAMPLE.replace("20852163", "-1"),
        EXAMPLE.replace("20852163", "20_852_163"),
        EXAMPLE.replace("20852163", "٢"),
        EXAMPLE.replace("20852163", " 20852163"),
        EXAMPLE.replace("20852163", ""),
        EXAMPLE.replace("20852163", str(2**63)),
        EXAMPLE.replace("20852163", "9" * 5000),
        EXAMPLE.replace("q2I=", "q2J="),  # decodes to the same bytes, but is not canonical
        EXAMPLE.replace("q2I=", "q2I"),
        EXAMPLE.replace("q2I=", "q2I= "),
        EXAMPLE.replace("CsUY", "Cs-Y"),
        EXAMPLE.replace("CsUYapGG", ""),
        EXAMPLE.replace("CsUY", "AAAACsUY"),
        EXAMPLE.replace("\n", "\r\n"),
    ],
)
def test_what_is_no_checkpoint_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("", 1, bytes(32)),
        ("a\nb", 1, bytes(32)),
        ("log", -1, bytes(32)),
        ("log", 2**63, bytes(32)),
        ("log", 1, b""),
    ],
)
def test_a_head_that_cannot_be_is_not_made(origin: str, size: int, root: bytes) -> None:
    with pytest.raises(Malformed):
        Checkpoint(origin, size, root)
