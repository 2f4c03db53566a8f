"""The blocks of a live network, as each of its peers hands them out, judged by the offline verifier."""

from __future__ import annotations

from pathlib import Path

from support.fabric_client import connected, write_profile
from support.fabric_network import Live
from support.ledgers import dataset

from tallystick.ledger.fabric import blocks
from tallystick.network import operate
from tallystick.proof.fabric.channel import Channel


def handed_out(live: Live, organisation: str, directory: Path, height: int) -> list[bytes]:
    """The blocks as that organisation's peer keeps them."""
    profile = write_profile(live, directory / f"{organisation}.yaml", organisation)
    with connected(profile) as gateway:
        return [block.raw for block in blocks(gateway, 0, height - 1, seconds=20)]


def test_every_peers_blocks_are_right_and_give_one_log(live: Live, tmp_path: Path) -> None:
    for name in ("judged-1", "judged-2"):
        code, told = live.invoke("provenance:register_dataset", dataset(name=name))
        assert code == 0, told
    alone = dataset(name="judged-alone")
    assert live.invoke("provenance:register_dataset", alone, endorsers=("operator",))[0] == 1
    heights = operate.status(live.root, live.binaries).heights.values()
    height = min(height for height in heights if height)
    heads = set()
    for organisation in ("operator", "regulator", "auditor"):
        channel = Channel("audit.example/live")
        verdicts = []
        for block in handed_out(live, organisation, tmp_path, height):
            judged = channel.judge(block)
            verdicts += [each.verdict for each in judged.transactions if each.ours]
        assert judged.package == live.network.package
        assert verdicts.count("VALID") >= 3
        assert "ENDORSEMENT_POLICY_FAILURE" in verdicts
        heads.add((channel.origin, channel.frontier.size, channel.frontier.root()))
    assert len(heads) == 1
