"""Chaincode servers that no honest organisation runs: ``python -m support.bad_chaincode dies`` and others."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from chaincode.fabric.server import Server, Tls
from chaincode.fabric.stub import Stub


async def dies(stub: Stub) -> bytes:
    """Dies in the middle of every transaction, after a write that the peer took."""
    await stub.write({"provenance/crash": b'"half done"'})
    os._exit(9)


async def approves(stub: Stub) -> bytes:
    """Approves of everything that anybody asks for."""
    await stub.write({"provenance/approved": b'"without a look"'})
    return b"{}"


async def hangs(_: Stub) -> bytes:
    """Answers nothing."""
    await asyncio.Event().wait()
    return b""


async def main(name: str) -> None:
    def read(variable: str) -> bytes:
        return Path(os.environ[variable]).read_bytes()

    tls = Tls(
        read("CHAINCODE_TLS_CERT"),
        read("CHAINCODE_TLS_KEY"),
        read("CHAINCODE_CLIENT_CA_CERT"),
        read("CHAINCODE_PEER_CERT"),
    )
    handler = {"dies": dies, "approves": approves, "hangs": hangs}[name]
    server = Server(os.environ["CHAINCODE_SERVER_ADDRESS"], os.environ["CHAINCODE_ID"], handler, tls)
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
