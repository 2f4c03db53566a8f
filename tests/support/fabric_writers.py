"""Writers that go on while processes are killed, on our port and on the raw gateway, and what they saw."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from support import ledgers
from support.fabric_client import submit
from support.fabric_network import Live
from support.ledgers import PARTIES

from chaincode import canonical
from tallystick.clients import charter
from tallystick.errors import CouldNotCheck
from tallystick.identity import Identity, generate_log_key
from tallystick.ledger.channel.ledger import ChannelLedger
from tallystick.ledger.fabric import (
    CommitStatusError,
    Deadlines,
    EndorseError,
    Profile,
    SubmitError,
    load_profile,
)
from tallystick.ledger.port import Call

_ANEW = (CouldNotCheck, EndorseError, SubmitError, CommitStatusError)


def _profile(live: Live) -> Profile:
    # The file names whichever channel was begun or started last.
    return replace(load_profile(live.layout.profiles / "operator.yaml"), channel=live.layout.channel)


def _user(live: Live, name: str) -> Identity:
    return Identity.load(live.layout.user("OperatorMSP", name), "OperatorMSP")


def opened(live: Live, directory: Path, deadlines: Deadlines | None = None) -> closing[ChannelLedger]:
    """The channel behind our port, for the operator's pipeline."""
    ledger = ChannelLedger(
        _profile(live),
        directory / "channel",
        reader=_user(live, "pipeline"),
        log_key=generate_log_key(directory / "log.pem"),
        deadlines=deadlines,
    )
    return closing(ledger)


def adopt(live: Live, directory: Path) -> None:
    """Adopt the charter of the channel's own log."""
    with opened(live, directory) as ledger:
        grants = {"pipeline": [("operator", "pipeline")]}
        charter.adopt(ledger, _user(live, "admin"), parties=PARTIES, independent="regulator", grants=grants)


@dataclass
class Acknowledged:
    """A transaction that a writer was told is recorded."""

    name: str
    transaction_id: str
    seconds: float


@dataclass
class Writers:
    """Eight threads, half of them on the ledger and half on the gateway, that register datasets.

    What fails is asked for again, by the same request, as the error says.
    """

    live: Live
    directory: Path
    acknowledged: list[Acknowledged] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def __enter__(self) -> Writers:
        self._open = ExitStack()
        self.ledger = self._open.enter_context(opened(self.live, self.directory))
        profile, self._member = _profile(self.live), self.ledger.reader
        connections = self._open.enter_context(profile.connect())
        self._gateway = profile.gateway(connections, self._member)
        self._end, self._given_up = threading.Event(), threading.Event()
        self.first = self.ledger.height
        pool = self._open.enter_context(ThreadPoolExecutor(8))
        self._open.callback(self._give_up)
        self._threads: list[Future[None]] = [pool.submit(self._write, number) for number in range(8)]
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def wait(self, more: int, seconds: float) -> None:
        """Until so many more are acknowledged. Raises AssertionError where that takes longer."""
        target, ends = len(self.acknowledged) + more, time.monotonic() + seconds
        while len(self.acknowledged) < target:
            for thread in self._threads:
                assert not thread.done(), thread.exception()
            assert time.monotonic() < ends, f"nothing for {seconds} s; last of all: {self.failures[-1:]}"
            time.sleep(0.02)

    def stop(self, seconds: float) -> None:
        """Let every writer end what it is at."""
        self._end.set()
        for thread in self._threads:
            thread.result(timeout=seconds)

    def recorded(self) -> dict[str, list[str]]:
        """The transactions that recorded each dataset, by its id, as the log has them."""
        found: dict[str, list[str]] = {}
        for block in self.ledger.log(self.first):
            for transaction in block.transactions:
                for record in transaction.records:
                    found.setdefault(canonical.decode(record.content)["id"], []).append(transaction.id)
        return found

    def _give_up(self) -> None:
        self._given_up.set()
        self._end.set()

    def _write(self, writer: int) -> None:
        number = 0
        while not self._end.is_set():
            name, number = f"w{self.first}-{writer}-{number}", number + 1
            began = time.monotonic()
            while not self._given_up.is_set():
                try:
                    transaction_id = self._once(writer, name)
                except _ANEW as error:
                    self.failures.append(error)
                    time.sleep(0.1)
                    continue
                self.acknowledged.append(Acknowledged(name, transaction_id, time.monotonic() - began))
                break

    def _once(self, writer: int, name: str) -> str:
        request: Any = ledgers.dataset(name=name)
        if writer % 2:
            return submit(self._gateway, "provenance:register_dataset", request).transaction_id
        return self.ledger.submit(
            self._member, Call("provenance", "register_dataset", request)
        ).transaction_id
