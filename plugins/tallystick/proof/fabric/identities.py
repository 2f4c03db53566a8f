"""An organisation's members as a Fabric MSP knows them: chain, revocation, node types, signatures.

Whether a certificate is in force when it is used a peer does not ask. Sources: msp/mspimpl.go,
msp/mspimplsetup.go and msp/mspimplvalidate.go of Fabric 3.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from tallystick.proof.errors import Malformed, NotProven, ProofError
from tallystick.proof.fabric import keys
from tallystick.proof.fabric.certificates import ATTRIBUTES, COMMON_NAME, Certificate, read_certificate
from tallystick.proof.fabric.chains import Authorities, Chain
from tallystick.proof.fabric.pem import first_block
from tallystick.proof.fabric.revocation import read_list
from tallystick.proof.membership import Member, read_attributes
from tallystick.proof.protobuf import Message

MEMBER, ADMIN, CLIENT, PEER, ORDERER = range(5)

_X509: Final = 0
_NODES: Final = {CLIENT: 2, PEER: 3, ADMIN: 4, ORDERER: 5}
_DIGESTS: Final[dict[str, hashes.HashAlgorithm]] = {"SHA2": hashes.SHA256(), "SHA3": hashes.SHA3_256()}
_CHAIN_DIGESTS: Final = {
    "SHA256": "sha256",
    "SHA384": "sha384",
    "SHA3_256": "sha3_256",
    "SHA3_384": "sha3_384",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate of an MSP. ``problem`` says why it is not one of its members; empty where it is.

    ``name`` tells this identity from others: one certificate has many spellings. ``certifiers`` is what
    a policy calls the authorities above it by; empty where there are none. ``digest`` is that of its
    signatures; without one it has none that count, but with Ed25519.
    """

    msp_id: str
    name: tuple[str, bytes]
    certificate: Certificate
    digest: hashes.HashAlgorithm | None
    certifiers: bytes
    named_admin: bool
    problem: str

    @property
    def units(self) -> tuple[str, ...]:
        """The organisational units that it names, in their order, as often as it does."""
        return self.certificate.units

    def signed(self, signature: bytes, data: bytes) -> bool:
        """Whether this is its signature over ``data``, for Fabric: with a low S, where it is ECDSA."""
        return keys.signed(self.certificate.key, self.digest, signature, data)

    def member(self) -> Member:
        """Whom contracts take this for. Raises `Malformed` for attributes that they cannot read."""
        names = [value for name, value in self.certificate.names if name == COMMON_NAME]
        enrolment_id, roles = read_attributes(self.certificate.extensions.contents.get(ATTRIBUTES), names)
        return Member(self.msp_id, enrolment_id, roles)


@dataclass(frozen=True, slots=True)
class _Unit:
    name: str
    certifiers: bytes


