"""A network as a client sees it, from a YAML file: ``fabric:///path/profile.yaml``.

    channel: audit
    chaincode: tallystick
    msp_id: OperatorMSP
    identity: users/pipeline                # an MSP directory: signcerts/ and keystore/
    client_certificate: tls/client.pem      # these two where the peers ask for one
    client_key: tls/client.key
    peers:                                  # the preferred one first
      - address: peer0.operator.example:7051
        tls_roots: tls/operator-ca.pem
        host_name: peer0.operator.example   # where the certificate names another host than the address

Paths are relative to the profile. Nothing is left out in silence: an unknown key, a missing file or a
value of another kind is refused with its line.
"""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import yaml
from cryptography import x509
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tallystick.ledger.fabric.connection import ClientTls, Connections, PeerAddress
from tallystick.ledger.fabric.errors import ConfigurationError
from tallystick.ledger.fabric.gateway import Deadlines, Gateway
from tallystick.ledger.fabric.identity import Member, Signer, check_pair, read_file

_T = TypeVar("_T")

_SCHEME: Final = "fabric://"
_KEYS: Final = ("channel", "chaincode", "msp_id", "identity", "client_certificate", "client_key", "peers")
_NEEDED: Final = ("channel", "chaincode", "msp_id", "peers")
_PEER_KEYS: Final = ("address", "tls_roots", "host_name")
_PEER_NEEDED: Final = ("address", "tls_roots")
_ADDRESS: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile that was read: every file that it names is there and holds what it should."""

    path: Path
    channel: str
    chaincode: str
    msp_id: str
    identity: Path | None
    peers: tuple[PeerAddress, ...]
    client: ClientTls | None

    def member(self) -> Member:
        """The identity that the profile names. Raises `ConfigurationError`, also where it names none."""
        if self.identity is None:
            raise ConfigurationError(
                f"{self.path} names no identity", hint="Add the line `identity:` with an MSP directory."
            )
        return Member.from_msp(self.identity, self.msp_id)

    def users(self) -> tuple[str, Path]:
        """The MSP's id and the directory in which the named identity lies, with its fellow users beside it.

        Raises `ConfigurationError` where the profile names no identity.
        """
        if self.identity is None:
            raise ConfigurationError(
                f"{self.path} names no identity", hint="Add the line `identity:` with an MSP directory."
            )
        return self.msp_id, self.identity.resolve().parent

    def connect(self) -> Connections:
        """Connections to the profile's peers; to be closed by the caller."""
        return Connections(self.peers, self.client)

    def gateway(
        self, connections: Connections, signer: Signer | None = None, deadlines: Deadlines | None = None
    ) -> Gateway:
        """The profile's channel as ``signer``, or the profile's own identity, sees it."""
        return Gateway(connections, self.channel, signer or self.member(), deadlines or Deadlines())


def profile_path(url: str) -> Path:
    """The file of a ``fabric:///absolute/path`` URL, taken as it is written. Raises `ConfigurationError`."""
    path = url.removeprefix(_SCHEME)
    if not url.startswith(_SCHEME) or not path.startswith("/") or not path.strip("/"):
        raise ConfigurationError(
            f"{url} names no profile of a Fabric network", hint="Write fabric:///absolute/path/profile.yaml"
        )
    return Path("/" + path.lstrip("/"))


def load_profile(path: Path) -> Profile:
    """Read and check a profile. Raises `ConfigurationError` with the line of what is wrong."""
    try:
        root = yaml.compose(read_file(path).decode(), Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not text (UTF-8)") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}:{line}  this is not YAML: {error.problem}") from None
    except RecursionError:
        raise ConfigurationError(f"{path} is no profile: it is nested too deep") from None
    except (yaml.YAMLError, ValueError, OverflowError):  # also numbers and characters that there are not
        raise ConfigurationError(f"{path}:1  this is not YAML") from None
    return _Reader(path).profile(root)


