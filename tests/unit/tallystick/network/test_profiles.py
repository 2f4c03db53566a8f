"""The profiles that a network writes are those that the client reads."""

from __future__ import annotations

from pathlib import Path

from tallystick.ledger.fabric import load_profile
from tallystick.network.certificates import make_certificates
from tallystick.network.layout import ORGANISATIONS, Layout
from tallystick.network.profiles import write_profiles


def test_each_organisation_has_one_with_its_own_peer_first(tmp_path: Path) -> None:
    made = Layout(tmp_path / "made", "raft", 20_000)
    make_certificates(made)
    write_profiles(made)
    # Their paths are relative, so that a network can be moved as a whole.
    layout = Layout(made.root.rename(tmp_path / "moved"), "raft", 20_000)
    for organisation, peer in zip(ORGANISATIONS, layout.peers, strict=True):
        profile = load_profile(layout.profile(organisation))
        assert (profile.msp_id, profile.channel) == (organisation.msp_id, layout.channel)
        assert profile.peers[0].address.endswith(f":{peer.port}")
        assert len(profile.peers) == len(layout.peers)
        assert profile.member().msp_id == organisation.msp_id
        msp_id, users = profile.users()
        assert sorted(path.name for path in users.iterdir()) == sorted(organisation.users)
        assert msp_id == organisation.msp_id