class Organisation:
    """One MSP as the channel's configuration has it.

    ``unfollowed`` says why this verifier cannot tell its members; empty where it can. They are nobody
    then, so that what concerns one organisation does not stop the others.
    """

    def __init__(self, data: bytes, *, ed25519_counts: bool = False) -> None:
        """Of an MSPConfig; ``ed25519_counts`` since V3_0. Raises `Malformed` for one that is no message."""
        outer = Message(data, "MSP")
        config = Message(outer.blob(2), "MSP")
        self.msp_id = config.text(1)
        #: What two groups of the configuration have to agree on that name one organisation.
        self.settings = outer.int32(1), outer.blob(2)
        #: SHA-256 of the root certificates, in hex.
        self.roots: tuple[str, ...] = ()
        self.unfollowed = ""
        self._ed25519_counts = ed25519_counts
        self._revoked: set[tuple[bytes, int]] = set()
        try:
            self._set_up(outer.int32(1), config)
        except ProofError as error:
            self.unfollowed = str(error)

    def _set_up(self, kind: int, config: Message) -> None:
        if kind != _X509:
            raise Malformed("MSP: not of X.509 certificates")
        crypto = config.message(8)
        self._digest = _DIGESTS.get(crypto.text(1) or "SHA2")
        self._chain_digest = _CHAIN_DIGESTS.get(crypto.text(2) or "SHA256", "")
        if not self._chain_digest:
            raise Malformed(f"{self.msp_id}: of an unknown hash")
        roots, intermediates = ([_read(pem) for pem in config.blobs(at)] for at in (2, 3))
        self.roots = tuple(sorted(hashlib.sha256(root.raw).hexdigest() for root in roots))
        self._authorities = Authorities(roots, intermediates)
        self._authorities = Authorities(map(self._sanitised, roots), map(self._sanitised, intermediates))
        if not roots or not all(each.is_authority for each in self._authorities.all()):
            raise Malformed(f"{self.msp_id}: an authority that is none, or no root")
        chains = [self._authorities.chain(each) for each in self._authorities.intermediates.values()]
        self._inner = {above.raw for chain in chains for above in chain[1:]}
        lists = [read_list(each) for each in config.blobs(5)]
        self._anonymous_list = any(each.authority is None for each in lists)
        for authority in self._authorities.all():
            for each in lists:
                if each.is_of(authority):
                    self._revoked |= {(authority.raw, serial) for serial in each.serials}
        self._units = {self._unit(unit) for unit in config.messages(7)}
        nodes = config.message(11)
        self._nodes = {role: self._unit(nodes.message(at)) for role, at in _NODES.items() if nodes.has(at)}
        self._enforced = bool(nodes.number(1)) and bool(self._nodes)
        self._admins = {self._sanitised(_read(pem)).raw for pem in config.blobs(4)}

    @property
    def revoked(self) -> tuple[str, ...]:
        """The serial numbers of what its authorities have revoked, in hex."""
        return tuple(sorted({f"{serial:x}" for _, serial in self._revoked}))

    def examine(self, pem: bytes) -> Identity:
        """The identity of a certificate that claims to be of this MSP.

        Raises `Malformed` or `NotProven` for what is no identity of anybody.
        """
        if self.unfollowed:
            raise NotProven(f"identity: of {self.msp_id}, which is not followed here: {self.unfollowed}")
        given = _read(pem)
        certificate = self._sanitised(given)
        try:
            chain = self._members_chain(certificate)
            certifiers = self._digest_of(chain[1:])
            problem = self._problem(certificate, chain, certifiers)
        except NotProven as error:
            certifiers, problem = b"", str(error)
        return Identity(
            self.msp_id,
            (self.msp_id, certificate.raw),
            given,
            self._digest,
            certifiers,
            certificate.raw in self._admins,
            problem,
        )

    def has_role(self, identity: Identity, role: int) -> bool:
        """Whether an identity of this MSP has a role (msp/mspimpl.go, satisfiesPrincipalInternalV142)."""
        if role == ADMIN and identity.named_admin:
            return True
        if identity.problem or role == MEMBER:
            return not identity.problem
        return self._enforced and role in self._nodes and self._nodes[role].name in identity.units

    def has_unit(self, identity: Identity, name: str, certifiers: bytes) -> bool:
        """Whether an identity of this MSP is in a unit, under the authorities that ``certifiers`` names."""
        return not identity.problem and name in identity.units and identity.certifiers == certifiers

    def _sanitised(self, certificate: Certificate) -> Certificate:
        """The one form that Fabric makes of a certificate. Raises `NotProven` where nobody issued it."""
        if not certificate.algorithm.is_ecdsa:
            return certificate
        if certificate.is_authority and certificate.issued_by(certificate):
            own = certificate.with_low_s(certificate)
            Authorities([own], self._authorities.intermediates.values()).chain(own)
            return own
        chain = self._authorities.chain(certificate)
        if len(chain) == 1:
            raise NotProven("certificate: of a root that did not sign itself")
        return certificate.with_low_s(chain[1])

    def _members_chain(self, certificate: Certificate) -> Chain:
        key = certificate.key
        if isinstance(key, rsa.RSAPublicKey):
            raise NotProven("a key with which nobody signs")
        if isinstance(key, ed25519.Ed25519PublicKey) and not self._ed25519_counts:
            raise NotProven("a key of Ed25519, which does not count on this channel")
        if certificate.is_authority:
            raise NotProven("an authority's, not a member's")
        chain = self._authorities.chain(certificate)
        if len(chain) < 2 or chain[1].raw in self._inner:
            raise NotProven("issued by an authority over another one")
        return chain

    def _problem(self, certificate: Certificate, chain: Chain, certifiers: bytes) -> str:
        if self._anonymous_list:
            return "of an organisation with a revocation list that names no authority"
        if (chain[1].raw, certificate.serial) in self._revoked:
            return "revoked"
        if self._units and not any(_Unit(name, certifiers) in self._units for name in certificate.units):
            return "in none of the organisation's units"
        if not self._enforced:
            return ""
        types = {node.name: node for node in self._nodes.values()}
        found = [types[name] for name in certificate.units if name in types]
        if len(found) != 1 or found[0].certifiers not in (b"", certifiers):
            return "not of exactly one type of node"
        return ""

    def _unit(self, message: Message) -> _Unit:
        pem = message.blob(1)
        return _Unit(message.text(2), self._certifiers_of(pem) if pem else b"")

    def _certifiers_of(self, pem: bytes) -> bytes:
        certificate = self._sanitised(_read(pem))
        if certificate.raw in self._authorities.roots:
            return self._digest_of((certificate,))
        if certificate.raw not in self._authorities.intermediates or certificate.raw in self._inner:
            raise Malformed(f"{self.msp_id}: a unit of an authority that issues no members")
        return self._digest_of(self._authorities.chain(certificate))

    def _digest_of(self, chain: Chain) -> bytes:
        return hashlib.new(self._chain_digest, b"".join(each.raw for each in chain)).digest()


