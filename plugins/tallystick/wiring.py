"""The only place that chooses adapters: a ledger by its URL, with everything it needs from the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.clients.provenance import Provenance
from tallystick.errors import CouldNotCheck, InvalidInput
from tallystick.fingerprint.keys import Keyring
from tallystick.identity import load_log_key, load_member, load_user
from tallystick.ledger.port import Ledger, Rebuilt
from tallystick.reports.index import IndexedRecords
from tallystick.settings import Settings
from tallystick.steps.workspace import Workspace
from tallystick.store import Store

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tallystick.evidence.judged import HostChain
    from tallystick.identity import Identity
    from tallystick.ledger.channel.ledger import ChannelLedger
    from tallystick.ledger.channel.stored import StoredChannel
    from tallystick.ledger.embedded.ledger import EmbeddedLedger
    from tallystick.ledger.embedded.stored import StoredFile
    from tallystick.ledger.fabric import Profile
    from tallystick.proof.block import Config
    from tallystick.proof.membership import Msp


def open_ledger(settings: Settings) -> Ledger:
    """The ledger that ``settings.ledger_url`` names; for reading only where its signing key is not here.

    Raises `CouldNotCheck` where there is no ledger and `InvalidInput` for a URL of no known kind.
    """
    return open_channel(settings) if on_channel(settings) else open_embedded(settings)


def open_for_reading(settings: Settings) -> Ledger:
    """The ledger for whoever only reads: as `open_ledger`, and touches no key.

    On a channel reading asks for keys too: peers answer members, and a head is signed when it is asked for.
    """
    if on_channel(settings):
        return open_channel(settings)
    from tallystick.ledger.embedded.ledger import EmbeddedLedger

    return EmbeddedLedger(embedded_path(settings), refusals=settings.refusals)


def open_workspace(settings: Settings, *, writing: bool = True) -> Workspace:
    """Everything the steps work with, signing as ``settings.msp_id`` and ``settings.user``.

    Where nothing is recorded (not ``writing``) the ledger's own key is not needed. Raises as `open_ledger`
    does, and `InvalidInput` where there is no such user here.
    """
    identity = signer(settings)
    ledger = open_ledger(settings) if writing else open_for_reading(settings)
    return Workspace(
        settings,
        Store(settings.objects),
        Keyring(settings.keys),
        ledger,
        IndexedRecords(settings.index, ledger),
        Provenance(ledger, identity),
    )


def signer(settings: Settings, user: str | None = None) -> Identity:
    """The identity of ``user``, or of ``settings.user``, that signs on this ledger.

    On a channel its directory lies beside the one that the profile names. Raises as `identity.load_user`.
    """
    if not on_channel(settings):
        return load_user(settings.msp, settings.msp_id, user or settings.user)
    msp_id, users = channel_users(settings)
    return load_member(users, msp_id, user or settings.user)


def channel_users(settings: Settings) -> tuple[str, Path]:
    """On a channel the MSP of its profile, and the directory of users there. Raises `InvalidInput`."""
    from tallystick.ledger.channel.failures import translating

    with translating():
        return _profile(settings).users()


def on_channel(settings: Settings) -> bool:
    """Whether the ledger is a channel of Fabric, which others run too."""
    return settings.ledger_url.startswith("fabric://")


def open_channel(settings: Settings, name: str | None = None) -> ChannelLedger:
    """The channel of a ``fabric:///`` URL; ``name`` is the log's until the charter says it.

    Raises `InvalidInput` for a profile that cannot be used and `CouldNotCheck` where no peer answers, at
    once where this home's own network does not run.
    """
    from tallystick.ledger.channel.failures import translating
    from tallystick.ledger.channel.ledger import ChannelLedger
    from tallystick.network.operate import is_down

    key = load_log_key(settings.log_key) if settings.log_key.exists() else None
    reader = signer(settings)
    with translating():
        profile = _profile(settings)
        if is_down(settings.fabric, profile.path):
            raise CouldNotCheck(
                f"the network in {settings.fabric} does not run", hint="Start it again: tally fabric up"
            )
        return ChannelLedger(profile, settings.channel, reader=reader, log_key=key, name=name)


def _profile(settings: Settings) -> Profile:
    from tallystick.ledger.fabric import load_profile, profile_path

    return load_profile(profile_path(settings.ledger_url))


def embedded_path(settings: Settings) -> Path:
    """The file of a ``sqlite:///`` URL. Raises `InvalidInput` for any other."""
    scheme, _, path = settings.ledger_url.partition("://")
    if scheme != "sqlite" or not path.startswith("/") or not path.strip("/"):
        raise InvalidInput(
            f"no ledger answers to {settings.ledger_url}",
            hint="Set TALLYSTICK_LEDGER to sqlite:///absolute/path/ledger.db or fabric:///path/profile.yaml",
        )
    return Path("/" + path.lstrip("/"))


