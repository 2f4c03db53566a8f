"""The ways from a certificate to an MSP's roots, as Go's Verify finds them when Fabric calls it.

Source: verify.go in crypto/x509 of Go 1.26, with the options that msp/mspimplvalidate.go sets: the time is
the certificate's own first second, by which each authority has to be in force, and every extended key usage
must allow a server. Name constraints and the policies of intermediate authorities are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tallystick.proof.errors import NotProven
from tallystick.proof.fabric.certificates import Certificate

Chain = tuple[Certificate, ...]

#: So many candidates Go tries for one certificate, and no more.
_TRIES: Final = 100


class Authorities:
    """An MSP's root and intermediate certificates."""

    def __init__(self, roots: Iterable[Certificate], intermediates: Iterable[Certificate]) -> None:
        self.roots = {each.raw: each for each in roots}
        self.intermediates = {each.raw: each for each in intermediates}

    def all(self) -> list[Certificate]:
        """All of them, the roots first."""
        return [*self.roots.values(), *self.intermediates.values()]

    def chain(self, certificate: Certificate) -> Chain:
        """The one chain from a certificate to a root. Raises `NotProven` for none, or several."""
        now = certificate.not_before + 1
        if certificate.extensions.unknown:
            raise NotProven("certificate: has a critical extension that is not understood")
        if now > certificate.not_after:
            raise NotProven("certificate: is in force at no time")
        own: Chain = (certificate,)
        found = [own] if certificate.raw in self.roots else self._upwards(own, now, [_TRIES])
        found = [each for each in found if _may(each)]
        if not found:
            raise NotProven(
                "certificate: not issued by an authority of its organisation that may and was in force"
            )
        if len(found) > 1:
            raise NotProven("certificate: more than one chain leads to a root of its organisation")
        return found[0]

    def _upwards(self, below: Chain, now: int, tries: list[int]) -> list[Chain]:
        chains: list[Chain] = []
        for authority in self.roots.values():
            if _follows(authority, below, now, tries):
                chains.append((*below, authority))
        for authority in self.intermediates.values():
            if _follows(authority, below, now, tries) and authority.is_authority:
                chains += self._upwards((*below, authority), now, tries)
        return chains


def _follows(authority: Certificate, below: Chain, now: int, tries: list[int]) -> bool:
    if authority.subject != below[-1].issuer:
        return False
    tries[0] -= 1
    if tries[0] < 0 or _among(authority, below) or not below[-1].issued_by(authority):
        return False
    longest = authority.extensions.path_length
    return _in_force(authority, now) and not 0 <= longest < len(below) - 1


def _among(authority: Certificate, below: Sequence[Certificate]) -> bool:
    """Whether the chain has been by its name and key already (Go's alreadyInChain)."""
    names = authority.extensions.alternative_names
    for each in below:
        if (each.subject, each.public_key) != (authority.subject, authority.public_key):
            continue
        theirs = each.extensions.alternative_names
        if (names is None) != (theirs is None):
            return False
        if names == theirs:
            return True
    return False


def _in_force(certificate: Certificate, now: int) -> bool:
    return certificate.not_before <= now <= certificate.not_after and not certificate.extensions.unknown


def _may(chain: Chain) -> bool:
    """Whether everyone in the chain may serve, and who asks for a policy has one."""
    return all(each.extensions.serves for each in chain) and not (
        len(chain) > 1 and chain[0].extensions.explicit_policy
    )
