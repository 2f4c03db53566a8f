"""The first block and later changes of the configuration, signed by an administrator."""

from __future__ import annotations

import base64
import contextlib
import glob
import os
import shlex
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.execution import packages
from tallystick.files import cannot_write, sync_directory
from tallystick.identity import Identity
from tallystick.ledger.embedded import appender, database
from tallystick.ledger.embedded.ledger import EmbeddedLedger, system_clock
from tallystick.ledger.requests import HINTS
from tallystick.proof.block import GENESIS_PREVIOUS, Config, canonical, judge_config, origin_of, parse_config
from tallystick.proof.errors import ProofError
from tallystick.proof.leaves import block_leaf
from tallystick.proof.membership import Membership, Msp, NotInForce
from tallystick.proof.merkle import Frontier

_STALE_SECONDS: Final = 3600


def create_ledger(
    path: Path,
    *,
    name: str,
    msps: Sequence[Msp],
    admin: Identity,
    log_key: Ed25519PrivateKey,
    time_ms: int | None = None,
) -> str:
    """Make the ledger file ``path`` with block 0 and return the ledger's origin.

    ``name`` is the part of the origin before the slash and the digits. Raises `InvalidInput` where
    something stands at ``path`` already or ``admin`` may not configure, and `CouldNotCheck` where it cannot
    be written.
    """
    if path.exists():
        raise _exists(path)
    if not path.parent.is_dir():
        raise CouldNotCheck(
            f"the ledger cannot be made at {path}: there is no such folder",
            hint=f"Make it: mkdir -p {shlex.quote(str(path.parent))}\n"
            "Or name another place in TALLYSTICK_LEDGER.",
        )
    config = _config(
        name,
        0,
        msps,
        packages.current_digest(),
        log_key.public_key().public_bytes_raw(),
        system_clock() if time_ms is None else time_ms,
    )
    signature = _sign(config, admin, None)
    header, data = appender.config_block(config, admin.serialised, signature, 0, GENESIS_PREVIOUS)
    origin = origin_of(name, header.digest)
    # Made beside and linked into place, so that a killed process leaves no ledger without its first block.
    draft = path.with_name(f".{path.name}.{sha256(data).hexdigest()[:16]}")
    try:
        _remove_stale(path)
        database.create(draft)
        drafted = database.Database(draft)
        with contextlib.closing(drafted), drafted.writing() as connection:
            head = appender.Head(-1, GENESIS_PREVIOUS, 0, Frontier())
            appender.append_block(
                connection, head, header, data, [block_leaf(header, config, 0, 0)], origin, log_key
            )
        _publish(draft, path)
    finally:
        with contextlib.suppress(OSError):  # what could not be made can perhaps not be removed either
            for name in (draft.name, f"{draft.name}.lock"):
                draft.with_name(name).unlink(missing_ok=True)
    return origin


def _remove_stale(path: Path) -> None:
    """Remove the drafts that killed processes left: those that nobody has written to for an hour."""
    with contextlib.suppress(OSError):  # they are in nobody's way
        for left in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 16}*"):
            if time.time() - left.lstat().st_mtime > _STALE_SECONDS:
                left.unlink()


def _publish(draft: Path, path: Path) -> None:
    """Give the finished ledger its name, unless another process has taken it meanwhile."""
    try:
        os.link(draft, path)  # unlike a rename it takes nothing away
        sync_directory(path.parent)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise cannot_write(path, error) from error


def _exists(path: Path) -> InvalidInput:
    return InvalidInput(f"there is a ledger already at {path}", hint="Nothing was changed.")


def reconfigure(
    ledger: EmbeddedLedger, admin: Identity, *, msps: Sequence[Msp] | None = None, package: str | None = None
) -> int:
    """Append a configuration with other members, revocation lists or contracts; returns its block's number.

    Raises `InvalidInput` where ``admin`` may not configure or no member could be judged any more, and
    `CouldNotCheck` where another configuration came between.
    """
    current = ledger.config
    config = _config(
        current.name,
        current.number + 1,
        current.msps if msps is None else msps,
        package or current.package,
        current.log_key,
        system_clock(),
    )
    signature = _sign(config, admin, current)
    try:
        Membership(config.msps)
    except ProofError as error:
        raise InvalidInput(
            f"nobody could use the ledger under this configuration: {error}", hint="Nothing was changed."
        ) from error
    return ledger.configure(config, admin.serialised, signature)


def _config(name: str, number: int, msps: Sequence[Msp], package: str, log_key: bytes, time: int) -> Config:
    value = {
        "v": 1,
        "name": name,
        "number": number,
        "msps": {
            msp.msp_id: {
                "roots": [root.decode() for root in msp.roots],
                "crls": [crl.decode() for crl in msp.crls],
            }
            for msp in msps
        },
        "package": package,
        "log_key": base64.b64encode(log_key).decode(),
        "time": time,
    }
    try:
        return parse_config(canonical(value))
    except ProofError as error:
        raise InvalidInput(
            f"the ledger cannot be configured so: {error}",
            hint="docs/formats/block.md says what a configuration may hold.",
        ) from None


def _sign(config: Config, admin: Identity, previous: Config | None) -> bytes:
    signature = admin.sign(config.encoded)
    try:
        judge_config(config, admin.serialised, signature, previous)
    except ProofError as error:
        hint = "Use an administrator's certificate of a member organisation."
        raise InvalidInput(
            f"this identity cannot configure the ledger: {error}",
            hint=HINTS[error.code] if isinstance(error, NotInForce) else hint,
        ) from error
    return signature
