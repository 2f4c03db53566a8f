"""A chaincode server that dies in the middle of every transaction, after a write that the peer took."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from chaincode.fabric.server import Server, Tls
from chaincode.fabric.stub import Stub


async def die(stub: Stub) -> bytes:
    await stub.write({"provenance/crash": b'"half done"'})
    os._exit(9)


async def main() -> None:
    def read(variable: str) -> bytes:
        return Path(os.environ[variable]).read_bytes()

    tls = Tls(
        read("CHAINCODE_TLS_CERT"),
        read("CHAINCODE_TLS_KEY"),
        read("CHAINCODE_CLIENT_CA_CERT"),
        read("CHAINCODE_PEER_CERT"),
    )
    server = Server(os.environ["CHAINCODE_SERVER_ADDRESS"], os.environ["CHAINCODE_ID"], die, tls)
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
