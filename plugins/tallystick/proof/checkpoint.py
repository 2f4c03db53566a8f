"""C2SP tlog-checkpoints: the head of a log, as the text that gets signed.

Strict three lines, without extension lines: docs/formats/checkpoint.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallystick.proof.errors import Malformed
from tallystick.proof.merkle import EMPTY_ROOT, HASH_SIZE
from tallystick.proof.note import parse_note
from tallystick.proof.text import MAX_SIZE, parse_base64, parse_decimal, split_lines, to_base64


@dataclass(frozen=True)
class Checkpoint:
    """The log ``origin`` had ``size`` leaves under ``root`` (32 bytes), or `Malformed`."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or any(ord(character) < 0x20 for character in self.origin):
            raise Malformed("checkpoint: the origin is empty or holds a control character")
        if not 0 <= self.size <= MAX_SIZE:
            raise Malformed("checkpoint: the size is out of range")
        if len(self.root) != HASH_SIZE:
            raise Malformed("checkpoint: the root is not 32 bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise Malformed("checkpoint: size 0 with a root that is not the empty tree's")

    def body(self) -> str:
        """The note text: origin, size and base64 root, each line ending in a newline."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text spells. The text without its signatures; raises `Malformed`."""
    lines = split_lines(text, "checkpoint")
    if len(lines) != 3:
        raise Malformed("checkpoint: not three lines")
    origin, size, root = lines
    return Checkpoint(
        origin,
        parse_decimal(size, "checkpoint: the size"),
        parse_base64(root, "checkpoint: the root", HASH_SIZE),
    )


def head_of(note: str) -> Checkpoint:
    """The checkpoint that a signed note carries. Nobody's signature is judged; raises `Malformed`."""
    return parse_checkpoint(parse_note(note).text)
