"""How each organisation's clients find into the network: a profile for each.

What stands in one: docs/formats/fabric-profile.md.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from tallystick.files import private_directory, write_atomic
from tallystick.network.layout import CHAINCODE, Layout, Organisation


def write_profiles(layout: Layout) -> None:
    """Write profiles/<organisation>.yaml, its own peer first; paths in it are relative."""
    private_directory(layout.profiles)
    for peer in layout.peers:
        document = yaml.safe_dump(profile(layout, peer.organisation), sort_keys=False)
        write_atomic(layout.profile(peer.organisation), document.encode(), 0o644)


def default_user(organisation: Organisation) -> str:
    """The user whom an organisation's profile names: the one who is no administrator."""
    return next(name for name, roles in organisation.users.items() if "admin" not in roles)


def profile(layout: Layout, organisation: Organisation) -> dict[str, Any]:
    """What stands in the organisation's profile."""
    user = layout.user(organisation.msp_id, default_user(organisation))
    own_first = sorted(layout.peers, key=lambda peer: peer.organisation is not organisation)
    return {
        "channel": layout.channel,
        "chaincode": CHAINCODE,
        "msp_id": organisation.msp_id,
        "identity": _from(layout.profiles, user),
        "client_certificate": _from(layout.profiles, user / "tls" / "cert.pem"),
        "client_key": _from(layout.profiles, user / "tls" / "key.pem"),
        "peers": [
            {
                "address": f"{layout.host(peer.name)}:{peer.port}",
                "tls_roots": _from(layout.profiles, layout.tls_root(peer.organisation.msp_id)),
            }
            for peer in own_first
        ],
    }


def _from(directory: Path, path: Path) -> str:
    return os.path.relpath(path, directory)
