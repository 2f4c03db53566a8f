"""Makes tests/vectors/fabric: blocks of live networks, with transactions that count and that do not.

    PYTHONPATH=.:plugins:tests python -m support.fabric_vectors tests/vectors/fabric

The networks' keys are gone with them.
"""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2 as kv
from support.fabric_changes import JOINED, joining, revocation, signed_update
from support.fabric_forger import BOTH, Forger, Signer
from support.fabric_network import CHARTER, Live
from support.ledgers import dataset

from tallystick.identity import Authority
from tallystick.network import binaries, operate
from tallystick.network.layout import CHANNEL
from tallystick.proof.fabric.rwset import Version
from tallystick.proof.fabric.validity import summary
from tallystick.settings import Settings

#: The version of the second definition, in the place of a package's digest.
NEXT = "e" * 64


class Vectors:
    """The blocks of a network, read one by one as they come."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.blocks: list[bytes] = []
        self.names: dict[str, int] = {}

    def note(self, name: str) -> int:
        """Read the next block, and know it by a name."""
        number = len(self.blocks)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "block"
            code, told = self.live.run(
                ["channel", "fetch", str(number), str(path), "-c", CHANNEL], user="admin"
            )
            assert code == 0, told
            self.blocks.append(path.read_bytes())
        self.names[name] = number
        return number

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.writestr(zipfile.ZipInfo("names.json"), json.dumps(self.names, indent=1))
            for number, block in enumerate(self.blocks):
                archive.writestr(zipfile.ZipInfo(f"{number:03}.block"), block, zipfile.ZIP_DEFLATED)


def writes(pairs: dict[str, bytes | None], **others: Any) -> Any:
    """A KVRWSet that writes these."""
    return kv.KVRWSet(
        writes=[kv.KVWrite(key=k, value=v or b"", is_delete=v is None) for k, v in pairs.items()], **others
    )


def sets(
    writes: dict[str, bytes | None] | None = None,
    reads: dict[str, tuple[int, int] | None] | None = None,
    **others: Any,
) -> Any:
    """A KVRWSet."""
    return kv.KVRWSet(
        writes=[kv.KVWrite(key=k, value=v or b"", is_delete=v is None) for k, v in (writes or {}).items()],
        reads=[_read(key, version) for key, version in (reads or {}).items()],
        **others,
    )


def _read(key: str, version: tuple[int, int] | None) -> Any:
    at = kv.Version(block_num=version[0], tx_num=version[1]) if version else None
    return kv.KVRead(key=key, version=at)


def raw_range(start: str, end: str, found: dict[str, tuple[int, int]], exhausted: bool = True) -> Any:
    """What a scan read, key by key."""
    reads = kv.QueryReads(kv_reads=[_read(key, version) for key, version in found.items()])
    return kv.RangeQueryInfo(start_key=start, end_key=end, itr_exhausted=exhausted, raw_reads=reads)


def hashed_range(start: str, end: str, found: dict[str, tuple[int, int]], degree: int) -> Any:
    """What a scan read, as the root of a tree. That the tree is Fabric's own, the peers' verdict shows."""
    made = summary(iter((key, Version(*version)) for key, version in found.items()), degree)
    assert made is not None
    hashed = kv.QueryReadsMerkleSummary(
        max_degree=made.max_degree, max_level=made.max_level, max_level_hashes=made.hashes
    )
    return kv.RangeQueryInfo(start_key=start, end_key=end, itr_exhausted=True, reads_merkle_hashes=hashed)


def begin(vectors: Vectors) -> None:
    """Genesis and the contracts' definition."""
    vectors.note("genesis")
    while "commit" not in vectors.names:
        number = vectors.note(f"lifecycle-{len(vectors.blocks)}")
        if b"CommitChaincodeDefinition" in vectors.blocks[number]:
            vectors.names["commit"] = number
    live = vectors.live
    Forger(live, user="admin").send(Forger(live, user="admin").endorsed("charter:adopt", CHARTER))
    vectors.note("charter")