@dataclass(frozen=True, slots=True)
class _Reader:
    path: Path

    def profile(self, root: Node | None) -> Profile:
        if root is None:
            raise ConfigurationError(f"{self.path} is empty", hint=f"A profile has: {', '.join(_KEYS)}")
        found = self.mapping(root, _KEYS, _NEEDED, "a profile")
        peers = found["peers"]
        if not isinstance(peers, SequenceNode) or not peers.value:
            self.refuse(peers, '"peers" must be a list of peers')
        return Profile(
            self.path,
            self.text(found, "channel"),
            self.text(found, "chaincode"),
            self.text(found, "msp_id"),
            self.directory(found, "identity") if "identity" in found else None,
            tuple(self.peer(each) for each in peers.value),
            self.client(root, found),
        )

    def peer(self, node: Node) -> PeerAddress:
        found = self.mapping(node, _PEER_KEYS, _PEER_NEEDED, "a peer")
        address = self.text(found, "address")
        matched = _ADDRESS.fullmatch(address)
        if not matched or not 0 < int(matched[1]) < 65536:
            self.refuse(found["address"], f'"{address}" is not host:port', "For example peer.example:7051")
        host_name = self.text(found, "host_name") if "host_name" in found else ""
        return PeerAddress(address, self.certificates(found, "tls_roots"), host_name)

    def client(self, root: Node, found: dict[str, Node]) -> ClientTls | None:
        given = {"client_certificate", "client_key"} & found.keys()
        if not given:
            return None
        if len(given) == 1:
            self.refuse(root, "client_certificate and client_key are given together or not at all")
        certificate = self.certificates(found, "client_certificate")
        node = found["client_key"]
        key = self.checked(node, lambda: read_file(self.file(found, "client_key"), private=True))
        self.checked(node, lambda: check_pair(certificate, key, "the client's TLS pair"))
        return ClientTls(certificate, key)

    def certificates(self, found: dict[str, Node], key: str) -> bytes:
        pem = self.checked(found[key], lambda: read_file(self.file(found, key)))
        try:
            x509.load_pem_x509_certificates(pem)
        except ValueError:
            self.refuse(found[key], f"{self.file(found, key)} holds no certificate (PEM)")
        return pem

    def directory(self, found: dict[str, Node], key: str) -> Path:
        path = self.file(found, key)
        if not os.path.isdir(path):  # which is also False for a name that is too long
            self.refuse(found[key], f"{path} is not a directory", "Name one with signcerts/ and keystore/.")
        return path

    def file(self, found: dict[str, Node], key: str) -> Path:
        return self.path.parent / self.text(found, key)

    def text(self, found: dict[str, Node], key: str) -> str:
        node = found[key]
        if not isinstance(node, ScalarNode) or not node.tag.endswith(":str") or not node.value.strip():
            self.refuse(node, f'"{key}" must be text', "A value that looks like a number goes in quotes.")
        value = str(node.value)
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
            self.refuse(node, f'"{key}" holds a control character or half a character')
        return value

    def mapping(
        self, node: Node, keys: tuple[str, ...], needed: tuple[str, ...], what: str
    ) -> dict[str, Node]:
        if not isinstance(node, MappingNode):
            self.refuse(node, f"{what} is a list of `key: value` lines", f"It has: {', '.join(keys)}")
        found: dict[str, Node] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, ScalarNode) else ""
            if name not in keys:
                near = difflib.get_close_matches(name, keys, 1)
                hint = (
                    f"Did you mean {near[0]}?"
                    if near
                    else f"{what[:1].upper()}{what[1:]} has: {', '.join(keys)}"
                )
                self.refuse(key, f'unknown key "{name}"', hint)
            if name in found:
                self.refuse(key, f'"{name}" is there twice')
            found[name] = value
        if missing := [name for name in needed if name not in found]:
            self.refuse(node, f'"{missing[0]}" is missing')
        return found

    def checked(self, node: Node, read: Callable[[], _T]) -> _T:
        try:
            return read()
        except ConfigurationError as error:
            self.refuse(node, error.message, error.hint)

    def refuse(self, node: Node, problem: str, hint: str = "") -> NoReturn:
        raise ConfigurationError(f"{self.path}:{node.start_mark.line + 1}  {problem}", hint=hint)
