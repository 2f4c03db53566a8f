"""The strict readers of numbers, base64 and lines that every text format here shares.

One value has one spelling: what would be read twice differently, or printed back differently, is refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from tallystick.proof.errors import Malformed

MAX_SIZE: Final = 2**63 - 1
"""The largest size and index: what a signed 64-bit integer holds, as in other implementations."""

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


def parse_decimal(text: str, what: str) -> int:
    """The number that ``text`` spells in ASCII digits, no leading zeros, up to 2^63 - 1, or `Malformed`."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise Malformed(f"{what}: not a decimal number without leading zeros, up to 2^63 - 1")
    return int(text)


def parse_base64(text: str, what: str, size: int | None = None) -> bytes:
    """The bytes of padded standard base64 (RFC 4648 section 4) in its one canonical spelling, or `Malformed`.

    With ``size``, exactly so many bytes.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(f"{what}: not base64") from None
    if to_base64(data) != text:
        raise Malformed(f"{what}: base64, but not in its canonical form")
    if size is not None and len(data) != size:
        raise Malformed(f"{what}: {len(data)} bytes instead of {size}")
    return data


def to_base64(data: bytes) -> str:
    """``data`` in padded standard base64 (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def split_lines(text: str, what: str) -> list[str]:
    """The lines of ``text``, each of which must end in a newline (U+000A), or `Malformed`."""
    if not text.endswith("\n"):
        raise Malformed(f"{what}: the last line does not end in a newline (cut short?)")
    return text[:-1].split("\n")


def split_proof(text: str, magic: str, what: str) -> tuple[list[str], str]:
    """The lines of a proof file between its first, ``magic``, and the blank one; and the note below that.

    Raises `Malformed`. The frame is C2SP's (tlog-proof), which our consistency proofs have too.
    """
    head, separator, note = text.partition("\n\n")
    if not separator:
        raise Malformed(f"{what}: no blank line before the checkpoint")
    first, *lines = split_lines(head + "\n", what)
    if first != magic:
        raise Malformed(f"{what}: the first line is not '{magic}'")
    return lines, note


def parse_field(line: str, name: str, what: str) -> str:
    """What follows ``name`` and one space on ``line``, or `Malformed`."""
    head, space, value = line.partition(" ")
    if head != name or not space:
        raise Malformed(f"{what}: a line must start with '{name} '")
    return value