def honest(vectors: Vectors) -> None:
    """What our contracts do, and what competes or comes twice."""
    client = Forger(vectors.live)

    def put(name: str) -> Any:
        return client.endorsed("provenance:register_dataset", dataset(name=name))

    items = [
        {"transaction": "register_dataset", "request": {**dataset(name=f"d{i}"), "request_id": f"r{i}"}}
        for i in range(5)
    ]
    client.send(client.endorsed("provenance:batch", {"items": items}))
    vectors.note("batch")
    first, second = put("same"), put("same")
    client.send(first, second)
    vectors.note("conflict")
    client.send(first)
    vectors.note("replay")
    twice = put("twice")
    client.send(twice, twice)
    vectors.note("twice")
    client.send(
        put("alone-1"), client.endorsed("provenance:register_dataset", dataset(name="a"), ("operator",))
    )
    vectors.note("one endorser")


def forged(vectors: Vectors, version: str) -> None:
    """What peers refuse of clients and single organisations that lie."""
    client, space = Forger(vectors.live), "tallystick"
    put = {"charter/forged": b"1"}
    edited = client.edited(
        client.endorsed("provenance:register_dataset", dataset(name="edited")), b"edited", b"EDITED"
    )
    cases = {
        "BAD_PROPOSAL_TXID": client.forged({space: sets(put)}, version=version, transaction_id="0" * 64),
        "INVALID_ENDORSER_TRANSACTION": client.forged({space: sets(put)}, version=version, asked=b"1" * 32),
        "edited": edited,
        "operator and auditor": client.forged(
            {space: sets(put)}, version=version, by=("operator", "auditor")
        ),
        "high S": client.forged({space: sets(put)}, version=version, low=False),
        "same endorser twice": client.forged({space: sets(put)}, version=version, by=("regulator",) * 2),
        "no chaincode": client.forged({"nothing": sets(put)}, version="1", chaincode="nothing"),
        "another namespace": client.forged({space: sets(put), "nothing": sets(put)}, version=version),
        "event": client.forged(
            {space: sets(put)}, version=version, event=("records", b"x"), foreign_event=True
        ),
        "twice a namespace": client.forged(
            {
                "a": rwset_pb2.NsReadWriteSet(namespace=space, rwset=sets(put).SerializeToString()),
                "b": rwset_pb2.NsReadWriteSet(namespace=space, rwset=sets(put).SerializeToString()),
            },
            version=version,
        ),
        "lifecycle": client.forged(
            {"_lifecycle": sets({"namespaces/fields/tallystick/Sequence": b"1"})},
            version="syscc",
            chaincode="_lifecycle",
            by=("operator", "auditor"),
        ),
    }
    for name, envelope in cases.items():
        client.send(envelope)
        vectors.note(name)


def ranges(vectors: Vectors, version: str) -> None:
    """Reads and scans that hold and that do not, as two organisations might endorse them."""
    client, space = Forger(vectors.live), "tallystick"
    keys = [f"charter/range/{i:03}" for i in range(40)]
    name = "provenance:read"

    def send(called: str, content: Any, *more: Any) -> int:
        client.send(*(client.forged({space: each}, version=version, name=name) for each in (content, *more)))
        return vectors.note(called)

    block = send("range", sets({key: b"1" for key in keys}))
    at = {key: (block, 0) for key in keys}
    start, end = "charter/range/", "charter/range0"
    some = dict(list(at.items())[:3])
    send("read holds", sets(reads={keys[0]: (block, 0), "charter/none": None}))
    send("read of another version", sets(reads={keys[0]: (block, 1)}))
    send("read of what is absent", sets(reads={"charter/none": (0, 0)}))
    send("range holds", sets(range_queries_info=[raw_range(start, end, at)]))
    send("range cut off holds", sets(range_queries_info=[raw_range(start, keys[2], some, exhausted=False)]))
    send("range misses one", sets(range_queries_info=[raw_range(start, end, some)]))
    for degree in (2, 3, 5, 39):
        send(f"summary {degree}", sets(range_queries_info=[hashed_range(start, end, at, degree)]))
    send("summary misses one", sets(range_queries_info=[hashed_range(start, keys[-1], at, 5)]))
    scan = sets(range_queries_info=[raw_range(start, end, at)])
    send("phantom in the block", sets({"charter/range/new": b"1"}), scan)
    read = sets(reads={keys[5]: (block, 0)})
    send("deleted in the block", sets({keys[5]: None}), read)
    guess = {keys[6]: (len(vectors.blocks), 0)}
    send("version guessed", sets({keys[6]: b"2"}), sets(reads=guess))
    send("absence guessed", sets({keys[6]: None}), sets(reads={keys[6]: None}))
    send("deleted", scan, sets(reads={keys[5]: None}))


