"""A chaincode that writes and decides nothing, on our server; benchmarks/fabric_go is the same in Go.

``put KEY VALUE`` writes one key, ``put_many PREFIX COUNT VALUE`` writes that many under one prefix.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from chaincode.fabric.__main__ import serve
from chaincode.fabric.errors import ChaincodeError
from chaincode.fabric.server import Server, Tls
from chaincode.fabric.stub import Stub


async def run(stub: Stub) -> bytes:
    match stub.arguments:
        case (b"put", key, value):
            await stub.write({key.decode(): value})
        case (b"put_many", prefix, count, value):
            await stub.write({f"{prefix.decode()}/{number}": value for number in range(int(count))})
        case _:
            raise ChaincodeError("no such transaction")
    return b"done"


def main() -> None:
    def file(variable: str) -> bytes:
        return Path(os.environ[variable]).read_bytes()

    tls = Tls(
        certificate=file("CHAINCODE_TLS_CERT"),
        key=file("CHAINCODE_TLS_KEY"),
        client_roots=file("CHAINCODE_CLIENT_CA_CERT"),
        peer=file("CHAINCODE_PEER_CERT"),
    )
    address, package = os.environ["CHAINCODE_SERVER_ADDRESS"], os.environ["CHAINCODE_ID"]
    asyncio.run(serve(Server(address, package, run, tls)))


if __name__ == "__main__":
    main()
