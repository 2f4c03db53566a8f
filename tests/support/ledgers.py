"""Ledgers for tests: three organisations, a clock that can be set, and requests that are well formed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509

from chaincode import catalogue
from tallystick.clients import charter
from tallystick.execution.simulate import Invoke
from tallystick.identity import (
    Authority,
    Identity,
    create_organisation,
    generate_log_key,
    load_log_key,
    load_msp,
    load_user,
)
from tallystick.ledger.embedded.genesis import create_ledger, reconfigure
from tallystick.ledger.embedded.ledger import EmbeddedLedger
from tallystick.ledger.port import Call, Ledger, LoggedRecord
from tallystick.proof.trust import parse_trust

H = "a" * 64
USERS = {"admin": ("admin",), "pipeline": ("pipeline",), "reader": ("reader",)}
PARTIES = {"operator": "OperatorMSP", "regulator": "RegulatorMSP", "auditor": "AuditorMSP"}


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass
class SettableClock:
    """Milliseconds since the epoch: the real clock's, moved by ``offset``."""

    offset: int = 0

    def __call__(self) -> int:
        return now() + self.offset


class Host(Protocol):
    """Any ledger with its parties' identities, by party and user."""

    @property
    def ledger(self) -> Ledger: ...
    def user(self, party: str, name: str) -> Identity: ...


@dataclass
class EmbeddedHost:
    """An embedded ledger with all that a test may want to change of it."""

    ledger: EmbeddedLedger
    directory: Path
    authorities: Mapping[str, Authority]
    clock: SettableClock = field(default_factory=SettableClock)

    def user(self, party: str, name: str) -> Identity:
        return load_user(self.directory / "msp", PARTIES[party], name)

    @property
    def pipeline(self) -> Identity:
        return self.user("operator", "pipeline")

    def submit(
        self, transaction: str, request: Any, *, identity: Identity | None = None, **options: Any
    ) -> Any:
        """The response of a provenance transaction."""
        call = Call("provenance", transaction, request)
        return self.ledger.submit(identity or self.pipeline, call, **options).response


def make_host(directory: Path, *, invoke: Invoke = catalogue.invoke, adopt: bool = True) -> EmbeddedHost:
    """A new embedded ledger below ``directory``; its charter is adopted unless ``adopt`` is false."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    authorities = {
        party: create_organisation(directory / "msp", msp_id, USERS, not_before=yesterday)
        for party, msp_id in PARTIES.items()
    }
    admin = load_user(directory / "msp", "OperatorMSP", "admin")
    create_ledger(
        directory / "ledger.db",
        name="tallystick.example/test",
        msps=[load_msp(directory / "msp" / msp_id) for msp_id in PARTIES.values()],
        admin=admin,
        log_key=generate_log_key(directory / "log.pem"),
    )
    host = EmbeddedHost(open_embedded(directory, invoke=invoke), directory, authorities)
    host.ledger.close()
    host.ledger = open_embedded(directory, invoke=invoke, clock=host.clock)
    if adopt:
        adopt_charter(host)
    return host


def open_embedded(directory: Path, **options: Any) -> EmbeddedLedger:
    """The ledger that `make_host` made, open once more."""
    return EmbeddedLedger(directory / "ledger.db", log_key=load_log_key(directory / "log.pem"), **options)


def revoke_reader(host: EmbeddedHost) -> str:
    """Revoke the operator's reader by a new configuration; returns the certificate's serial number."""
    certificate = host.user("operator", "reader").certificate_pem
    host.authorities["operator"].revoke([certificate])
    msps = [load_msp(host.directory / "msp" / msp_id) for msp_id in PARTIES.values()]
    reconfigure(host.ledger, host.user("operator", "admin"), msps=msps)
    return f"{x509.load_pem_x509_certificate(certificate).serial_number:x}"


def vkey(ledger: Ledger) -> str:
    """The one key that signs the heads of an embedded ledger."""
    (log,) = parse_trust(ledger.trust()).logs
    return log.vkey


def logged_records(ledger: Ledger) -> list[LoggedRecord]:
    """Every record of the log, in its order."""
    return [record for block in ledger.log() for call in block.transactions for record in call.records]


def adopt_charter(host: Host, *, user: str = "admin", party: str = "operator") -> Any:
    """Adopt the usual charter: the operator's pipeline writes, five minutes of skew."""
    return charter.adopt(
        host.ledger,
        host.user(party, user),
        parties=PARTIES,
        independent="regulator",
        grants={"pipeline": [("operator", "pipeline")]},
    )


