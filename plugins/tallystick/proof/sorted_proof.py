"""Proofs over sorted trees as files: an entry is, or an id is not, in the set under a recorded root.

Format and verification steps: docs/formats/sorted-tree.md. The root is never in the file: a record has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.merkle import HASH_SIZE
from tallystick.proof.sorted_tree import (
    ENTRY_SIZE,
    ID_SIZE,
    Absence,
    Place,
    verify_absence,
    verify_presence,
)
from tallystick.proof.text import parse_base64, parse_decimal, parse_field, split_lines, to_base64

_MAGIC: Final = "tallystick/sorted-tree-proof@v1"
_PRESENT: Final = "present"
_ABSENT: Final = "absent"


@dataclass(frozen=True)
class SortedProof:
    """A parsed proof: ``subject`` is the entry that is present, or the id that is absent."""

    subject: bytes
    present: bool
    size: int
    places: tuple[Place, ...]


def encode_presence(place: Place, size: int) -> str:
    """The proof file's text for `SortedTree.prove_presence`."""
    return _encode(_PRESENT, place.entry, size, [place])


def encode_absence(id: bytes, absence: Absence, size: int) -> str:
    """The proof file's text for `SortedTree.prove_absence`."""
    places = [place for place in (absence.left, absence.right) if place]
    return _encode(_ABSENT, id, size, places)


def parse_sorted_proof(text: str) -> SortedProof:
    """The parts of a proof file, nothing verified. Raises `Malformed`."""
    lines = split_lines(text, "sorted-tree proof")
    if len(lines) < 3 or lines[0] != _MAGIC:
        raise Malformed(f"sorted-tree proof: the first line is not '{_MAGIC}', or the claim is missing")
    claim, _, encoded = lines[1].partition(" ")
    if claim not in (_PRESENT, _ABSENT):
        raise Malformed(f"sorted-tree proof: the second line must start with '{_PRESENT} ' or '{_ABSENT} '")
    present = claim == _PRESENT
    subject = parse_base64(encoded, "sorted-tree proof: the subject", ENTRY_SIZE if present else ID_SIZE)
    size = parse_decimal(parse_field(lines[2], "size", "sorted-tree proof"), "sorted-tree proof: the size")
    return SortedProof(subject, present, size, _parse_places(lines[3:]))


def verify_sorted_proof(text: str, subject: bytes, size: int, root: bytes) -> bool:
    """Whether ``subject`` is in the set whose tree has ``size`` entries under ``root``, proven either way.

    True: the entry ``subject`` (64 bytes) is in it. False: no entry has the id ``subject`` (32 bytes). Raises
    `Malformed`, or `NotProven` when the proof shows neither of this subject and this tree.
    """
    proof = parse_sorted_proof(text)
    if proof.subject != subject or proof.size != size:
        raise NotProven("sorted-tree proof: it is of another subject, or of a tree of another size")
    if proof.present:
        if len(proof.places) != 1:
            raise NotProven("sorted-tree proof: presence is one entry")
        verify_presence(subject, proof.places[0], size, root)
    else:
        verify_absence(subject, _neighbours(subject, proof.places), size, root)
    return proof.present


def _neighbours(id: bytes, places: tuple[Place, ...]) -> Absence:
    if len(places) > 2:
        raise NotProven("sorted-tree proof: absence has at most two neighbours")
    if len(places) == 2:
        return Absence(*places)
    below = [place for place in places if place.entry < id]
    above = [place for place in places if place.entry >= id]
    return Absence(below[0] if below else None, above[0] if above else None)


def _encode(claim: str, subject: bytes, size: int, places: list[Place]) -> str:
    lines = [_MAGIC, f"{claim} {to_base64(subject)}", f"size {size}"]
    for place in places:
        lines.append(f"entry {place.index} {to_base64(place.entry)}")
        lines.extend(map(to_base64, place.hashes))
    return "\n".join(lines) + "\n"


def _parse_places(lines: list[str]) -> tuple[Place, ...]:
    places: list[Place] = []
    for line in lines:
        if line.startswith("entry "):
            index, _, entry = parse_field(line, "entry", "sorted-tree proof").partition(" ")
            places.append(
                Place(
                    parse_decimal(index, "sorted-tree proof: an index"),
                    parse_base64(entry, "sorted-tree proof: an entry", ENTRY_SIZE),
                    (),
                )
            )
        elif not places:
            raise Malformed("sorted-tree proof: a hash before the first entry")
        else:
            last = places[-1]
            item = parse_base64(line, "sorted-tree proof: a hash", HASH_SIZE)
            places[-1] = Place(last.index, last.entry, (*last.hashes, item))
    return tuple(places)
