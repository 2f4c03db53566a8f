"""The objects that records speak of, found from a record alone, digested again and judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from chaincode import canonical
from tallystick import sealing
from tallystick.errors import CouldNotCheck, InvalidInput, Missing, NotAsRecorded
from tallystick.evidence.report import CHANGED, EXIT_CODES, MISSING, UNCHECKED, VERIFIED
from tallystick.fingerprint.keys import TableKey
from tallystick.store import Store

_MAX_DOCUMENT: Final = 256 << 20


@dataclass(slots=True)
class Findings:
    """What is wrong with one subject: the worst status so far, and every detail."""

    status: str = VERIFIED
    details: list[str] = field(default_factory=list)

    def add(self, status: str, detail: str) -> None:
        """Note a finding. One that is not as recorded outweighs one that could not be checked."""
        rank = {0: 0, 3: 1, 1: 2}
        if rank[EXIT_CODES[status]] > rank[EXIT_CODES[self.status]]:
            self.status = status
        self.details.append(detail)

    @contextmanager
    def judging(self, what: str) -> Iterator[None]:
        """Turn what a room raises while ``what`` is looked at into a finding."""
        try:
            yield
        except NotAsRecorded as error:
            self.add(CHANGED, f"{what}: {error.message}")
        except Missing as error:
            self.add(MISSING, f"{what}: {error.message}")
        except (CouldNotCheck, InvalidInput) as error:
            self.add(UNCHECKED, f"{what}: {error.message}")


@dataclass(frozen=True, slots=True)
class Objects:
    """The store as the records of one table see it; ``key`` is None where the table's key is gone.

    Of an ``erased`` table nothing has to be there any more: what is gone is no finding, what is still there
    is judged as ever. ``right`` are the plain SHA-256 that were digested again and found right, which all
    of one verification share: what many records name is read once.
    """

    store: Store
    key: TableKey | None
    erased: bool = False
    right: set[str] = field(default_factory=set)

    def digest(self, digests: Mapping[str, str]) -> str:
        """The plain SHA-256 behind a record's digests. Raises `CouldNotCheck` or `NotAsRecorded`."""
        if self.erased and sealing.KEYED in digests:
            raise Missing("erased with its table's key")
        return sealing.resolve(self.store, digests, self.key)

    @contextmanager
    def judging(self, findings: Findings, what: str) -> Iterator[None]:
        """As `Findings.judging`."""
        with findings.judging(what):
            try:
                yield
            except Missing:
                if not self.erased:
                    raise

    def check(self, findings: Findings, what: str, digests: Mapping[str, str]) -> str | None:
        """Digest an object again; its plain SHA-256, or None where it is not as recorded."""
        with self.judging(findings, what):
            sha256 = self.digest(digests)
            if sha256 in self.right or self.store.verify(sha256):
                self.right.add(sha256)
                return sha256
            findings.add(CHANGED, f"{what}: its bytes are not those that were recorded")
        return None

    def document(self, findings: Findings, what: str, digests: Mapping[str, str]) -> Any:
        """A canonical JSON object's value, checked; None where it is not as recorded."""
        with self.judging(findings, what):
            try:
                return canonical.decode(self.store.read(self.digest(digests), _MAX_DOCUMENT))
            except canonical.NotCanonical:
                findings.add(CHANGED, f"{what}: not canonical JSON")
        return None

    def folder(self, findings: Findings, what: str, digests: Mapping[str, str]) -> dict[str, str] | None:
        """The files (path to SHA-256) of a stored folder, each digested again; None without its manifest."""
        manifest = self.document(findings, what, digests)
        if manifest is None:
            return None
        try:
            files = {item["path"]: item["sha256"] for item in manifest["files"]}
            if any(type(text) is not str for pair in files.items() for text in pair):
                raise TypeError
        except (KeyError, TypeError):
            findings.add(CHANGED, f"{what}: not the manifest of a folder")
            return None
        for path, sha256 in files.items():
            self.check(findings, f"{what}, {path}", {"sha256": sha256})
        return files
