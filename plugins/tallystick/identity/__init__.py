"""Issuing and holding identities: certificate authorities, members' keys, the ledger's own key.

An organisation's directory, DIRECTORY/<msp id>/ (docs/formats/identity.md):

    ca/key.pem                         the authority's key; may be taken away from the machine
    cacerts/ca.pem   crls/crl.pem      what others need to judge its members
    users/<name>/signcerts/cert.pem    a member's certificate
    users/<name>/keystore/key.pem      and key
    users/<name>/former/<serial>.pem   the certificates before the last renewal; their keys are gone

Keys are files for their owner alone (0600) and never appear in a message or a repr.
"""

from tallystick.identity.authority import Authority
from tallystick.identity.keys import generate_log_key, load_log_key
from tallystick.identity.member import Identity
from tallystick.identity.organisation import create_organisation, load_member, load_msp, load_user

__all__ = [
    "Authority",
    "Identity",
    "create_organisation",
    "generate_log_key",
    "load_log_key",
    "load_member",
    "load_msp",
    "load_user",
]
