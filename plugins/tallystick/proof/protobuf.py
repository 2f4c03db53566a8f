"""The wire format of protocol buffers, read with Go's rules and without any schema.

A field that nobody asks for is skipped, the last of several scalars or of a oneof counts, and several
occurrences of one embedded message are one message: what a Fabric peer reads from the same bytes, and
nothing that it would not read. No bytes, however nested, make this recurse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tallystick.proof.errors import Malformed

#: As deep as Go reads groups that it skips (protowire.DefaultRecursionLimit, and the outermost one).
MAX_NESTED_GROUPS: Final = 10_001
TEXT: Final = None

#: What stands in a message: by field number `TEXT`, or the shape of an embedded message.
Shape = Mapping[int, Any]

_VARINT, _FIXED64, _BYTES, _START, _END, _FIXED32 = range(6)
_MAX_NUMBER: Final = (1 << 29) - 1
_MAX_NUMBER_IN_GROUPS: Final = (1 << 31) - 1
_MAX_VARINT_BYTES: Final = 10


class Message:
    """One message's fields by number. ``what`` names it in errors."""

    __slots__ = ("_blobs", "_numbers", "_tags", "what")

    def __init__(self, data: bytes, what: str) -> None:
        """Raises `Malformed` for bytes that are no message."""
        self.what = what
        self._numbers: dict[int, int] = {}
        self._blobs: dict[int, list[bytes]] = {}
        self._tags: list[int] = []
        position, end = 0, len(data)
        while position < end:
            tag = data[position]
            if tag < 0x80:
                position += 1
            else:
                tag, position = _varint(data, position, what)
            number, wire = tag >> 3, tag & 7
            if not 0 < number <= _MAX_NUMBER:
                raise Malformed(f"{what}: a field without a number")
            self._tags.append(tag)
            if wire == _BYTES:
                length, position = _varint(data, position, what)
                if length > end - position:
                    raise Malformed(f"{what}: cut short")
                self._blobs.setdefault(number, []).append(data[position : position + length])
                position += length
            elif wire == _VARINT:
                self._numbers[number], position = _varint(data, position, what)
            else:
                position = _skip(data, position, number, wire, what)

    def has(self, number: int) -> bool:
        """Whether an embedded message or bytes stand under this number."""
        return number in self._blobs

    def number(self, number: int) -> int:
        """The field as uint64; 0 where it is absent."""
        return self._numbers.get(number, 0)

    def int32(self, number: int) -> int:
        """The field as int32 or an enumeration; 0 where it is absent."""
        low = self._numbers.get(number, 0) & 0xFFFFFFFF
        return low - (1 << 32) if low >> 31 else low

    def blob(self, number: int) -> bytes:
        """The field as bytes; empty where it is absent."""
        found = self._blobs.get(number)
        return found[-1] if found else b""

    def blobs(self, number: int) -> list[bytes]:
        """A repeated field of bytes or of messages."""
        return self._blobs.get(number, [])

    def text(self, number: int) -> str:
        """The field as text; empty where it is absent. Raises `Malformed` for what is not UTF-8."""
        text = ""
        for each in self._blobs.get(number, ()):
            text = _text(each, self.what)
        return text

    def message(self, number: int) -> Message:
        """The embedded message; an empty one where it is absent. Raises `Malformed`."""
        parts = self._blobs.get(number, ())
        if len(parts) > 1:
            for part in parts:
                Message(part, self.what)
        return Message(b"".join(parts), self.what)

    def messages(self, number: int) -> list[Message]:
        """A repeated field of messages. Raises `Malformed`."""
        return [Message(data, self.what) for data in self._blobs.get(number, ())]

    def oneof(self, *, numbers: tuple[int, ...] = (), blobs: tuple[int, ...] = ()) -> tuple[int, list[bytes]]:
        """Which field of a oneof counts (0: none) with its occurrences: the last, begun anew after another.

        ``numbers`` are its fields that are numbers, ``blobs`` those of bytes, texts or messages.
        """
        members = {n << 3 | _VARINT for n in numbers} | {n << 3 | _BYTES for n in blobs}
        order = [tag for tag in self._tags if tag in members]
        if not order:
            return 0, []
        last, count = order[-1], 0
        while count < len(order) and order[-1 - count] == last:
            count += 1
        return last >> 3, self._blobs[last >> 3][-count:] if last & 7 == _BYTES else []

    def map(self, number: int) -> dict[str, bytes]:
        """A map from texts to bytes or messages. Raises `Malformed`."""
        entries = self.messages(number)
        return {entry.text(1): b"".join(entry.blobs(2)) for entry in entries}


def shaped(data: bytes, what: str, shape: Shape) -> Message:
    """A message in which also what nobody asks for later is as ``shape`` has it. Raises `Malformed`."""
    message = Message(data, what)
    for number, inner in shape.items():
        for part in message.blobs(number):
            if inner is TEXT:
                _text(part, what)
            else:
                shaped(part, what, inner)
    return message


def number_field(number: int, value: int) -> bytes:
    """A varint field as every canonical writer writes it: nothing for 0."""
    return encode_varint(number << 3) + encode_varint(value) if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """A field of bytes or of a message, also where it is empty."""
    return encode_varint(number << 3 | _BYTES) + encode_varint(len(value)) + value


def encode_varint(value: int) -> bytes:
    """A number in its shortest form."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _varint(data: bytes, position: int, what: str) -> tuple[int, int]:
    value = shift = 0
    for byte in data[position : position + _MAX_VARINT_BYTES]:
        value |= (byte & 0x7F) << shift
        shift += 7
        position += 1
        if byte < 0x80:
            if value >> 64:
                break
            return value, position
    raise Malformed(f"{what}: a number that is cut short or too large")


def _skip(data: bytes, position: int, number: int, wire: int, what: str) -> int:
    """The position behind a field of a kind that no message of ours has."""
    open_groups: list[int] = []
    while True:
        if wire == _START and len(open_groups) < MAX_NESTED_GROUPS:
            open_groups.append(number)
        elif wire == _END and open_groups and open_groups.pop() == number:
            pass
        elif wire == _VARINT:
            _, position = _varint(data, position, what)
        elif wire == _BYTES:
            length, position = _varint(data, position, what)
            position += length
        elif wire == _FIXED32:
            position += 4
        elif wire == _FIXED64:
            position += 8
        else:
            raise Malformed(f"{what}: a group that does not end, or a field of no known kind")
        if position > len(data):
            raise Malformed(f"{what}: cut short")
        if not open_groups:
            return position
        tag, position = _varint(data, position, what)
        number, wire = tag >> 3, tag & 7
        if not 0 < number <= _MAX_NUMBER_IN_GROUPS:
            raise Malformed(f"{what}: a field without a number")


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed(f"{what}: a text that is not UTF-8") from None
