"""The examples on the format pages are real: blocks, leaves and records say what the pages say."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

from chaincode import canonical
from chaincode.charter.records import CHARTER
from chaincode.fabric.package import digest_of
from chaincode.provenance import records as provenance
from tallystick.proof import merkle
from tallystick.proof.block import Block, Config, judge_config, origin_of, parse_block
from tallystick.proof.leaves import block_leaf, envelope_leaves
from tallystick.proof.membership import Membership
from tallystick.proof.note import parse_vkey
from tallystick.proof.trust import NO_QUORUM, TrustPolicy

PAGES = Path(__file__).parents[2] / "docs" / "formats"
KINDS = {kind.name: kind for kind in vars(provenance).values() if isinstance(kind, provenance.Kind)}
ADDED = {"attestation": {"count", "time"}}


def examples(page: str) -> list[str]:
    text = (PAGES / page).read_text("utf-8")
    return re.findall(r"^```\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def parsed_block(number: int, example: int) -> Block:
    headers = examples("block.md")[0].splitlines()
    data = canonical.encode(json.loads(examples("block.md")[example]))
    return parse_block(headers[number].encode(), data)


def genesis() -> tuple[Block, Config]:
    block = parsed_block(0, 1)
    assert block.config is not None
    return block, block.config


def test_canonical_json_has_these_bytes_and_this_digest() -> None:
    text, digest = (example.rstrip("\n") for example in examples("canonical.md"))
    assert canonical.encode(canonical.decode(text.encode())) == text.encode()
    assert canonical.digest(text.encode()) == digest.strip()


def test_the_blocks_follow_on_one_another_and_were_signed_by_members() -> None:
    block, config = genesis()
    assert judge_config(config, block.config_creator, block.config_signature, None).roles == {"admin"}
    headers = [json.loads(line) for line in examples("block.md")[0].splitlines()]
    for before, after in zip(examples("block.md")[0].splitlines(), headers[1:], strict=False):
        assert after["previous"] == sha256(before.encode()).hexdigest()
    (envelope,) = parsed_block(2, 2).envelopes
    assert envelope.proposal["origin"] == origin_of(config.name, block.header.digest)


def test_the_leaves_are_those_of_the_blocks_and_give_the_signed_head() -> None:
    leaves = [leaf.encode() for leaf in examples("leaves.md")[0].splitlines()]
    first, config = genesis()
    block = parsed_block(2, 2)
    (envelope,) = block.envelopes
    member = Membership(config.msps).verify(
        envelope.creator, envelope.signature, envelope.proposal_bytes, envelope.proposal["time"]
    )
    digest = sha256(envelope.encoded).hexdigest()
    assert leaves[0] == block_leaf(first.header, config, 0, 0)
    assert leaves[4:] == [
        block_leaf(block.header, None, 1, 0),
        *envelope_leaves(envelope, member, config.package, digest),
    ]
    note, vkey = examples("leaves.md")[1:3]
    head = TrustPolicy((parse_vkey(vkey.strip()),), {}, {}, NO_QUORUM).judge(note).checkpoint
    assert (head.size, head.root) == (len(leaves), merkle.root([merkle.leaf_hash(leaf) for leaf in leaves]))


def test_there_is_a_record_of_every_kind_and_each_has_its_shape() -> None:
    lines = [line.encode() for line in examples("records.md")[0].splitlines()]
    values = [canonical.decode(line) for line in lines]
    assert {value["kind"] for value in values} == {"charter", *KINDS}
    digests = {value["id"]: canonical.digest(line) for value, line in zip(values, lines, strict=True)}
    for value in values:
        body = {key: item for key, item in value["body"].items() if key not in ADDED.get(value["kind"], ())}
        if value["kind"] == "charter":
            CHARTER(body, "body")
            continue
        kind = KINDS[value["kind"]]
        kind.shape(body, "body")
        assert value["id"] == kind.record_id(body)
        for item in body.values():
            if isinstance(item, dict) and item.keys() == {"id", "digest"}:
                assert item["digest"] == {"sha256": digests[item["id"]]}


def test_every_field_of_every_kind_stands_on_the_page() -> None:
    page = (PAGES / "records.md").read_text("utf-8")
    (example,) = examples("records.md")
    for record in map(json.loads, example.splitlines()):
        section = re.search(rf"^## {record['kind']}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
        assert section is not None, record["kind"]
        missing = [name for name in record["body"] if f"`{name}`" not in section[1]]
        assert [name for name in missing if name not in ("request_id", "task")] == []


def test_every_refusal_of_a_contract_stands_on_the_page() -> None:
    law = PAGES.parents[1] / "chaincode"
    codes = {
        code
        for path in law.rglob("*.py")
        for code in re.findall(r'Refusal\(\s*"([A-Z_]+)"', path.read_text())
    }
    # A contract's own refusals, and those of its host on Fabric.
    page = "".join((PAGES / name).read_text("utf-8") for name in ("records.md", "chaincode-service.md"))
    assert len(codes) > 20
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []


def test_the_package_has_the_digest_of_its_manifest() -> None:
    manifest, digest = examples("contract-package.md")[0].splitlines()
    files = {"__init__.py": b"", "rules.py": b"LIMIT = 1000\n"}
    assert canonical.decode(manifest.encode()) == {
        name: canonical.digest(data) for name, data in files.items()
    }
    assert digest_of(files) == digest