class Members:
    """The organisations in force. Identities are examined once and remembered by their bytes."""

    def __init__(self, organisations: Iterable[Organisation]) -> None:
        """Raises `Malformed` for two organisations of one name."""
        self.organisations: dict[str, Organisation] = {}
        for organisation in organisations:
            known = self.organisations.setdefault(organisation.msp_id, organisation)
            if known.settings != organisation.settings:
                raise Malformed(f"{organisation.msp_id}: named twice")
        self.examine = lru_cache(maxsize=4096)(self._examine)

    def verified(self, identity: bytes, signature: bytes, data: bytes) -> Identity:
        """The member whose signature over ``data`` this is. Raises `Malformed` or `NotProven`."""
        found = self.examine(identity)
        if found.problem:
            raise NotProven(f"certificate: {found.problem}")
        if not found.signed(signature, data):
            raise NotProven("signature: not this member's over these bytes, or with a high S")
        return found

    def has_role(self, identity: Identity, msp_id: str, role: int) -> bool:
        """Whether the identity has the role in that organisation."""
        return identity.msp_id == msp_id and self.organisations[msp_id].has_role(identity, role)

    def has_unit(self, identity: Identity, msp_id: str, name: str, certifiers: bytes) -> bool:
        """Whether the identity is in that organisation's unit, under those authorities."""
        found = self.organisations[identity.msp_id]
        return identity.msp_id == msp_id and found.has_unit(identity, name, certifiers)

    def _examine(self, identity: bytes) -> Identity:
        message = Message(identity, "identity")
        organisation = self.organisations.get(message.text(1))
        if organisation is None:
            raise NotProven("identity: of an organisation that is not on the channel")
        return organisation.examine(message.blob(2))


def _read(pem: bytes) -> Certificate:
    return read_certificate(first_block(pem))
