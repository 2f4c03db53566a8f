"""A client of Hyperledger Fabric: its Gateway and Deliver services (Fabric 2.4 and later), for Python.

A library of its own that knows nothing else of this house:

    profile = load_profile(Path("profile.yaml"))
    with profile.connect() as connections:
        gateway = profile.gateway(connections)
        new = lambda: gateway.propose(profile.chaincode, [b"put", b"{}"], time_ms=now_ms())
        committed = gateway.submit(new)
        answer = gateway.evaluate(gateway.propose(profile.chaincode, [b"get", b"{}"], time_ms=now_ms()))

Everything is synchronous and may be called from many threads at once. Plain gRPC releases Python's lock
while it waits, so that threads lose nothing against an event loop, and callers that are synchronous
themselves, such as a ledger behind a command line or in a task of Airflow, need no loop of their own.
"""

from tallystick.ledger.fabric.connection import ClientTls, Connections, PeerAddress
from tallystick.ledger.fabric.deliver import Block, blocks, height
from tallystick.ledger.fabric.errors import (
    CommitError,
    CommitStatusError,
    ConfigurationError,
    DeliverError,
    EndorseError,
    EvaluateError,
    EventsError,
    GatewayError,
    Reason,
    Refusal,
    SubmitError,
)
from tallystick.ledger.fabric.events import ChaincodeEvent, Checkpoint, Position, follow
from tallystick.ledger.fabric.gateway import Committed, Deadlines, Gateway
from tallystick.ledger.fabric.identity import Member, Signer
from tallystick.ledger.fabric.profile import Profile, load_profile, profile_path
from tallystick.ledger.fabric.proposal import Endorsed, Proposal, propose

__all__ = [
    "Block",
    "ChaincodeEvent",
    "Checkpoint",
    "ClientTls",
    "CommitError",
    "CommitStatusError",
    "Committed",
    "ConfigurationError",
    "Connections",
    "Deadlines",
    "DeliverError",
    "EndorseError",
    "Endorsed",
    "EvaluateError",
    "EventsError",
    "Gateway",
    "GatewayError",
    "Member",
    "PeerAddress",
    "Position",
    "Profile",
    "Proposal",
    "Reason",
    "Refusal",
    "Signer",
    "SubmitError",
    "blocks",
    "follow",
    "height",
    "load_profile",
    "profile_path",
    "propose",
]
