"""A user's certificates out of force: a revocation list in the channel's configuration.

The organisation decides it alone. From the configuration's block on orderers and peers refuse what the user
signs, also what was endorsed before.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tallystick.errors import CouldNotCheck, InvalidInput, Refused
from tallystick.identity import Authority, organisation
from tallystick.identity.certificates import load_certificate
from tallystick.network import processes
from tallystick.network.binaries import Binaries
from tallystick.network.commands import Commands
from tallystick.network.layout import ADMIN, Layout, Peer
from tallystick.network.operate import held, load
from tallystick.network.tools import reason, until
from tallystick.network.updates import config_of, revoking, unsigned
from tallystick.proof.errors import ProofError
from tallystick.proof.fabric.configuration import Configuration

_SECONDS: Final = 30.0


def revoke(root: Path, binaries: Binaries, msp_id: str, user: str) -> int | None:
    """Take all certificates of ``user`` out of force on the network in ``root``; returns the number of the
    configuration's block, once every peer has it.

    None where all of it was in force already; what a killed process left half done is completed. Raises
    `Refused` LAST_ADMINISTRATOR for the administrator by whom the network is run, `InvalidInput` where the
    user or the authority's key is not here, and `CouldNotCheck` where a process does not run or answer.
    """
    with held(root):
        layout = load(root).layout
        # Orderers may be missing as long as the others order: who of them answers is asked.
        missing = [peer.name for peer in layout.peers if processes.pid_of(root, peer.name) is None]
        if missing and not layout.named:
            raise CouldNotCheck(f"{missing[0]} does not run", hint="Start what is missing: tally fabric up")
        return revoke_on(layout, binaries, msp_id, user)


def revoke_on(layout: Layout, binaries: Binaries, msp_id: str, user: str) -> int | None:
    """`revoke` on the layout's channel, whose network runs and is held."""
    peer = _peer(layout, msp_id)
    users = organisation.users(layout.organisations, msp_id)
    if user not in users:
        raise InvalidInput(f"{msp_id} has no such user here", hint=f"Users here: {', '.join(users)}")
    certificates = organisation.certificates(layout.organisations, msp_id, user)
    if user == ADMIN:
        raise Refused(
            f"{user} is the last administrator of {msp_id} here: nobody could configure its part of the"
            " channel any more",
            code="LAST_ADMINISTRATOR",
            hint="The network is run by it. Were its key lost: docs/fabric.md",
        )
    authority = Authority.load(layout.organisations / msp_id)
    commands = Commands(layout, binaries, lambda: None, time.monotonic() + _SECONDS)
    _, now = _configuration(commands, peer, ordered=True)
    if _in_force(now, msp_id, certificates):
        return None
    try:
        update = revoking(now, msp_id, authority.revoke(certificates))
    except ProofError as error:
        raise InvalidInput(str(error)) from error
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "update.pb"
        path.write_bytes(unsigned(update, layout.channel))
        arguments = ["channel", "update", "-f", str(path), "-c", layout.channel, *commands.orderer(peer)]
        commands.repeat(arguments, peer, f"revoking {user} of {msp_id}")
    return max(_until_in_force(commands, each, msp_id, certificates) for each in layout.peers)


def _configuration(commands: Commands, peer: Peer, *, ordered: bool = False) -> tuple[int, Configuration]:
    """The last configuration with its block's number: ``peer``'s or, where ``ordered``, the orderers'."""
    doing = f"asking {'the orderers' if ordered else peer.name} for the channel's configuration"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.block"
        query = ["channel", "fetch", "config", str(path), "-c", commands.layout.channel]
        code, told = commands.call([*query, *(commands.orderer(peer) if ordered else [])], peer, doing)
        if code or not path.exists():
            raise CouldNotCheck(f"{doing} failed: {reason(told)}", hint="tally fabric logs")
        try:
            return config_of(path.read_bytes())
        except ProofError as error:
            raise CouldNotCheck(f"{doing} gave what is none: {error}", hint="tally fabric logs") from error


def _until_in_force(commands: Commands, peer: Peer, msp_id: str, certificates: Sequence[bytes]) -> int:
    """The number of the configuration's block, once ``peer`` has it."""
    found = 0

    def ask() -> tuple[bool, str]:
        nonlocal found
        found, configuration = _configuration(commands, peer)
        return _in_force(configuration, msp_id, certificates), f"{peer.name} has block {found} as the last"

    doing = f"waiting until {peer.name} has the revocation"
    until(ask, doing=doing, ends=commands.ends, alive=commands.alive)
    return found


def _in_force(configuration: Configuration, msp_id: str, certificates: Sequence[bytes]) -> bool:
    """Whether all of the certificates are revoked."""
    serials = {f"{load_certificate(pem, Path(msp_id)).serial_number:x}" for pem in certificates}
    standing = {each.msp_id: each.revoked for each in configuration.organisations()}
    return serials <= set(standing.get(msp_id, ()))


def _peer(layout: Layout, msp_id: str) -> Peer:
    found = {peer.organisation.msp_id: peer for peer in layout.peers}
    if msp_id not in found:
        raise InvalidInput(
            f"{msp_id or 'that'} is not an organisation of this network",
            hint=f"Those are: {', '.join(sorted(found))}",
        )
    return found[msp_id]