def has_ledger(settings: Settings) -> bool:
    """Whether there is a ledger; a channel is there before any home. Raises `InvalidInput` for a URL of no
    known kind."""
    return on_channel(settings) or embedded_path(settings).exists()


def found_ledger(
    settings: Settings, *, name: str, msps: Sequence[Msp], admin: Identity, log_key: Ed25519PrivateKey
) -> None:
    """Make the ledger with its first block (`ledger.embedded.genesis`)."""
    from tallystick.ledger.embedded.genesis import create_ledger

    create_ledger(embedded_path(settings), name=name, msps=msps, admin=admin, log_key=log_key)


def reconfigure(
    settings: Settings, admin: Identity, *, msps: Sequence[Msp] | None = None, package: str | None = None
) -> int:
    """Put other members or contracts in force (`ledger.embedded.genesis`); returns the block's number.

    Raises `InvalidInput` on a channel, whose organisations do that together.
    """
    require_not_on_channel(settings)
    from tallystick.ledger.embedded.genesis import reconfigure

    with closing(open_embedded(settings)) as ledger:
        return reconfigure(ledger, admin, msps=msps, package=package)


def rebuild(settings: Settings, progress: Callable[[int], None] | None = None) -> Rebuilt:
    """Make what is derived from the ledger's blocks again (`ledger.embedded.rebuild`, `.channel.rebuild`)."""
    if on_channel(settings):
        from tallystick.ledger.channel.rebuild import rebuild as rebuild_channel

        with closing(open_channel(settings)) as ledger:
            return Rebuilt(*rebuild_channel(ledger.blocks, progress))
    from tallystick.ledger.embedded.rebuild import rebuild

    return rebuild(embedded_path(settings), progress)


def stored_ledger(settings: Settings) -> StoredFile | StoredChannel:
    """The ledger's bytes as they are, for whoever verifies it; a context manager."""
    if on_channel(settings):
        from tallystick.ledger.channel.stored import StoredChannel

        return StoredChannel(open_channel(settings))
    from tallystick.ledger.embedded.stored import StoredFile

    return StoredFile(embedded_path(settings))


def stored_chain(stored: StoredFile | StoredChannel) -> HostChain:
    """How the blocks of such a ledger are judged."""
    from tallystick.ledger.embedded.stored import StoredFile

    if isinstance(stored, StoredFile):
        from tallystick.evidence.chain import Chain

        return Chain(stored.blocks())
    from tallystick.evidence.channel_chain import ChannelChain

    return ChannelChain(stored.blocks(), stored.origin, stored.chaincode, stored.checkpoint)


def package_in_force(settings: Settings) -> str:
    """The digest of the contracts in force; empty on a channel that has agreed on none."""
    if not on_channel(settings):
        return config_in_force(settings).package
    with closing(open_channel(settings)) as ledger:
        *_, last = ledger.configurations()
        return last.package


def config_in_force(settings: Settings) -> Config:
    """The embedded ledger's configuration in force. Touches no key. Raises `InvalidInput` on a channel."""
    require_not_on_channel(settings)
    from tallystick.ledger.embedded.ledger import EmbeddedLedger

    with closing(EmbeddedLedger(embedded_path(settings))) as ledger:
        return ledger.config


def open_embedded(settings: Settings) -> EmbeddedLedger:
    """`open_ledger`, with the configuration that only this kind of ledger has."""
    from tallystick.ledger.embedded.ledger import EmbeddedLedger

    key = load_log_key(settings.log_key) if settings.log_key.exists() else None
    return EmbeddedLedger(embedded_path(settings), log_key=key, refusals=settings.refusals)


def require_not_on_channel(settings: Settings) -> None:
    """Raises `InvalidInput` on a channel, whose members and contracts no home changes alone."""
    if on_channel(settings):
        raise InvalidInput(
            "the channel's members and contracts are not changed from one home",
            hint="Where tally fabric up made it: tally fabric revoke, or tally fabric activate\n"
            "Elsewhere its organisations change them together: docs/fabric.md",
        )
