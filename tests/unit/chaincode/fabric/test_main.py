"""The chaincode's process: it starts with the contracts it was told, or not at all."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.chaincode_server import keys

import chaincode
from chaincode.fabric.__main__ import configured, main, serve
from chaincode.fabric.package import digest_of, manifest

PACKAGE = Path(chaincode.__file__).parent


def environment(directory: Path, **changed: str) -> dict[str, str]:
    files = {
        "CHAINCODE_TLS_CERT": keys().server[0],
        "CHAINCODE_TLS_KEY": keys().server[1],
        "CHAINCODE_CLIENT_CA_CERT": keys().root,
        "CHAINCODE_PEER_CERT": keys().peer[0],
    }
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PACKAGE.parent),
        "CHAINCODE_SERVER_ADDRESS": f"127.0.0.1:{free_port()}",
        "CHAINCODE_ID": "law_1:abc",
        "CHAINCODE_DIGEST": digest_of(manifest(PACKAGE)),
        **{name: str(directory / name) for name in files},
        **changed,
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(env: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "chaincode.fabric"]
    return subprocess.Popen(command, env=env, cwd="/", stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"CHAINCODE_DIGEST": "0" * 64}, "and 000000000000 is what was committed"),
        ({"CHAINCODE_DIGEST": ""}, "CHAINCODE_DIGEST is not set"),
        ({"CHAINCODE_TLS_KEY": "/absent"}, "CHAINCODE_TLS_KEY: /absent cannot be read"),
        ({"CHAINCODE_PEER_CERT": "/dev/null"}, "not in PEM"),
        ({"CHAINCODE_SERVER_ADDRESS": "nowhere"}, "nowhere cannot be listened on"),
    ],
)
def test_it_does_not_start_with_what_it_was_told(tmp_path: Path, changed: dict[str, str], said: str):
    process = start(environment(tmp_path, **changed))
    _, told = process.communicate(timeout=20)
    assert process.returncode == 2
    assert said in told
    assert "Traceback" not in told


def test_the_process_it_is_run_in_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in environment(tmp_path, CHAINCODE_DIGEST="0" * 64).items():
        monkeypatch.setenv(name, value)
    assert main() == 2


def test_it_listens_until_it_is_asked_to_end(tmp_path: Path):
    env = environment(tmp_path)

    async def run() -> None:
        serving = asyncio.create_task(serve(configured(env)))
        while not listens(env):
            await asyncio.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 10)

    asyncio.run(run())
    assert not listens(env)


def listens(env: dict[str, str]) -> bool:
    host, _, port = env["CHAINCODE_SERVER_ADDRESS"].partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_it_serves_and_ends_when_asked(tmp_path: Path):
    env = environment(tmp_path)
    process = start(env)
    while not listens(env) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=10)
    assert (process.returncode, "Traceback" in told) == (0, False)
