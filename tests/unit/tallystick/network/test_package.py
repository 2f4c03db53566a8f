"""The chaincode package follows from the digest of the contracts alone, byte by byte."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

from tallystick.network.package import package, package_id

DIGEST = "0123456789abcdef" * 4


def files(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}  # type: ignore[union-attr]


def test_it_holds_the_digest_and_no_address_or_key() -> None:
    outer = files(package(DIGEST))
    assert json.loads(outer["metadata.json"]) == {"type": "ccaas", "label": "tallystick_0123456789ab"}
    assert {name: json.loads(data) for name, data in files(outer["code.tar.gz"]).items()} == {
        "law.json": {"chaincode": f"sha256:{DIGEST}"}
    }


def test_its_bytes_are_the_same_wherever_it_is_made() -> None:
    assert hashlib.sha256(package(DIGEST)).hexdigest() == SHA256
    assert package_id(DIGEST) == f"tallystick_0123456789ab:{SHA256}"
    assert package_id(DIGEST[::-1]) != package_id(DIGEST)


SHA256 = "ceb35396182046790bb57ff3bb18275b234dfe142726a6fd327d629b81dd8823"
