"""The first PEM block of some bytes, found as a Fabric peer finds it.

A peer takes the first block whatever it is called and whatever stands around it (msp/mspimpl.go,
getCertFromPem). Source of the rules: Decode in encoding/pem of Go 1.26.
"""

from __future__ import annotations

import base64
import re
from typing import Final

from tallystick.proof.errors import Malformed

_BEGIN: Final = b"-----BEGIN "
_END: Final = b"\n-----END "
_DASHES: Final = b"-----"
_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def first_block(data: bytes) -> bytes:
    """What the first block holds. Raises `Malformed` where there is none."""
    position = 0
    while (end := data.find(_END, position)) >= 0:
        after = end + len(_END)
        begin = data.rfind(_BEGIN, position, end)
        if begin >= 0 and (begin == position or data[begin - 1 : begin] == b"\n"):
            content = _content(data, begin + len(_BEGIN), end, after)
            if content is not None:
                return content
        position = after
    raise Malformed("PEM: holds no block")


def _content(data: bytes, begin: int, end: int, after: int) -> bytes | None:
    """What stands between a block's name, at ``begin``, and its ``end``; None where that is no block."""
    name, first = _line(data, begin)
    if not name.endswith(_DASHES):
        return None
    position = first
    while b":" in (line := _line(data, position))[0]:
        position = line[1]
    if position > after or position == len(data):
        raise Malformed("PEM: a block that does not end")
    if (position > first and position > end) or _line(data, after)[0] != name:
        return None
    text = data[position:end].translate(None, b" \t\r\n")
    return base64.b64decode(text) if _BASE64.fullmatch(text) else None


def _line(data: bytes, start: int) -> tuple[bytes, int]:
    """The line that begins at ``start``, and where the next one does."""
    end = data.find(b"\n", start)
    if end < 0:
        return data[start:].rstrip(b" \t"), len(data)
    return data[start:end].removesuffix(b"\r").rstrip(b" \t"), end + 1
