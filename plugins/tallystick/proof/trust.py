"""Whose signatures count: C2SP tlog-policy files, and the judgement of a signed head by one.

Format and verification steps: docs/formats/trust-policy.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tallystick.proof.checkpoint import Checkpoint, parse_checkpoint
from tallystick.proof.errors import Malformed, NotTrusted
from tallystick.proof.note import COSIGNATURE_V1, ED25519, Signed, Verifier, parse_vkey, verify_signatures
from tallystick.proof.text import parse_decimal

NO_QUORUM: Final = "none"

_FORBIDDEN: Final = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_BLANKS: Final = re.compile(r"[ \t]+")


@dataclass(frozen=True)
class Group:
    """Witnessed when at least ``threshold`` of ``members`` (names of witnesses or groups) are."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    """What a policy says of a signed head that at least one of its logs signed.

    ``logs`` and ``witnesses`` are those that signed, witnesses with the times they claim. ``quorum_met`` is
    true for a policy that asks for no quorum; ``witnessed`` only where one was asked for and met.
    """

    checkpoint: Checkpoint
    logs: tuple[Verifier, ...]
    witnesses: tuple[Signed, ...]
    quorum_met: bool
    witnessed: bool


@dataclass(frozen=True)
class TrustPolicy:
    """Logs and named witnesses, groups of them, and the name of the witness or group that is the quorum."""

    logs: tuple[Verifier, ...]
    witnesses: Mapping[str, Verifier]
    groups: Mapping[str, Group]
    quorum: str

    def judge(self, note: str) -> Judgement:
        """Verify a signed checkpoint.

        Raises `Malformed`; `NotProven` when a line by a known key is wrong; `NotTrusted` when no log of the
        policy signed under the checkpoint's own origin. A missed quorum is in the judgement.
        """
        text, signed = verify_signatures(note, (*self.logs, *self.witnesses.values()))
        checkpoint = parse_checkpoint(text)
        witnesses = [item for item in signed if item.verifier.key_type == COSIGNATURE_V1]
        signers = [item.verifier for item in signed if item.verifier.key_type == ED25519]
        logs = [verifier for verifier in signers if verifier.name == checkpoint.origin]
        if not logs:
            raise NotTrusted("checkpoint: not signed by a trusted log of its origin")
        present = {item.verifier for item in witnesses}
        met = self._witnessed(self.quorum, present)
        return Judgement(checkpoint, tuple(logs), tuple(witnesses), met, met and self.quorum != NO_QUORUM)

    def require_quorum(self, note: str) -> Judgement:
        """As `judge`, and raises `NotTrusted` when the quorum is missed."""
        judgement = self.judge(note)
        if not judgement.quorum_met:
            raise NotTrusted("checkpoint: too few of the trusted witnesses cosigned it")
        return judgement

    def _witnessed(self, name: str, present: set[Verifier]) -> bool:
        if name == NO_QUORUM:
            return True
        if name in self.witnesses:
            return self.witnesses[name] in present
        group = self.groups[name]
        return sum(self._witnessed(member, present) for member in group.members) >= group.threshold


def parse_trust(policy: bytes | str) -> TrustPolicy:
    """The policy that a tlog-policy file spells. Raises `Malformed`, naming the line."""
    data = policy if isinstance(policy, bytes) else policy.encode("utf-8", "surrogateescape")
    reader = _Reader()
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            if _FORBIDDEN.search(line):
                raise Malformed("a control character")
            # Octets above 0x7F are opaque: surrogateescape keeps each distinct.
            reader.read(line.decode("utf-8", "surrogateescape").strip(" \t"))
        except Malformed as error:
            raise Malformed(f"trust policy, line {number}: {error}") from None
    if data and not data.endswith(b"\n"):
        raise Malformed(f"trust policy, line {number}: does not end in a newline (cut short?)")
    return reader.policy()


class _Reader:
    """Takes a policy's lines in order; names must be defined before they are used."""

    def __init__(self) -> None:
        self.logs: list[Verifier] = []
        self.witnesses: dict[str, Verifier] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self.grouped: set[str] = set()

    def read(self, line: str) -> None:
        if not line or line.startswith("#"):
            return
        match _BLANKS.split(line):
            case ["log", vkey] | ["log", vkey, _]:
                self.logs.append(self._new_key(vkey, ED25519))
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                self._check_free(name)
                self.witnesses[name] = self._new_key(vkey, COSIGNATURE_V1)
            case ["group", name, threshold, *members] if members:
                self._check_free(name)
                self.groups[name] = self._group(threshold, members)
            case ["quorum", name]:
                if self.quorum is not None:
                    raise Malformed("a second quorum")
                if name != NO_QUORUM:
                    self._check_defined(name)
                self.quorum = name
            case ["log" | "witness" | "group" | "quorum" as keyword, *_]:
                raise Malformed(f"too few or too many items after '{keyword}'")
            case _:
                raise Malformed("starts with none of log, witness, group, quorum, #")

    def policy(self) -> TrustPolicy:
        if self.quorum is None:
            raise Malformed("trust policy: no quorum line ('quorum none' asks for no witnesses)")
        return TrustPolicy(tuple(self.logs), self.witnesses, self.groups, self.quorum)

    def _new_key(self, vkey: str, key_type: int) -> Verifier:
        verifier = parse_vkey(vkey)
        if verifier.key_type != key_type:
            raise Malformed(f"the key's type must be {key_type} here, not {verifier.key_type}")
        known = (*self.logs, *self.witnesses.values())
        if any(verifier.public_key == other.public_key for other in known):
            raise Malformed("the same public key a second time")
        return verifier

    def _group(self, threshold: str, members: list[str]) -> Group:
        for name in members:
            self._check_defined(name)
            if name in self.grouped:
                raise Malformed("a name that is a group's member already")
            self.grouped.add(name)
        words = {"any": 1, "all": len(members)}
        needed = words[threshold] if threshold in words else parse_decimal(threshold, "the threshold")
        if not 1 <= needed <= len(members):
            raise Malformed("the threshold is not between 1 and the number of members")
        return Group(needed, tuple(members))

    def _check_free(self, name: str) -> None:
        if name == NO_QUORUM or name in self.witnesses or name in self.groups:
            raise Malformed("a name that is taken already")

    def _check_defined(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise Malformed("a name that no earlier line defines")