def colluding(vectors: Vectors, version: str) -> None:
    """What two organisations can have counted, and what the contracts would never have done."""
    client, space = Forger(vectors.live, user="admin"), "tallystick"
    own = {space: sets({"charter/forged": b"1"})}
    metadata = kv.KVMetadataWrite(
        key="charter/forged", entries=[kv.KVMetadataEntry(name="VALIDATION_PARAMETER", value=b"")]
    )
    private = rwset_pb2.CollectionHashedReadWriteSet(
        collection_name="_implicit_org_OperatorMSP",
        hashed_rwset=kv.HashedRWSet(hashed_reads=[kv.KVReadHash(key_hash=bytes(32))]).SerializeToString(),
    )
    law = {"namespaces/fields/another/Remark": b"1"}
    early = Forger(vectors.live, user="admin")
    early.signer = not_yet_valid(vectors.live)
    cases: dict[str, Any] = {
        "other package": client.forged(own, version="f" * 64),
        "refused": client.forged(own, version=version, status=400),
        "event that is none": client.forged(own, version=version, event=("records", b"no list")),
        "spaces in the records": client.forged(own, version=version, event=("records", b'[ {"a":1}]')),
        "other event": client.forged(own, version=version, event=("other", b'[{"a":1}]')),
        "no transaction": client.forged(own, version=version, name="charter"),
        "not yet valid": early.forged(own, version=version),
        "another chaincode's state": client.forged({**own, "_lifecycle": sets(law)}, version=version),
        "private data": client.forged(
            {space: rwset_pb2.NsReadWriteSet(namespace=space, collection_hashed_rwset=[private])},
            version=version,
        ),
        "key policy": client.forged({space: sets(metadata_writes=[metadata])}, version=version),
    }
    for name, envelope in cases.items():
        client.send(envelope)
        vectors.note(f"colluding: {name}")


def beside_private_data(vectors: Vectors) -> None:
    """One organisation's word on its own private data, which is no word on what all share.

    The last block: that organisation's peer then looks a minute for the data.
    """
    hashed = kv.HashedRWSet(hashed_writes=[kv.KVWriteHash(key_hash=bytes(32), value_hash=b"1" * 32)])
    private = rwset_pb2.CollectionHashedReadWriteSet(
        collection_name="_implicit_org_RegulatorMSP", hashed_rwset=hashed.SerializeToString()
    )
    content = rwset_pb2.NsReadWriteSet(
        namespace="tallystick",
        rwset=sets({"charter/forged": b"1"}).SerializeToString(),
        collection_hashed_rwset=[private],
    )
    client = Forger(vectors.live, user="admin")
    client.send(client.forged({"tallystick": content}, version=NEXT, by=("regulator",)))
    vectors.note("colluding: beside private data")


def not_yet_valid(live: Live) -> Signer:
    """A client of the operator's from tomorrow on: Fabric lets it write today."""
    authority = Authority.load(live.layout.organisations / "OperatorMSP")
    with tempfile.TemporaryDirectory() as directory:
        member = Path(directory) / "client"
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        authority.issue("early", ("pipeline",), not_before=tomorrow).save(member)
        return Signer("OperatorMSP", member)


def revoked(vectors: Vectors, version: str) -> None:
    """A certificate is revoked by its organisation; another of the same organisation goes on."""
    live = vectors.live
    revoking = revocation(live, vectors.blocks[0], "OperatorMSP", Forger(live).signer.certificate)
    admin = Forger(live, user="admin")
    update = signed_update(revoking, [admin.signer])
    header = admin.header(common_pb2.CONFIG_UPDATE)
    admin.send(admin.signed(common_pb2.Payload(header=header, data=update.SerializeToString())))
    vectors.note("revocation")
    reader = Forger(live, "auditor", "admin")
    reader.send(reader.forged({"tallystick": sets()}, version=version, name="provenance:read"))
    vectors.note("after revocation")


