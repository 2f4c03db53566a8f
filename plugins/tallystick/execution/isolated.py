"""Contracts that are not the installed ones, run in a process of their own.

What the process says is an answer to be compared with a block, and nothing more: the state that it
runs on is served from this side, and the versions of what it read are noted here. What it can do and
what it cannot: docs/formats/contract-package.md.
"""

from __future__ import annotations

import base64
import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

from chaincode import canonical, host_limits
from chaincode.errors import Refusal
from tallystick.errors import CouldNotCheck
from tallystick.execution.simulate import Call, Scan, Simulation, Snapshot, Version, page_digest

_CHILD: Final = Path(__file__).with_name("child.py")
_SECONDS: Final = 60.0
_SECONDS_MORE: Final = 0.1
#: A transaction's records are 4 MiB at most; nobody writes as much state beside them.
_MOST_BYTES: Final = 16 << 20
_MOST_READS: Final = 100_000
_PIECE: Final = 1 << 20
_NO_ANSWER: Final = "gave what is no answer"
_encode: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


class Patience:
    """How long packages may take: ``seconds``, and ``more`` for each transaction that was run.

    Whoever runs several packages gives all of them one, so that they have that long together.
    """

    def __init__(self, seconds: float = _SECONDS, more: float = _SECONDS_MORE) -> None:
        self._most = self._left = seconds
        self._more = more

    @contextmanager
    def spending(self) -> Iterator[float]:
        """Yields by when (of the monotonic clock) what is done now must be done; what it took is spent."""
        start = time.monotonic()
        try:
            yield start + min(self._left, self._most)
        finally:
            self._left += self._more - (time.monotonic() - start)


class IsolatedContracts:
    """The package ``files`` (by path below chaincode/) in a process of its own, until `close`.

    Raises `CouldNotCheck`, at once and in every call, where the process cannot be started, ends, takes
    longer than ``patience`` has left or gives what is no answer. It is gone then.
    """

    def __init__(self, files: Mapping[str, bytes], patience: Patience) -> None:
        self._patience = patience
        folder = tempfile.TemporaryDirectory(prefix="contracts-", ignore_cleanup_errors=True)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", str(_CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd=folder.name,
                env={},
                start_new_session=True,
            )
        except OSError as error:
            folder.cleanup()
            raise CouldNotCheck(f"no process could be started to run it: {error.strerror}") from error
        self._folder = folder
        for pipe in (self._process.stdin, self._process.stdout):
            os.set_blocking(pipe.fileno(), False)  # type: ignore[union-attr]
        package = [[path, base64.b64encode(data).decode()] for path, data in files.items()]
        with patience.spending() as deadline:
            if self._exchange(package, deadline) != "ready":
                self._fail(_NO_ANSWER)

    def run(self, snapshot: Snapshot, call: Call, likely: Iterable[str] = ()) -> Simulation:
        """As `tallystick.execution.simulate.simulate`; ``likely`` are keys that will probably be read.

        Raises the contract's `Refusal` (its code, without facts) and `CouldNotCheck`.
        """
        serving = _Serving(snapshot)
        with self._patience.spending() as deadline:
            try:
                asked = {
                    "caller": [call.caller.msp_id, call.caller.enrolment_id, sorted(call.caller.roles)],
                    "contract": call.contract,
                    "id": call.transaction_id,
                    "known": [[key, serving.get(key)] for key in likely],
                    "request": call.request.decode(),
                    "time": call.claimed_time,
                    "transaction": call.transaction,
                }
                return self._converse(serving, asked, deadline)
            except (TypeError, ValueError, KeyError, AttributeError):
                self._fail(_NO_ANSWER)

    def _converse(self, serving: _Serving, asked: Any, deadline: float) -> Simulation:
        answer = self._exchange(asked, deadline)
        while True:
            match answer:
                case {"get": key, **rest} if not rest:
                    answer = self._exchange(serving.get(key), deadline)
                case {"scan": [start, end, limit], **rest} if not rest:
                    answer = self._exchange(serving.scan(start, end, limit), deadline)
                case {"refused": str(code), **rest} if not rest:
                    raise Refusal(code)
                case _:
                    return serving.simulation(answer)

    def close(self) -> None:
        """End the process; safe to call again."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()  # type: ignore[union-attr]
        self._folder.cleanup()

    def _exchange(self, message: Any, deadline: float) -> Any:
        """Send one message and wait for the next; every wait ends at ``deadline``."""
        if self._process.returncode is not None:
            self._fail("ended")
        data = _encode(message).encode()
        self._send(struct.pack(">I", len(data)) + data, deadline)
        size = struct.unpack(">I", self._receive(4, deadline))[0]
        if size > _MOST_BYTES:
            self._fail(_NO_ANSWER)
        try:
            return canonical.decode(self._receive(size, deadline))
        except canonical.NotCanonical:
            self._fail(_NO_ANSWER)

    def _send(self, data: bytes, deadline: float) -> None:
        pipe, rest = self._process.stdin.fileno(), memoryview(data)  # type: ignore[union-attr]
        while rest:
            self._wait(pipe, select.POLLOUT, deadline)
            try:
                rest = rest[os.write(pipe, rest[:_PIECE]) :]
            except BlockingIOError:
                continue
            except OSError:
                self._fail("ended")

    def _receive(self, size: int, deadline: float) -> bytes:
        pipe, pieces = self._process.stdout.fileno(), []  # type: ignore[union-attr]
        while size:
            self._wait(pipe, select.POLLIN, deadline)
            piece = os.read(pipe, min(size, _PIECE))
            if not piece:
                self._fail("ended")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(pipe, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            self._fail("took too long")

    def _fail(self, how: str) -> NoReturn:
        self.close()
        raise CouldNotCheck(f"the process that ran it {how}")


class _Serving:
    """Serves one transaction's reads from a snapshot, and notes what was read there: so much and no more."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._versions: dict[str, Version | None] = {}
        self._scans: list[Scan] = []

    def get(self, key: Any) -> str | None:
        self._note(key)
        found = self._snapshot.get(key)
        self._versions[key] = found[1] if found else None
        return found[0].decode() if found else None

    def scan(self, start: Any, end: Any, limit: Any) -> list[list[str]]:
        if type(limit) is not int or not 1 <= limit <= host_limits.MAX_SCAN:
            raise ValueError
        self._note(start, end)
        page = self._snapshot.scan(start, end, limit)
        self._scans.append(Scan(start, end, limit, page_digest(page)))
        return [[key, value.decode()] for key, value, _ in page]

    def _note(self, *keys: Any) -> None:
        if any(len(_text(key)) > host_limits.MAX_KEY for key in keys):
            raise ValueError
        if len(self._versions) + len(self._scans) >= _MOST_READS:
            raise ValueError

    def simulation(self, answer: Any) -> Simulation:
        """What the transaction did. Raises what `IsolatedContracts.run` takes for no answer."""
        if answer.keys() != {"reads", "records", "response", "writes"}:
            raise ValueError
        return Simulation(
            {key: self._versions[key] for key in answer["reads"]},
            tuple(self._scans),
            {_text(key): None if text is None else text.encode() for key, text in answer["writes"]},
            tuple(record.encode() for record in answer["records"]),
            answer["response"].encode(),
        )


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError
    return value
