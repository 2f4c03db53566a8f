"""A certificate is revoked on a live channel: what it signed stands, what it signs counts no more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from fabric_protos.common import common_pb2
from support import ledgers
from support.channels import SteppingLedger, begin_channel
from support.fabric_changes import config_block, signed_update
from support.fabric_forger import Forger
from support.fabric_network import Live

from tallystick.errors import InvalidInput, Refused
from tallystick.home.create import create_home
from tallystick.home.verification import verify_home
from tallystick.identity import Authority, Identity, generate_log_key
from tallystick.ledger.fabric import load_profile
from tallystick.ledger.port import Call
from tallystick.network.revoke import revoke_on
from tallystick.network.updates import config_of, revoking
from tallystick.settings import Settings


@dataclass
class Channel:
    """A channel with the operator's ledger, and two users of the operator's who may write."""

    live: Live
    ledger: SteppingLedger
    settings: Settings
    stays: Identity
    leaves: Identity

    def revoke(self, user: str) -> int | None:
        return revoke_on(self.live.layout, self.live.binaries, "OperatorMSP", user)

    def register(self, identity: Identity, name: str) -> None:
        self.ledger.submit(identity, call(name))

    def writers(self) -> list[tuple[str, str]]:
        """Who wrote which dataset, of all that counts."""
        return [
            (transaction.enrolment_id, json.loads(record.content)["id"])
            for block in self.ledger.log()
            for transaction in block.transactions
            for record in transaction.records
            if json.loads(record.content)["kind"] == "dataset"
        ]


def call(name: str) -> Call:
    return Call("provenance", "register_dataset", ledgers.dataset(name))


@pytest.fixture(scope="module")
def channel(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Channel]:
    home = tmp_path_factory.mktemp("revocation")
    own = begin_channel(live, "revocation")
    authority = Authority.load(own.layout.organisations / "OperatorMSP")
    directory = own.layout.user("OperatorMSP", "leaver")
    leaves = authority.issue("leaver", ("pipeline",))
    leaves.save(directory)
    profile = own.layout.profiles / "operator.yaml"
    settings = Settings.from_environment(
        {
            "HOME": str(home),
            "TALLYSTICK_HOME": str(home / "home"),
            "TALLYSTICK_STATE": str(home / "state"),
            "TALLYSTICK_LEDGER": f"fabric://{profile}",
        }
    )
    create_home(settings, name="hospital.example/revocation").close()
    stays = Identity.load(own.layout.user("OperatorMSP", "pipeline"), "OperatorMSP")
    ledger = SteppingLedger(
        load_profile(profile), home / "channel", reader=stays, log_key=generate_log_key(home / "log.pem")
    )
    with closing(ledger):
        yield Channel(own, ledger, settings, stays, leaves)
    shutil.rmtree(directory)


def test_what_a_revoked_user_signs_is_refused_and_what_it_signed_before_stands(channel: Channel) -> None:
    channel.register(channel.leaves, "before")
    endorsed = channel.ledger.endorse(channel.leaves, call("between"))

    block = channel.revoke("leaver")

    serial = f"{x509.load_pem_x509_certificate(channel.leaves.certificate_pem).serial_number:x}"
    *_, last = channel.ledger.configurations()
    assert (last.block, last.msp_id, last.enrolment_id) == (block, "OperatorMSP", "admin")
    assert {each.msp_id: each.revoked for each in last.organisations}["OperatorMSP"] == (serial,)
    for organisation in ("operator", "regulator", "auditor"):
        code, told = channel.live.run(
            ["channel", "getinfo", "-c", channel.live.layout.channel], organisation, "admin"
        )
        assert code == 0
        assert f'"height":{block + 1}' in told, "every peer has the block when the command returns"

    with pytest.raises(Refused, match="access denied") as refused:
        channel.register(channel.leaves, "after")
    assert refused.value.code == "NOT_A_MEMBER"
    assert "revoked" in refused.value.hint
    with pytest.raises(Refused, match="FORBIDDEN") as refused:
        channel.ledger.commit(endorsed)
    assert refused.value.code == "NOT_A_MEMBER"

    channel.register(channel.stays, "later")
    assert channel.writers() == [("leaver", "dataset/before/1"), ("pipeline", "dataset/later/1")]
    report = verify_home(channel.settings)
    found = {subject.kind: subject.status for subject in report.subjects}
    assert found["ledger"] == "verified"


def test_revoking_again_records_nothing(channel: Channel) -> None:
    channel.revoke("leaver")
    height = channel.ledger.height
    assert channel.revoke("leaver") is None
    assert channel.ledger.height == height


def test_who_cannot_be_revoked_is_said_and_nothing_is_recorded(channel: Channel) -> None:
    height = channel.ledger.height
    with pytest.raises(Refused, match="admin is the last administrator of OperatorMSP here") as refused:
        channel.revoke("admin")
    assert refused.value.code == "LAST_ADMINISTRATOR"
    with pytest.raises(InvalidInput, match="no such user here") as invalid:
        channel.revoke("nobody")
    assert "pipeline" in invalid.value.hint
    layout, binaries = channel.live.layout, channel.live.binaries
    with pytest.raises(InvalidInput, match="OrdererMSP is not an organisation of this network"):
        revoke_on(layout, binaries, "OrdererMSP", "admin")
    assert channel.ledger.height == height


def test_an_organisation_revokes_only_its_own(channel: Channel, tmp_path: Path) -> None:
    """All other administrators together cannot put a list into its MSP; its own can."""
    shutil.copytree(channel.live.layout.organisations / "OperatorMSP", tmp_path / "OperatorMSP")
    revocations = Authority.load(tmp_path / "OperatorMSP").revoke([4711])
    update = revoking(config_of(config_block(channel.live))[1], "OperatorMSP", revocations)

    def send(*organisations: str) -> None:
        admins = [Forger(channel.live, organisation, "admin") for organisation in organisations]
        envelope = signed_update(update, [admin.signer for admin in admins])
        header = admins[0].header(common_pb2.CONFIG_UPDATE)
        payload = common_pb2.Payload(header=header, data=envelope.SerializeToString())
        admins[0].send(admins[0].signed(payload))

    with pytest.raises(AssertionError, match="BAD_REQUEST"):
        send("regulator", "auditor")
    height = channel.ledger.height
    send("operator")
    channel.ledger.blocks.promise(height)
    *_, last = channel.ledger.configurations()
    assert "1267" in next(each.revoked for each in last.organisations if each.msp_id == "OperatorMSP")
