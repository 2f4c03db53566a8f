"""The channel's first configuration: who is a member, how blocks are ordered, who must agree to what.

The regulator and one of the other two must endorse a transaction, a definition of the contracts, and
sign a change of the channel's application part: no two others can replace the law or its policy.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import yaml

from tallystick.files import write_atomic
from tallystick.network.binaries import Binaries
from tallystick.network.layout import ORDERER_MSP, ORDERERS, ORGANISATIONS, Layout
from tallystick.network.tools import run

PROFILE: Final = "Audit"
_BATCH_TIMEOUT: Final = "100ms"
_DEADLINE: Final = 20.0
_RAFT: Final = {
    "TickInterval": "100ms",
    "ElectionTick": 10,
    "HeartbeatTick": 1,
    "MaxInflightBlocks": 5,
    "SnapshotIntervalSize": "16 MB",
}
_SMART_BFT: Final = {
    "RequestBatchMaxInterval": _BATCH_TIMEOUT,
    "RequestForwardTimeout": "5s",
    "RequestComplainTimeout": "20s",
    "RequestAutoRemoveTimeout": "3m0s",
    "ViewChangeResendInterval": "5s",
    "ViewChangeTimeout": "20s",
    "LeaderHeartbeatTimeout": "1m0s",
    "CollectTimeout": "1s",
    "IncomingMessageBufferSize": 200,
    "RequestPoolSize": 100000,
    "LeaderHeartbeatCount": 10,
}


def policy(role: str) -> str:
    """Who must agree, as a signature policy over members of ``role`` (peer or admin)."""
    return f"AND('RegulatorMSP.{role}',OR('OperatorMSP.{role}','AuditorMSP.{role}'))"


def still_to_agree(agreed: Collection[str]) -> str:
    """Whose agreement `policy` still asks for where the MSPs ``agreed`` have given it; empty for none's."""
    either = ("OperatorMSP", "AuditorMSP")
    missing = ["RegulatorMSP"] if "RegulatorMSP" not in agreed else []
    if not any(each in agreed for each in either):
        missing.append(" or ".join(either))
    return " and ".join(missing)


def write_genesis(layout: Layout, binaries: Binaries) -> None:
    """Write the channel's first block. Raises `CouldNotCheck` where configtxgen cannot make it."""
    document = yaml.safe_dump({"Profiles": {PROFILE: profile(layout)}})
    write_atomic(layout.config / "configtx.yaml", document.encode(), 0o644)
    arguments = ["-profile", PROFILE, "-configPath", str(layout.config), "-channelID", layout.channel]
    run(
        [binaries.program("configtxgen"), *arguments, "-outputBlock", str(layout.genesis)],
        {},
        doing="making the channel's first block",
        deadline=_DEADLINE,
    )


def profile(layout: Layout) -> dict[str, Any]:
    """The channel's profile, as configtxgen reads it."""
    byzantine = layout.consensus == "bft"
    return {
        "Policies": _implicit(),
        "Capabilities": {"V3_0" if byzantine else "V2_0": True},
        "Orderer": _ordering(layout, byzantine),
        "Application": {
            "Organizations": [_member(layout, index) for index in range(len(ORGANISATIONS))],
            "Policies": {
                **_implicit(),
                "Admins": _signature(policy("admin")),
                "LifecycleEndorsement": _signature(policy("peer")),
                "Endorsement": _signature(policy("peer")),
            },
            "Capabilities": {"V2_5": True},
        },
    }


def _member(layout: Layout, index: int) -> dict[str, Any]:
    organisation, peer = ORGANISATIONS[index], layout.peers[index]
    msp = organisation.msp_id
    return {
        "Name": msp,
        "ID": msp,
        "MSPDir": str(layout.msp(msp)),
        "AnchorPeers": [{"Host": layout.host(peer.name), "Port": peer.port}],
        "Policies": {
            "Readers": _signature(f"OR('{msp}.admin','{msp}.peer','{msp}.client')"),
            "Writers": _signature(f"OR('{msp}.admin','{msp}.client')"),
            "Admins": _signature(f"OR('{msp}.admin')"),
            "Endorsement": _signature(f"OR('{msp}.peer')"),
        },
    }


def _ordering(layout: Layout, byzantine: bool) -> dict[str, Any]:
    owner = {
        "Name": ORDERER_MSP,
        "ID": ORDERER_MSP,
        "MSPDir": str(layout.msp(ORDERERS.msp_id)),
        "OrdererEndpoints": [f"{layout.host(orderer.name)}:{orderer.port}" for orderer in layout.orderers],
        "Policies": {
            "Readers": _signature(f"OR('{ORDERER_MSP}.member')"),
            "Writers": _signature(f"OR('{ORDERER_MSP}.member')"),
            "Admins": _signature(f"OR('{ORDERER_MSP}.admin')"),
        },
    }
    common = {
        "BatchTimeout": _BATCH_TIMEOUT,
        # A request, its records and its writes may each come near 4 MiB (chaincode/host_limits.py).
        "BatchSize": {
            "MaxMessageCount": 500,
            "AbsoluteMaxBytes": "32 MB",
            "PreferredMaxBytes": "2 MB",
        },
        "Organizations": [owner],
        "Policies": {**_implicit(), "BlockValidation": {"Type": "ImplicitMeta", "Rule": "ANY Writers"}},
        "Capabilities": {"V2_0": True},
    }
    if byzantine:
        mapping = [
            {"ID": number, **consenter, "MSPID": ORDERER_MSP, "Identity": identity}
            for number, (consenter, identity) in enumerate(_consenters(layout), start=1)
        ]
        return {**common, "OrdererType": "BFT", "SmartBFT": _SMART_BFT, "ConsenterMapping": mapping}
    consenters = [consenter for consenter, _ in _consenters(layout)]
    return {
        **common,
        "OrdererType": "etcdraft",
        "EtcdRaft": {"Consenters": consenters, "Options": _RAFT},
    }


def _consenters(layout: Layout) -> list[tuple[dict[str, Any], str]]:
    consenters = []
    for orderer in layout.orderers:
        node = layout.node(orderer.name)
        tls = str(node / "tls" / "cert.pem")
        host = layout.host(orderer.name)
        consenter = {"Host": host, "Port": orderer.port, "ClientTLSCert": tls, "ServerTLSCert": tls}
        consenters.append((consenter, str(node / "msp" / "signcerts" / "cert.pem")))
    return consenters


def _signature(rule: str) -> dict[str, str]:
    return {"Type": "Signature", "Rule": rule}


def _implicit() -> dict[str, dict[str, str]]:
    return {
        "Readers": {"Type": "ImplicitMeta", "Rule": "ANY Readers"},
        "Writers": {"Type": "ImplicitMeta", "Rule": "ANY Writers"},
        "Admins": {"Type": "ImplicitMeta", "Rule": "MAJORITY Admins"},
    }
