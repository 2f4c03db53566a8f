"""Fabric as a host of scenarios: one live network for all of them, a channel of its own for each."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from fabric_protos.common import common_pb2
from support.fabric_changes import revocation, signed_update
from support.fabric_forger import Forger
from support.fabric_network import Live
from support.ledgers import PARTIES, USERS, SettableClock, adopt_charter

from tallystick.errors import CouldNotCheck
from tallystick.identity import Authority, Identity, generate_log_key
from tallystick.ledger.channel.failures import translating
from tallystick.ledger.channel.ledger import ChannelLedger
from tallystick.ledger.fabric import CommitError, Endorsed, EndorseError, load_profile
from tallystick.ledger.port import Call, Receipt
from tallystick.network import binaries, configuration, genesis, operate
from tallystick.network.layout import Layout
from tallystick.network.lifecycle import Lifecycle
from tallystick.network.profiles import write_profiles
from tallystick.settings import Settings

_SERVER = Path(__file__).with_name("probe_server.py")
_NAME = "tallystick.example/test"
_CATCH_UP_SECONDS = 10


class SteppingLedger(ChannelLedger):
    """A channel whose transactions can be endorsed and committed apart."""

    def endorse(self, identity: Identity, call: Call) -> Endorsed:
        """Again where the endorsers differ: one of them may be a block behind, after what came before."""
        gateway = self._profile.gateway(self._connections, identity, self._deadlines)
        propose, ends = self._proposals(gateway, call, None), time.monotonic() + _CATCH_UP_SECONDS
        while True:
            try:
                with translating():
                    return gateway.endorse(propose())
            except CouldNotCheck as error:
                behind = isinstance(error.__cause__, EndorseError) and error.__cause__.conflict
                if not behind or time.monotonic() > ends:
                    raise
                time.sleep(0.1)

    def commit(self, endorsed: Endorsed) -> Receipt:
        gateway = self._profile.gateway(self._connections, self.reader, self._deadlines)
        try:
            with translating():
                committed = gateway.commit(endorsed)
        except Exception as error:
            if isinstance(error.__cause__, CommitError):
                self.blocks.promise(error.__cause__.block)
            raise
        self.blocks.promise(committed.block)
        return Receipt(committed.transaction_id, committed.block, None)


@dataclass
class ChannelHost:
    """A channel with all that a scenario may want of it."""

    ledger: SteppingLedger
    live: Live
    users: Mapping[tuple[str, str], Identity]
    clock: SettableClock = field(default_factory=SettableClock)

    def user(self, party: str, name: str) -> Identity:
        return self.users[party, name]

    @property
    def pipeline(self) -> Identity:
        return self.user("operator", "pipeline")

    def submit(
        self, transaction: str, request: Any, *, identity: Identity | None = None, **options: Any
    ) -> Any:
        call = Call("provenance", transaction, request)
        return self.ledger.submit(identity or self.pipeline, call, **options).response


class Channels:
    """The network, made when the first scenario asks for it, and its channels."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._live: Live | None = None
        self._users: dict[tuple[str, str], Identity] = {}
        self._count = 0

    def make_host(self, directory: Path, *, invoke: Any = None, adopt: bool = True) -> ChannelHost:
        """A new channel, its charter adopted unless ``adopt`` is false. The probe is there on all of them."""
        live = self._network()
        self._count += 1
        on_channel = begin_channel(live, f"scenario{self._count}")
        path = directory / "channel"
        key = generate_log_key(path / "log.pem")
        reader = self._users["operator", "pipeline"]
        clock = SettableClock()
        ledger = SteppingLedger(
            load_profile(on_channel.layout.profiles / "operator.yaml"),
            path,
            reader=reader,
            log_key=key,
            name=_NAME,
            clock=clock,
        )
        self._open.callback(ledger.close)
        host = ChannelHost(ledger, on_channel, self._users, clock)
        if adopt:
            adopt_charter(host)
        return host

    def close(self) -> None:
        """End the network, if there is one."""
        self._open.close()
        self._live = None

    def _network(self) -> Live:
        if self._live is None:
            try:
                programs = binaries.find(Settings.from_environment().cache_dir)
            except CouldNotCheck as error:
                pytest.skip(str(error))  # under CI=true the shared conftest makes this a failure
            root = Path(self._open.enter_context(tempfile.TemporaryDirectory())) / "fabric"
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(configuration, "server_command", lambda: [sys.executable, str(_SERVER)])
                self._open.callback(operate.down, root, erase=True)
                self._live = Live.up(root, programs)
            self._enrol(self._live.layout)
        return self._live

    def _enrol(self, layout: Layout) -> None:
        for party, msp_id in PARTIES.items():
            authority = Authority.load(layout.organisations / msp_id)
            for name, roles in USERS.items():
                directory = layout.user(msp_id, name)
                kept = directory.exists()
                self._users[party, name] = (
                    Identity.load(directory, msp_id) if kept else authority.issue(name, roles)
                )


def begin_channel(live: Live, name: str) -> Live:
    """A channel of its own on the network, with the contracts in force and its profiles written."""
    layout = replace(live.layout, channel=name)
    genesis.write_genesis(layout, live.binaries)
    steps = Lifecycle(layout, live.binaries, lambda: None, time.monotonic() + 60)
    steps.join()
    assert steps.agree(live.network.package, live.network.package_id, 1) == {}
    msps = [peer.organisation.msp_id for peer in layout.peers]
    steps.commit(live.network.package, 1, msps)
    steps.answer(msps)
    steps.meet(msps)
    write_profiles(layout)
    return Live(live.root, live.binaries, replace(live.network, layout=layout))


CHANNELS = Channels()


def revoke_reader(host: ChannelHost) -> str:
    """Revoke the operator's reader on its channel; returns the certificate's serial number."""
    certificate = x509.load_pem_x509_certificate(host.user("operator", "reader").certificate_pem)
    admin = Forger(host.live, user="admin")
    first = next(iter(host.ledger.blocks.raw(1)))
    update = signed_update(revocation(host.live, first, "OperatorMSP", certificate), [admin.signer])
    height = host.ledger.height
    header = admin.header(common_pb2.CONFIG_UPDATE)
    admin.send(admin.signed(common_pb2.Payload(header=header, data=update.SerializeToString())))
    host.ledger.blocks.promise(height)
    return f"{certificate.serial_number:x}"