def upgrade(vectors: Vectors) -> None:
    """The three agree on another package, while a transaction under the old one is under way."""
    live, client = vectors.live, Forger(vectors.live)
    late = client.endorsed("provenance:register_dataset", dataset(name="late"))
    before = len(vectors.blocks)
    policy = "AND('RegulatorMSP.peer','OperatorMSP.peer')"
    definition = ["-C", CHANNEL, "-n", "tallystick", "-v", NEXT, "--sequence", "2"]
    definition += ["--signature-policy", policy]
    for organisation in ("operator", "regulator", "auditor"):
        identifier = ["--package-id", live.network.package_id]
        arguments = ["lifecycle", "chaincode", "approveformyorg", *definition, *identifier]
        code, told = live.run([*arguments, *live.orderer(organisation, "admin")], organisation, "admin")
        assert code == 0, told
    arguments = ["lifecycle", "chaincode", "commit", *definition, *live.orderer("operator", "admin")]
    for organisation in ("operator", "regulator", "auditor"):
        arguments += live.endorser(organisation)
    code, told = live.run(arguments, "operator", "admin")
    assert code == 0, told
    while "upgrade" not in vectors.names:
        number = vectors.note(f"upgrade-{len(vectors.blocks) - before}")
        if b"CommitChaincodeDefinition" in vectors.blocks[number]:
            vectors.names["upgrade"] = number
    client.send(late)
    vectors.note("late")
    client.send(client.endorsed("provenance:register_dataset", dataset(name="upgraded")))
    vectors.note("upgraded")
    own = {"tallystick": sets({"charter/forged": b"1"})}
    client.send(client.forged(own, version=NEXT, by=("regulator", "auditor")))
    vectors.note("upgraded, by the old policy")


def joined(vectors: Vectors) -> None:
    """A fourth organisation joins, as the application's admins agree, and a client of it writes."""
    live = vectors.live
    with tempfile.TemporaryDirectory() as directory:
        authority = Authority.create(JOINED, Path(directory) / JOINED)
        member = Path(directory) / "client"
        authority.issue("new", ("reader",)).save(member)
        signer = Signer(JOINED, member)
    admins = [Forger(live, organisation, "admin") for organisation in BOTH]
    root = authority.certificate.public_bytes(serialization.Encoding.PEM)
    change = joining(vectors.blocks[vectors.names["revocation"]], root)
    update = signed_update(change, [a.signer for a in admins])
    header = admins[0].header(common_pb2.CONFIG_UPDATE)
    admins[0].send(admins[0].signed(common_pb2.Payload(header=header, data=update.SerializeToString())))
    vectors.note("joined")
    client = Forger(live, user="admin")
    client.signer = signer
    client.send(client.forged({"tallystick": sets()}, version=NEXT, name="provenance:read"))
    vectors.note("by who joined")


def version_of(live: Live) -> str:
    """The digest of the contracts that the network runs."""
    return live.network.package


def raft(vectors: Vectors) -> None:
    """One Raft orderer: everything."""
    version = version_of(vectors.live)
    begin(vectors)
    honest(vectors)
    forged(vectors, version)
    ranges(vectors, version)
    upgrade(vectors)
    revoked(vectors, NEXT)
    joined(vectors)
    colluding(vectors, NEXT)
    beside_private_data(vectors)


def bft(vectors: Vectors) -> None:
    """Four orderers: what differs is how they sign."""
    begin(vectors)
    revoked(vectors, version_of(vectors.live))


def main(target: Path) -> None:
    """Bring up each network, make its blocks, and write them."""
    programs = binaries.find(Settings.from_environment().cache_dir)
    for consensus, scenario in (("raft", raft), ("bft", bft)):
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory) / "fabric"
            live = Live.up(root, programs, consensus)
            try:
                vectors = Vectors(live)
                scenario(vectors)
                vectors.write(target / f"{consensus}.zip")
            finally:
                operate.down(root, erase=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
