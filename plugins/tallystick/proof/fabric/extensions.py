"""The extensions of a certificate as Go's crypto/x509 reads them: what is not right in one spoils it all.

Source: processExtensions in crypto/x509/parser.go of Go 1.26. Not read as there: which URIs are none
(subject alternative names), and which mailboxes (name constraints).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final

from tallystick.proof.errors import Malformed
from tallystick.proof.fabric.der import OCTET_STRING, OID, Der

_EMAIL, _DNS, _URI, _ADDRESS = 0x81, 0x82, 0x86, 0x87
_AUTHORITY_INFORMATION: Final = bytes.fromhex("2b06010505070101")
_ANY_USAGE, _SERVER = bytes.fromhex("551d2500"), bytes.fromhex("2b06010505070301")
_CERTIFIES: Final = 0x04
_LARGEST: Final = 1 << 63


@dataclass(frozen=True)
class Extensions:
    """What the extensions say. ``is_authority`` is None and ``path_length`` -1 for what is not said.

    ``unknown`` says that a critical one is not understood, ``serves`` that the extended key usages allow
    what Go asks for, ``may_certify`` that key usage does; ``explicit_policy`` that it asks for a policy and
    has none. ``contents`` has every one's content by its identifier's.
    """

    is_authority: bool | None = None
    path_length: int = -1
    unknown: bool = False
    may_certify: bool = True
    serves: bool = True
    explicit_policy: bool = False
    key_identifier: bytes | None = None
    contents: Mapping[bytes, bytes] = field(default_factory=dict)

    @classmethod
    def read(cls, found: Mapping[bytes, tuple[bool, bytes]]) -> Extensions:
        """Of the extensions by their identifiers, each with whether it is critical. Raises `Malformed`."""
        said: dict[str, Any] = {}
        unknown = False
        for name, (critical, content) in found.items():
            reader = _READERS.get(name)
            understood = reader(Der(content), said, critical) if reader else False
            unknown |= critical and understood is False
        explicit = said.pop("required", None) == 0 and not said.pop("policies", 0)
        said.pop("policies", None)
        contents = {name: content for name, (_, content) in found.items()}
        return cls(**said, unknown=unknown, explicit_policy=explicit, contents=contents)

    @property
    def alternative_names(self) -> bytes | None:
        """The content of the subject alternative names."""
        return self.contents.get(b"\x55\x1d\x11")


def _key_usage(der: Der, said: dict[str, Any], _: bool) -> None:
    content, _unused = der.bits()
    usage = int.from_bytes(content[:2].ljust(2, b"\0")) >> 7
    said["may_certify"] = not usage or bool(content[0] & _CERTIFIES)


def _basic_constraints(der: Der, said: dict[str, Any], _: bool) -> None:
    inside = der.inside()
    said["is_authority"] = inside.boolean() if inside.peek(0x01) else False
    if inside.peek(0x02):
        said["path_length"] = inside.integer()
        if not 0 <= said["path_length"] < _LARGEST:
            raise Malformed("certificate: a path length that is none")


def _alternative_names(der: Der, said: dict[str, Any], _: bool) -> bool:
    inside = der.inside()
    known = False
    while inside.rest:
        tag, content, _whole = inside.any()
        known |= tag in (_EMAIL, _DNS, _URI, _ADDRESS)
        if tag in (_EMAIL, _DNS, _URI) and not content.isascii():
            raise Malformed("certificate: an alternative name that is no text")
        if tag == _ADDRESS and len(content) not in (4, 16):
            raise Malformed("certificate: an address that is none")
    return known


def _distribution_points(der: Der, said: dict[str, Any], _: bool) -> None:
    points = der.inside()
    while points.rest:
        name = points.inside().optional(0xA0)
        if name is None:
            continue
        full = Der(name).inside(0xA0)
        while full.peek(_URI):
            full.read(_URI)


def _authority_key(der: Der, said: dict[str, Any], critical: bool) -> None:
    _not_critical(critical)
    der.inside().optional(0x80)


def _subject_key(der: Der, said: dict[str, Any], critical: bool) -> None:
    _not_critical(critical)
    said["key_identifier"] = der.read(OCTET_STRING)


def _policy_constraints(der: Der, said: dict[str, Any], _: bool) -> None:
    inside = der.inside()
    for tag, name in ((0x80, "required"), (0x81, "")):
        if inside.peek(tag):
            number = inside.integer(tag)
            if not -_LARGEST <= number < _LARGEST:
                raise Malformed("certificate: a policy constraint that is none")
            if name:
                said[name] = number


def _usages(der: Der, said: dict[str, Any], _: bool) -> None:
    inside, found = der.inside(), set()
    while inside.rest:
        found.add(inside.identifier())
    said["serves"] = not found or bool(found & {_ANY_USAGE, _SERVER})


def _policies(der: Der, said: dict[str, Any], _: bool) -> None:
    inside = der.inside()
    found: set[bytes] = set()
    while inside.rest:
        policy = inside.inside().read(OID)
        starts = [True, *(byte < 0x80 for byte in policy[:-1])]
        spelt = policy and policy[-1] < 0x80 and (True, 0x80) not in zip(starts, policy, strict=True)
        if not spelt or policy in found:
            raise Malformed("certificate: a policy that is none, or twice")
        found.add(policy)
    said["policies"] = len(found)


def _policy_mappings(der: Der, said: dict[str, Any], _: bool) -> None:
    inside = der.inside()
    while inside.rest:
        mapping = inside.inside()
        mapping.read(OID)
        mapping.read(OID)


def _no_any_policy(der: Der, said: dict[str, Any], _: bool) -> None:
    if not -_LARGEST <= der.integer() < _LARGEST:
        raise Malformed("certificate: a policy constraint that is none")


def _is_domain(content: bytes) -> bool:
    labels = content.removeprefix(b".").split(b".")
    return not content or (all(labels) and all(33 <= byte <= 126 for byte in content))


def _is_mailbox(content: bytes) -> bool:
    return (content.isascii() and b"@" in content) or _is_domain(content)


def _is_host(content: bytes) -> bool:
    return _is_domain(content) and not _is_address(content)


def _is_address(content: bytes) -> bool:
    try:
        ip_address(content.decode("ascii"))
    except ValueError:
        return False
    return b"%" not in content


def _is_network(content: bytes) -> bool:
    mask = int.from_bytes(content[len(content) // 2 :])
    ones = f"{mask:0{len(content) * 4}b}".rstrip("0")
    return len(content) in (8, 32) and "0" not in ones


_CONSTRAINS: Final = {_EMAIL: _is_mailbox, _DNS: _is_domain, _URI: _is_host, _ADDRESS: _is_network}


def _name_constraints(der: Der, said: dict[str, Any], _: bool) -> bool:
    inside = der.inside()
    trees = [inside.optional(0xA0) or b"", inside.optional(0xA1) or b""]
    if der.rest or inside.rest or not any(trees):
        raise Malformed("certificate: name constraints that are none")
    kinds = set()
    for subtrees in map(Der, trees):
        while subtrees.rest:
            tag, content, _whole = subtrees.inside().any()
            kinds.add(tag)
            if tag in _CONSTRAINS and not _CONSTRAINS[tag](content):
                raise Malformed("certificate: a name constraint that is none")
    return kinds <= set(_CONSTRAINS)


def _authority_information(der: Der, said: dict[str, Any], critical: bool) -> None:
    _not_critical(critical)
    inside = der.inside()
    while inside.rest:
        access = inside.inside()
        access.identifier()
        access.optional(_URI)


def _not_critical(critical: bool) -> None:
    if critical:
        raise Malformed("certificate: an extension that must not be critical is")


_Reader = Callable[[Der, dict[str, Any], bool], bool | None]
_READERS: Final[dict[bytes, _Reader]] = {
    b"\x55\x1d\x0e": _subject_key,
    b"\x55\x1d\x0f": _key_usage,
    b"\x55\x1d\x11": _alternative_names,
    b"\x55\x1d\x13": _basic_constraints,
    b"\x55\x1d\x1e": _name_constraints,
    b"\x55\x1d\x1f": _distribution_points,
    b"\x55\x1d\x20": _policies,
    b"\x55\x1d\x21": _policy_mappings,
    b"\x55\x1d\x23": _authority_key,
    b"\x55\x1d\x24": _policy_constraints,
    b"\x55\x1d\x25": _usages,
    b"\x55\x1d\x36": _no_any_policy,
    _AUTHORITY_INFORMATION: _authority_information,
}