def reference(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """A reference to what a transaction returned."""
    return {"id": recorded["id"], "digest": recorded["digest"]}


def dataset(name: str = "claims", version: int = 1, **changes: Any) -> dict[str, Any]:
    """A well-formed `register_dataset` request."""
    return {
        "request_id": f"dataset-{name}-{version}",
        "name": name,
        "version": version,
        "files": [{"digest": {"hmac-sha256": H}, "bytes": 5, "referenced": False}],
        "table": {"scheme": "tallystick-table-v1", "root": H, "rows": 5, "nonce": H, "key": "0" * 16},
        "schema": {"hmac-sha256": H},
        "source": "a survey",
        "licence": "CC0-1.0",
        "policy": {"sha256": H},
        "parents": [],
        "transformation": None,
        **changes,
    }


def screening(subject: Any, **changes: Any) -> dict[str, Any]:
    """A well-formed `record_screening` request that passes."""
    return {
        "request_id": "screening-1",
        "dataset": reference(subject),
        "policy": {"sha256": H},
        "classes": 18,
        "findings": [],
        "passed": True,
        **changes,
    }


def validation(subject: Any, **changes: Any) -> dict[str, Any]:
    """A well-formed `record_validation` request that passes."""
    return {
        "request_id": "validation-1",
        "dataset": reference(subject),
        "policy": {"sha256": H},
        "suite": {"sha256": H},
        "result": {"hmac-sha256": H},
        "evaluated": 24,
        "failed": [],
        "passed": True,
        **changes,
    }


def intent(subject: Any, screened: Any, validated: Any, **changes: Any) -> dict[str, Any]:
    """A well-formed `declare_run` request."""
    return {
        "request_id": "intent-1",
        "dataset": reference(subject),
        "screening": reference(screened),
        "validation": reference(validated),
        "training": {"root": H, "rows": 4},
        "evaluation": {"root": H, "rows": 1},
        "policy": {"sha256": H},
        "code": {"commit": "none", "changes": None},
        "environment": {"sha256": H},
        "algorithm": "lightgbm",
        "seed": 7,
        **changes,
    }


def run(declared: Any, run_id: str = "1" * 32, **changes: Any) -> dict[str, Any]:
    """A well-formed `record_run` request."""
    return {
        "request_id": f"run-{run_id}",
        "run_id": run_id,
        "intent": reference(declared),
        "sealed": {"hmac-sha256": H},
        "artifacts": {"digest": {"hmac-sha256": H}, "files": 3},
        **changes,
    }


def model(made_by: Any, version: int = 1, **changes: Any) -> dict[str, Any]:
    """A well-formed `register_model` request."""
    return {
        "request_id": f"model-{version}",
        "name": "risk",
        "version": version,
        "run": reference(made_by),
        "artifacts": {"hmac-sha256": H},
        **changes,
    }


def use(subject: Any, number: int = 1, **changes: Any) -> dict[str, Any]:
    """A well-formed `record_use` request."""
    return {"request_id": f"use-{number}", "dataset": reference(subject), "purpose": "training", **changes}


def retirement(subject: Any, state: str = "retired", **changes: Any) -> dict[str, Any]:
    """A well-formed `retire` request."""
    return {
        "request_id": f"retirement-{state}",
        "subject": reference(subject),
        "state": state,
        "reason": "superseded",
        **changes,
    }
