"""``python -m chaincode.fabric``: serves the contracts to one peer, told what it is by its environment.

CHAINCODE_SERVER_ADDRESS  where to listen, host:port
CHAINCODE_ID              the package id that the peer gave at installation, label:digest
CHAINCODE_DIGEST          the digest of the contract package that was committed; others do not start
CHAINCODE_TLS_CERT, CHAINCODE_TLS_KEY    files: the server's own certificate and key
CHAINCODE_CLIENT_CA_CERT  file: who issued the peer's certificate
CHAINCODE_PEER_CERT       file: the certificate of the one peer that is admitted

Exits with 2 where it cannot start with that, and with 0 after SIGTERM or SIGINT.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from chaincode.catalogue import invoke
from chaincode.fabric.errors import ConfigurationError
from chaincode.fabric.host import host
from chaincode.fabric.package import digest_of, manifest
from chaincode.fabric.server import Server, Tls

_GRACE_SECONDS: Final = 5.0
_UNUSABLE: Final = 2


def configured(env: Mapping[str, str]) -> Server:
    """The server that ``env`` describes, not yet listening. Raises `ConfigurationError`."""
    digest = digest_of(manifest(Path(__file__).resolve().parents[1]))
    told = _required(env, "CHAINCODE_DIGEST")
    if told != digest:
        raise ConfigurationError(
            f"the contracts here are {digest[:12]}, and {told[:12]} is what was committed"
        )
    tls = Tls(
        certificate=_file(env, "CHAINCODE_TLS_CERT"),
        key=_file(env, "CHAINCODE_TLS_KEY"),
        client_roots=_file(env, "CHAINCODE_CLIENT_CA_CERT"),
        peer=_file(env, "CHAINCODE_PEER_CERT"),
    )
    address, chaincode_id = _required(env, "CHAINCODE_SERVER_ADDRESS"), _required(env, "CHAINCODE_ID")
    return Server(address, chaincode_id, host(invoke), tls)


async def serve(server: Server) -> None:
    """Serve until SIGTERM or SIGINT. Raises `ConfigurationError` where the address cannot be listened on."""
    await server.start()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await server.stop(_GRACE_SECONDS)


def _required(env: Mapping[str, str], variable: str) -> str:
    if not env.get(variable):
        raise ConfigurationError(f"{variable} is not set")
    return env[variable]


def _file(env: Mapping[str, str], variable: str) -> bytes:
    path = Path(_required(env, variable))
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{variable}: {path} cannot be read: {error.strerror}") from None


def main() -> int:
    """The entry; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        asyncio.run(serve(configured(os.environ)))
    except ConfigurationError as error:
        print(f"chaincode does not start: {error}", file=sys.stderr)  # noqa: T201
        return _UNUSABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
