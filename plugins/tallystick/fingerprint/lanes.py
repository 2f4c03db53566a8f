"""The fast path: sixteen SHA-256 messages at a time, one in each lane of a vector register.

Written for numba, whose compiler turns each loop over the lanes into vector instructions. It pays from some
hundred thousand rows on, as compiling takes seconds, once a machine; rows.py and proof.merkle do the same,
slower. FIPS 180-4 names the functions and variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit, uint8, uint32

from tallystick.fingerprint.rows import Cells, FixedCells

Words = npt.NDArray[np.uint32]
"""Digests, n x 8 words."""

_LANES: Final = 16
_STEP: Final = 8192  # rows whose messages fit a core's second-level cache
_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "cache": True}
_PRIMES: Final = [n for n in range(2, 312) if all(n % d for d in range(2, int(n**0.5) + 1))]


def _root_fraction(prime: int, degree: int) -> int:
    """The first 32 bits of the fraction of a prime's square or cube root: what SHA-256's constants are."""
    low, high, wanted = 0, prime << 32, prime << (32 * degree)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= wanted else (low, middle)
    return low & 0xFFFFFFFF


_K: Final = np.array([_root_fraction(prime, 3) for prime in _PRIMES], np.uint32)
_H: Final = np.array([_root_fraction(prime, 2) for prime in _PRIMES[:8]], np.uint32)


def row_leaves(columns: Sequence[Cells], salts: bytes, subjects: bytes | None) -> Words:
    """The leaves of a chunk of rows: `rows.row_leaf` of each. ``subjects`` are 32 bytes a row."""
    count = len(columns[0].tags)
    salt_rows = np.frombuffer(salts, np.uint8).reshape(count, 16)
    leaves = np.empty((count, 8), np.uint32)
    for first in range(0, count, _STEP):
        part = slice(first, min(first + _STEP, count))
        leaves[part] = _hash_rows(columns, salt_rows[part], part, 0 if subjects is None else -1)
    if subjects is None:
        return leaves
    _hash_pairs(0, from_bytes(subjects), leaves, leaves)
    return leaves


def hash_pairs(prefix: int, left: Words, right: Words) -> Words:
    """SHA-256(prefix || left || right) of each pair."""
    result = np.empty_like(left)
    _hash_pairs(prefix, left, right, result)
    return result


def root(nodes: Words) -> bytes:
    """The head of an RFC 6962 tree over at least one leaf hash."""
    while len(nodes) > 1:
        pairs = len(nodes) // 2
        level = np.empty((len(nodes) - pairs, 8), np.uint32)
        _hash_pairs(1, nodes[0 : 2 * pairs : 2], nodes[1 : 2 * pairs : 2], level[:pairs])
        if len(nodes) % 2:
            level[-1] = nodes[-1]
        nodes = level
    return to_bytes(nodes)


def from_bytes(digests: bytes) -> Words:
    """Digests of 32 bytes, one after another, as words."""
    return np.frombuffer(digests, ">u4").astype(np.uint32).reshape(-1, 8)


def to_bytes(words: Words) -> bytes:
    """The digests, one after another."""
    return words.astype(">u4").tobytes()


def _hash_rows(columns: Sequence[Cells], salts: npt.NDArray[np.uint8], part: slice, prefix: int) -> Words:
    """SHA-256(prefix || salt || row) of the rows in ``part``; without the prefix where it is negative."""
    count = len(salts)
    head = 16 + (prefix >= 0)
    lengths = np.full(count, head, np.int64)
    for cells in columns:
        tags = cells.tags[part]
        if isinstance(cells, FixedCells):
            lengths += np.where(tags, 9, 1)
        else:
            lengths += np.where(tags, 5 + np.diff(cells.offsets[part.start : part.stop + 1]), 1)
    blocks = (lengths + 72) // 64  # a byte 0x80 and the length's eight bytes follow the message
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(blocks * 64, out=starts[1:])
    messages = np.empty(starts[-1], np.uint8)
    cursor = starts[:-1].copy()
    _put_head(messages, cursor, prefix, salts)
    for cells in columns:
        if isinstance(cells, FixedCells):
            _put_fixed(messages, cursor, cells.tags[part], cells.values[part])
        else:
            _put_variable(
                messages, cursor, cells.tags[part], cells.offsets[part.start : part.stop + 1], cells.data
            )
    _put_padding(messages, cursor, starts)
    order = np.argsort(blocks, kind="stable")  # neighbours of one length keep all lanes busy
    digests = np.empty((count, 8), np.uint32)
    _hash_messages(messages, starts, order, digests)
    return digests


@njit(**_OPTIONS)
def _put_head(messages: Any, cursor: Any, prefix: int, salts: Any) -> None:
    for row in range(len(cursor)):
        at = cursor[row]
        if prefix >= 0:
            messages[at] = prefix
            at += 1
        for i in range(16):
            messages[at + i] = salts[row, i]
        cursor[row] = at + 16


@njit(**_OPTIONS)
def _put_fixed(messages: Any, cursor: Any, tags: Any, values: Any) -> None:
    for row in range(len(tags)):
        at, value = cursor[row], values[row]
        messages[at] = tags[row]
        cursor[row] = at + 1
        if tags[row]:
            for i in range(8):
                messages[at + 1 + i] = uint8(value >> (56 - 8 * i))
            cursor[row] = at + 9


@njit(**_OPTIONS)
def _put_variable(messages: Any, cursor: Any, tags: Any, offsets: Any, data: Any) -> None:
    for row in range(len(tags)):
        at, start, length = cursor[row], offsets[row], offsets[row + 1] - offsets[row]
        messages[at] = tags[row]
        cursor[row] = at + 1
        if tags[row]:
            for i in range(4):
                messages[at + 1 + i] = uint8(length >> (24 - 8 * i))
            for i in range(length):
                messages[at + 5 + i] = data[start + i]
            cursor[row] = at + 5 + length


@njit(**_OPTIONS)
def _put_padding(messages: Any, cursor: Any, starts: Any) -> None:
    for row in range(len(cursor)):
        end = starts[row + 1]
        bits = (cursor[row] - starts[row]) * 8
        messages[cursor[row]] = 0x80
        for at in range(cursor[row] + 1, end - 8):
            messages[at] = 0
        for i in range(8):
            messages[end - 8 + i] = uint8(bits >> (56 - 8 * i))


@njit(**_OPTIONS)
def _hash_messages(messages: Any, starts: Any, order: Any, digests: Any) -> None:
    state, words = np.empty(8 * _LANES, np.uint32), np.zeros(16 * _LANES, np.uint32)
    for first in range(0, len(order), _LANES):
        lanes = min(_LANES, len(order) - first)
        _start(state)
        last = order[first + lanes - 1]
        for block in range((starts[last + 1] - starts[last]) // 64):
            for lane in range(lanes):
                row = order[first + lane]
                at = starts[row] + block * 64
                if at < starts[row + 1]:
                    for i in range(16):
                        b = messages[at + 4 * i : at + 4 * i + 4]
                        words[i * _LANES + lane] = (
                            (uint32(b[0]) << 24) | (uint32(b[1]) << 16) | (uint32(b[2]) << 8) | uint32(b[3])
                        )
            _compress(state, words)
            for lane in range(lanes):
                row = order[first + lane]
                if starts[row] + block * 64 + 64 == starts[row + 1]:
                    for i in range(8):
                        digests[row, i] = state[i * _LANES + lane]


@njit(**_OPTIONS)
def _hash_pairs(prefix: int, left: Any, right: Any, digests: Any) -> None:
    state, words = np.empty(8 * _LANES, np.uint32), np.zeros(16 * _LANES, np.uint32)
    for first in range(0, len(left), _LANES):
        lanes = min(_LANES, len(left) - first)
        _start(state)
        for lane in range(lanes):
            carry = uint32(prefix)  # the message is one byte out of step with its words
            for i in range(8):
                word = left[first + lane, i]
                words[i * _LANES + lane] = (carry << 24) | (word >> 8)
                carry = word
            for i in range(8):
                word = right[first + lane, i]
                words[(8 + i) * _LANES + lane] = (carry << 24) | (word >> 8)
                carry = word
        _compress(state, words)
        words[:] = 0
        for lane in range(lanes):
            words[lane] = (right[first + lane, 7] << 24) | 0x800000
            words[15 * _LANES + lane] = 65 * 8
        _compress(state, words)
        for lane in range(lanes):
            for i in range(8):
                digests[first + lane, i] = state[i * _LANES + lane]


@njit(**_OPTIONS)
def _start(state: Any) -> None:
    for i in range(8):
        for lane in range(_LANES):
            state[i * _LANES + lane] = _H[i]


@njit(inline="always")
def _rotr(x: Any, n: int) -> Any:
    return uint32(uint32(x >> uint32(n)) | uint32(x << uint32(32 - n)))


@njit(inline="always")
def _t1(e: Any, f: Any, g: Any, h: Any, k: Any, w: Any) -> Any:
    return uint32(h + (_rotr(e, 6) ^ _rotr(e, 11) ^ _rotr(e, 25)) + (g ^ (e & (f ^ g))) + k + w)


@njit(inline="always")
def _t2(a: Any, b: Any, c: Any) -> Any:
    return uint32((_rotr(a, 2) ^ _rotr(a, 13) ^ _rotr(a, 22)) + ((a & b) | (c & (a | b))))


@njit(inline="always")
def _schedule(w16: Any, w15: Any, w7: Any, w2: Any) -> Any:
    sigma0 = _rotr(w15, 7) ^ _rotr(w15, 18) ^ uint32(w15 >> uint32(3))
    sigma1 = _rotr(w2, 17) ^ _rotr(w2, 19) ^ uint32(w2 >> uint32(10))
    return uint32(w16 + sigma0 + w7 + sigma1)


@njit(**_OPTIONS)
def _compress(state: Any, words: Any) -> None:
    """One block: ``state`` (8 words a lane) takes in ``words`` (16 a lane, used up)."""
    before = state.copy()
    for group in range(4):
        k = group * 16
        for i in range(_LANES):  # written out, because only a loop without another inside is vectorised
            a, b = state[0 * _LANES + i], state[1 * _LANES + i]
            c, d = state[2 * _LANES + i], state[3 * _LANES + i]
            e, f = state[4 * _LANES + i], state[5 * _LANES + i]
            g, h = state[6 * _LANES + i], state[7 * _LANES + i]
            w0, w1 = words[0 * _LANES + i], words[1 * _LANES + i]
            w2, w3 = words[2 * _LANES + i], words[3 * _LANES + i]
            w4, w5 = words[4 * _LANES + i], words[5 * _LANES + i]
            w6, w7 = words[6 * _LANES + i], words[7 * _LANES + i]
            w8, w9 = words[8 * _LANES + i], words[9 * _LANES + i]
            w10, w11 = words[10 * _LANES + i], words[11 * _LANES + i]
            w12, w13 = words[12 * _LANES + i], words[13 * _LANES + i]
            w14, w15 = words[14 * _LANES + i], words[15 * _LANES + i]
            h = _t1(e, f, g, h, _K[k + 0], w0)
            d, h = uint32(d + h), uint32(h + _t2(a, b, c))
            g = _t1(d, e, f, g, _K[k + 1], w1)
            c, g = uint32(c + g), uint32(g + _t2(h, a, b))
            f = _t1(c, d, e, f, _K[k + 2], w2)
            b, f = uint32(b + f), uint32(f + _t2(g, h, a))
            e = _t1(b, c, d, e, _K[k + 3], w3)
            a, e = uint32(a + e), uint32(e + _t2(f, g, h))
            d = _t1(a, b, c, d, _K[k + 4], w4)
            h, d = uint32(h + d), uint32(d + _t2(e, f, g))
            c = _t1(h, a, b, c, _K[k + 5], w5)
            g, c = uint32(g + c), uint32(c + _t2(d, e, f))
            b = _t1(g, h, a, b, _K[k + 6], w6)
            f, b = uint32(f + b), uint32(b + _t2(c, d, e))
            a = _t1(f, g, h, a, _K[k + 7], w7)
            e, a = uint32(e + a), uint32(a + _t2(b, c, d))
            h = _t1(e, f, g, h, _K[k + 8], w8)
            d, h = uint32(d + h), uint32(h + _t2(a, b, c))
            g = _t1(d, e, f, g, _K[k + 9], w9)
            c, g = uint32(c + g), uint32(g + _t2(h, a, b))
            f = _t1(c, d, e, f, _K[k + 10], w10)
            b, f = uint32(b + f), uint32(f + _t2(g, h, a))
            e = _t1(b, c, d, e, _K[k + 11], w11)
            a, e = uint32(a + e), uint32(e + _t2(f, g, h))
            d = _t1(a, b, c, d, _K[k + 12], w12)
            h, d = uint32(h + d), uint32(d + _t2(e, f, g))
            c = _t1(h, a, b, c, _K[k + 13], w13)
            g, c = uint32(g + c), uint32(c + _t2(d, e, f))
            b = _t1(g, h, a, b, _K[k + 14], w14)
            f, b = uint32(f + b), uint32(b + _t2(c, d, e))
            a = _t1(f, g, h, a, _K[k + 15], w15)
            e, a = uint32(e + a), uint32(a + _t2(b, c, d))
            w0 = _schedule(w0, w1, w9, w14)
            w1 = _schedule(w1, w2, w10, w15)
            w2 = _schedule(w2, w3, w11, w0)
            w3 = _schedule(w3, w4, w12, w1)
            w4 = _schedule(w4, w5, w13, w2)
            w5 = _schedule(w5, w6, w14, w3)
            w6 = _schedule(w6, w7, w15, w4)
            w7 = _schedule(w7, w8, w0, w5)
            w8 = _schedule(w8, w9, w1, w6)
            w9 = _schedule(w9, w10, w2, w7)
            w10 = _schedule(w10, w11, w3, w8)
            w11 = _schedule(w11, w12, w4, w9)
            w12 = _schedule(w12, w13, w5, w10)
            w13 = _schedule(w13, w14, w6, w11)
            w14 = _schedule(w14, w15, w7, w12)
            w15 = _schedule(w15, w0, w8, w13)
            state[i], state[1 * _LANES + i] = a, b
            state[2 * _LANES + i], state[3 * _LANES + i] = c, d
            state[4 * _LANES + i], state[5 * _LANES + i] = e, f
            state[6 * _LANES + i], state[7 * _LANES + i] = g, h
            words[i], words[1 * _LANES + i] = w0, w1
            words[2 * _LANES + i], words[3 * _LANES + i] = w2, w3
            words[4 * _LANES + i], words[5 * _LANES + i] = w4, w5
            words[6 * _LANES + i], words[7 * _LANES + i] = w6, w7
            words[8 * _LANES + i], words[9 * _LANES + i] = w8, w9
            words[10 * _LANES + i], words[11 * _LANES + i] = w10, w11
            words[12 * _LANES + i], words[13 * _LANES + i] = w12, w13
            words[14 * _LANES + i], words[15 * _LANES + i] = w14, w15
    for i in range(8 * _LANES):
        state[i] += before[i]
