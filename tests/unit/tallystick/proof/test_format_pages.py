"""The examples on the format pages are real: they verify as the pages say."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from tallystick.proof.consistency_proof import verify_consistency_proof
from tallystick.proof.sorted_proof import parse_sorted_proof, verify_sorted_proof
from tallystick.proof.tlog_proof import verify_tlog_proof
from tallystick.proof.trust import parse_trust

PAGES = Path(__file__).parents[4] / "docs" / "formats"


def examples(page: str) -> list[str]:
    return re.findall(r"^```\n(.*?)^```$", (PAGES / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)


TRUST = parse_trust(examples("trust-policy.md")[0])


def test_the_checkpoint_is_witnessed_under_the_policy() -> None:
    judgement = TRUST.judge(examples("checkpoint.md")[0])
    assert judgement.checkpoint.size == 7
    assert judgement.witnessed


def test_the_inclusion_proof_is_of_its_leaf() -> None:
    assert verify_tlog_proof(examples("inclusion-proof.md")[0], b"record 4", TRUST).index == 4


def test_the_consistency_proof_extends_the_kept_head() -> None:
    proof, kept = examples("consistency-proof.md")
    verdict = verify_consistency_proof(proof, TRUST.judge(kept).checkpoint, TRUST)
    assert (verdict.old_size, verdict.size) == (3, 7)


def test_the_sorted_tree_proofs_show_absence_and_presence() -> None:
    page = (PAGES / "sorted-tree.md").read_text("utf-8")
    root, absent_id = (base64.b64decode(item) for item in re.findall(r"`([A-Za-z0-9+/]{43}=)`", page))
    absent, present = examples("sorted-tree.md")
    assert verify_sorted_proof(absent, absent_id, 5, root) is False
    assert verify_sorted_proof(present, parse_sorted_proof(present).subject, 5, root) is True
