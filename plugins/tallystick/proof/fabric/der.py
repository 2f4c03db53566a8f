"""DER read as Go's crypto/x509 reads it: strict about tags, lengths and numbers, careless of what follows.

A part that is too long inside is taken up to where it is needed; the rest is nobody's. Sources:
golang.org/x/crypto/cryptobyte/asn1.go and encoding/asn1 of Go 1.26, which agree on what is read here.
"""

from __future__ import annotations

import calendar
import re
from datetime import date
from typing import Final

from tallystick.proof.errors import Malformed

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID = 0x01, 0x02, 0x03, 0x04, 0x06
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31

_CLOCK: Final = rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(Z|[+-]\d{4})"
_TIMES: Final = {
    UTC_TIME: re.compile(rb"(\d\d)" + _CLOCK),
    GENERALIZED_TIME: re.compile(rb"(\d{4})" + _CLOCK),
}


class Der:
    """Elements one after the other. Every method raises `Malformed` for what is not there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def rest(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._data)

    def peek(self, tag: int) -> bool:
        """Whether the next element has this tag."""
        return self._data[self._at : self._at + 1] == bytes((tag,))

    def any(self) -> tuple[int, bytes, bytes]:
        """The next element: its tag, what it holds, and all of it."""
        data, start = self._data, self._at
        header = start + 2
        if header > len(data) or data[start] & 0x1F == 0x1F:
            raise Malformed("DER: no element")
        length = data[start + 1]
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[header : header + count])
            if not 1 <= count <= 4 or length < 0x80 or length >> 8 * (count - 1) == 0:
                raise Malformed("DER: a length that is not the shortest")
            header += count
        if header + length > len(data):
            raise Malformed("DER: an element that does not end")
        self._at = header + length
        return data[start], data[header : self._at], data[start : self._at]

    def element(self, tag: int) -> bytes:
        """All of the next element, which has this tag."""
        found, _, whole = self.any()
        if found != tag:
            raise Malformed("DER: an element of another kind")
        return whole

    def read(self, tag: int) -> bytes:
        """What the next element holds, which has this tag."""
        found, content, _ = self.any()
        if found != tag:
            raise Malformed("DER: an element of another kind")
        return content

    def inside(self, tag: int = SEQUENCE) -> Der:
        """The elements within the next one, which has this tag."""
        return Der(self.read(tag))

    def optional(self, tag: int) -> bytes | None:
        """As `read`, where the next element has this tag; else None."""
        return self.read(tag) if self.peek(tag) else None

    def integer(self, tag: int = INTEGER) -> int:
        """A whole number in its shortest form."""
        content = self.read(tag)
        number = int.from_bytes(content, signed=True)
        shorter = 0x80 << 8 * (len(content) - 2) if len(content) > 1 else 0
        if not content or -shorter <= number < shorter:
            raise Malformed("DER: a number that is not in its shortest form")
        return number

    def boolean(self) -> bool:
        """True or false, each in its one form."""
        content = self.read(BOOLEAN)
        if content not in (b"\0", b"\xff"):
            raise Malformed("DER: neither true nor false")
        return content == b"\xff"

    def bits(self) -> tuple[bytes, int]:
        """A string of bits, and how many at its end are none; these are zero."""
        content = self.read(BIT_STRING)
        if not content or content[0] > 7 or (len(content) == 1 and content[0]):
            raise Malformed("DER: no string of bits")
        if len(content) > 1 and content[-1] & ((1 << content[0]) - 1):
            raise Malformed("DER: a string of bits that goes on behind its end")
        return content[1:], content[0]

    def aligned(self) -> bytes:
        """A string of bits pushed to the right, as Go does before it takes one for bytes."""
        content, unused = self.bits()
        return (int.from_bytes(content) >> unused).to_bytes(len(content))

    def identifier(self) -> bytes:
        """The content of an object identifier, whose numbers all fit into 31 bits."""
        content = self.read(OID)
        if not content or content[-1] & 0x80:
            raise Malformed("DER: no object identifier")
        start = number = 0
        for at, byte in enumerate(content):
            if (at == start and byte == 0x80) or number >= 1 << 24:
                raise Malformed("DER: no object identifier, or one of too large numbers")
            number = number << 7 | byte & 0x7F
            if byte < 0x80:
                start, number = at + 1, 0
        return content

    def time(self) -> int:
        """A time in seconds since the epoch. An offset of zero is written Z."""
        tag, content, _ = self.any()
        found = _TIMES[tag].fullmatch(content) if tag in _TIMES else None
        if found is None or (tag == GENERALIZED_TIME and found[6] is None):
            raise Malformed("DER: no time")
        year, month, day, hour, minute = (int(found[at]) for at in range(1, 6))
        second, zone = int(found[6] or 0), found[7]
        if tag == UTC_TIME:
            year += 1900 if year >= 50 else 2000
        offset = 0 if zone == b"Z" else int(zone[1:3]) * 60 + int(zone[3:])
        if (offset == 0) != (zone == b"Z") or hour > 23 or minute > 59 or second > 59:
            raise Malformed("DER: no time of a day")
        if zone != b"Z" and (int(zone[1:3]) > 24 or int(zone[3:]) > 59):
            raise Malformed("DER: no offset of a time")
        try:
            date(year, month, day)
        except ValueError:
            raise Malformed("DER: no day") from None
        seconds = calendar.timegm((year, month, day, hour, minute, second))
        return seconds - 60 * offset * (-1 if zone[:1] == b"-" else 1)


def encode(tag: int, *contents: bytes) -> bytes:
    """An element that holds these, one after the other."""
    content = b"".join(contents)
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size) + content
