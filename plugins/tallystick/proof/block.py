"""Blocks of the embedded ledger, read strictly: bytes in, what they say out. docs/formats/block.md.

A header is canonical JSON of {number, previous, data}; `data` is the SHA-256 of the block's data,
which is either one configuration with its signature or the signed transactions with their verdicts.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from tallystick.proof.errors import Malformed, NotProven
from tallystick.proof.membership import Member, Membership, Msp

GENESIS_PREVIOUS: Final = "0" * 64
VERDICTS: Final = ("VALID", "MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT")

MAX_MSPS: Final = 64
MAX_CERTIFICATES: Final = 64
MAX_CONFIG: Final = 4 * 1024 * 1024

_MAX_INTEGER: Final = 2**53 - 1
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NONCE: Final = re.compile(r"[0-9a-f]{48}")
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Header:
    """A block's header. ``previous`` and ``data`` are SHA-256 digests in hex."""

    number: int
    previous: str
    data: str

    def encode(self) -> bytes:
        """Canonical JSON."""
        return canonical({"data": self.data, "number": self.number, "previous": self.previous})

    @property
    def digest(self) -> str:
        """The block's hash, in hex."""
        return sha256(self.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Config:
    """The rules in force from a block on: who the members are, which contracts run, who signs heads."""

    encoded: bytes
    name: str
    number: int
    msps: tuple[Msp, ...]
    package: str
    log_key: bytes
    time: int

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration's canonical JSON, in hex."""
        return sha256(self.encoded).hexdigest()


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed transaction as it was ordered: proposal, what it read, wrote and recorded."""

    encoded: bytes
    proposal_bytes: bytes
    proposal: Mapping[str, Any]
    creator: bytes
    signature: bytes
    content: Mapping[str, Any]
    verdict: str

    @property
    def transaction_id(self) -> str:
        """SHA-256(nonce || creator), in hex."""
        return transaction_id(bytes.fromhex(self.proposal["nonce"]), self.creator)

    @property
    def records(self) -> tuple[bytes, ...]:
        """The canonical bytes of its records."""
        return tuple(record.encode() for record in self.content["records"])


@dataclass(frozen=True, slots=True)
class Block:
    """A parsed block: a configuration with signer and signature, or envelopes."""

    header: Header
    envelopes: tuple[Envelope, ...]
    config: Config | None = None
    config_creator: bytes = b""
    config_signature: bytes = b""

    @property
    def valid(self) -> tuple[Envelope, ...]:
        """The envelopes whose verdict is VALID."""
        return tuple(envelope for envelope in self.envelopes if envelope.verdict == "VALID")


def canonical(value: Any) -> bytes:
    """Canonical JSON of a value of the restricted model (docs/formats/canonical.md)."""
    return _ENCODER.encode(value).encode()


def transaction_id(nonce: bytes, creator: bytes) -> str:
    """A transaction's id on every host: SHA-256(nonce || creator), in hex."""
    return sha256(nonce + creator).hexdigest()


def origin_of(name: str, genesis_digest: str) -> str:
    """The log's name for ever: NAME/<16 hex digits of the digest of block 0>."""
    return f"{name}/{genesis_digest[:16]}"


def parse_block(header_bytes: bytes, data: bytes) -> Block:
    """The block that these bytes spell, its data fitting its header. Raises `Malformed`."""
    header_value = _load(header_bytes, "block header")
    _expect(header_value, {"data": str, "number": int, "previous": str}, "block header")
    header = Header(header_value["number"], header_value["previous"], header_value["data"])
    if header.number < 0 or not _SHA256.fullmatch(header.previous) or not _SHA256.fullmatch(header.data):
        raise Malformed("block header: a field out of its form")
    if sha256(data).hexdigest() != header.data:
        raise Malformed(f"block {header.number}: the data is not what the header names")
    what = f"block {header.number}"
    value = _load(data, what)
    if isinstance(value, dict) and "config" in value:
        return _config_block(header, value, what)
    return Block(header, _envelopes(value, what))


def parse_config(data: bytes) -> Config:
    """A configuration from its canonical JSON, within the limits of its format. Raises `Malformed`."""
    what = "configuration"
    if len(data) > MAX_CONFIG:
        raise Malformed(f"{what}: longer than {MAX_CONFIG:,} bytes")
    value = _load(data, what)
    types = {"log_key": str, "msps": dict, "name": str, "number": int, "package": str, "time": int, "v": int}
    _expect(value, types, what)
    if value["v"] != 1 or not _SHA256.fullmatch(value["package"]):
        raise Malformed(f"{what}: a version or package digest that is not known")
    if len(value["msps"]) > MAX_MSPS:
        raise Malformed(f"{what}: more than {MAX_MSPS} organisations")
    msps = []
    for msp_id, msp in sorted(value["msps"].items()):
        _expect(msp, {"crls": list, "roots": list}, what)
        if not all(isinstance(pem, str) for pem in [*msp["roots"], *msp["crls"]]):
            raise Malformed(f"{what}: a certificate that is not text")
        if max(len(msp["roots"]), len(msp["crls"])) > MAX_CERTIFICATES:
            raise Malformed(f"{what}: more than {MAX_CERTIFICATES} roots or revocation lists")
        msps.append(Msp(msp_id, _pems(msp["roots"]), _pems(msp["crls"])))
    log_key = _base64(value["log_key"], what)
    if len(log_key) != 32:
        raise Malformed(f"{what}: the log's key is not 32 bytes")
    return Config(data, value["name"], value["number"], tuple(msps), value["package"], log_key, value["time"])


def judge_config(config: Config, creator: bytes, signature: bytes, previous: Config | None) -> Member:
    """Who configured: an administrator under the configuration before (block 0 vouches for itself).

    Raises `NotProven` for a wrong signer, number or name.
    """
    rules = previous or config
    member = Membership(rules.msps).verify(creator, signature, config.encoded, config.time)
    if "admin" not in member.roles:
        raise NotProven("configuration: signed by somebody who is not an administrator")
    if config.number != (previous.number + 1 if previous else 0) or config.name != rules.name:
        raise NotProven("configuration: not the next one of this ledger")
    return member


def _config_block(header: Header, value: dict[str, Any], what: str) -> Block:
    _expect(value, {"config": str, "creator": str, "signature": str, "v": int}, what)
    if value["v"] != 1:
        raise Malformed(f"{what}: a version that is not known")
    return Block(
        header,
        (),
        parse_config(value["config"].encode()),
        _base64(value["creator"], what),
        _base64(value["signature"], what),
    )


def _envelopes(value: Any, what: str) -> tuple[Envelope, ...]:
    _expect(value, {"creators": list, "transactions": list, "v": int, "verdicts": list}, what)
    if value["v"] != 1 or len(value["verdicts"]) != len(value["transactions"]) or not value["transactions"]:
        raise Malformed(f"{what}: not one verdict for each of its transactions")
    creators = {
        sha256(creator).hexdigest(): creator for creator in (_base64(c, what) for c in value["creators"])
    }
    envelopes = tuple(
        _envelope(content, creators, verdict, f"{what}, transaction {position}")
        for position, (content, verdict) in enumerate(
            zip(value["transactions"], value["verdicts"], strict=True)
        )
    )
    # Each creator once, in the order of first use: no byte stands in a block that nobody signed for.
    if list(creators) != list(dict.fromkeys(envelope.proposal["creator"] for envelope in envelopes)):
        raise Malformed(f"{what}: creators other than those of its transactions, in their order")
    if len(creators) != len(value["creators"]):
        raise Malformed(f"{what}: a creator twice")
    return envelopes


def _envelope(content: Any, creators: Mapping[str, bytes], verdict: Any, what: str) -> Envelope:
    types = {
        "proposal": str, "reads": list, "records": list, "response": str,
        "scans": list, "signature": str, "writes": list,
    }  # fmt: skip
    _expect(content, types, what)
    if verdict not in VERDICTS or not all(isinstance(record, str) for record in content["records"]):
        raise Malformed(f"{what}: a verdict or record that is not known")
    proposal_bytes = content["proposal"].encode()
    proposal = parse_proposal(proposal_bytes, what)
    creator = creators.get(proposal["creator"])
    if creator is None:
        raise Malformed(f"{what}: its creator is not in the block")
    signature = _base64(content["signature"], what)
    return Envelope(canonical(content), proposal_bytes, proposal, creator, signature, content, verdict)


def parse_proposal(data: bytes, what: str = "proposal") -> Mapping[str, Any]:
    """A proposal's fields. Raises `Malformed`."""
    proposal = _load(data, what)
    types = {
        "contract": str, "creator": str, "nonce": str, "origin": str,
        "request": object, "time": int, "transaction": str, "v": int,
    }  # fmt: skip
    _expect(proposal, types, what)
    if proposal["v"] != 1 or not _NONCE.fullmatch(proposal["nonce"]) or proposal["time"] < 0:
        raise Malformed(f"{what}: a proposal out of its form")
    return proposal  # type: ignore[no-any-return]


def _integer(text: str) -> int:
    value = int(text)
    if not -_MAX_INTEGER <= value <= _MAX_INTEGER:
        raise ValueError
    return value


def _no_number(text: str) -> Any:
    raise ValueError


_DECODER: Final = json.JSONDecoder(parse_int=_integer, parse_float=_no_number, parse_constant=_no_number)


def _load(data: bytes, what: str) -> Any:
    try:
        value = _DECODER.decode(str(data, "utf-8"))
        again = canonical(value)
    except (ValueError, RecursionError):
        raise Malformed(f"{what}: not JSON") from None
    if again != data:
        raise Malformed(f"{what}: JSON, but not in canonical form")
    return value


def _expect(value: Any, types: Mapping[str, type], what: str) -> None:
    if not isinstance(value, dict) or value.keys() != types.keys():
        raise Malformed(f"{what}: not an object with exactly the fields of its format")
    for name, kind in types.items():
        if not isinstance(value[name], kind) or (kind is int and isinstance(value[name], bool)):
            raise Malformed(f"{what}: {name} has the wrong type")


def _pems(texts: list[str]) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in texts)


def _base64(text: str, what: str) -> bytes:
    if not isinstance(text, str):
        raise Malformed(f"{what}: base64 that is not text")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Malformed(f"{what}: not base64") from None
    if base64.b64encode(data).decode() != text:
        raise Malformed(f"{what}: base64 with stray bits")
    return data
