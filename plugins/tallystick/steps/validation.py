"""The step that validates a dataset against its policy, keeps the result and records it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tallystick import sealing
from tallystick.clients.provenance import Reference, Requests
from tallystick.errors import CouldNotCheck
from tallystick.files import private_directory, read_small, remove, write_atomic
from tallystick.steps.errors import CheckFailed
from tallystick.steps.ingest import Ingested
from tallystick.steps.opening import open_dataset, store_of
from tallystick.steps.results import Result, fitting
from tallystick.steps.validate import ValidationOutcome, validate, write_data_docs
from tallystick.steps.workspace import Workspace
from tallystick.store import Store


@dataclass(frozen=True)
class Validated(Result):
    """A validation that passed. ``result`` is the plain SHA-256 of the canonical result in the store."""

    validation: Reference
    evaluated: int
    failed: list[str]
    result: str


def run_validation(w: Workspace, requests: Requests, ingested: Ingested) -> Validated:
    """Validate a registered dataset, keep result, suite and Data Docs, and record the result.

    Raises `CheckFailed` after recording where an expectation failed.
    """
    dataset = open_dataset(w, ingested.dataset)
    outcome = validate(dataset.table, dataset.policy)
    store = store_of(w, dataset)
    result = store.add_bytes(outcome.canonical)
    suite = store.add_bytes(outcome.suite_canonical)
    _keep_docs(w.store, outcome)
    failed = [name[:300] for name in outcome.failed]
    recorded = w.provenance.record_validation(
        requests.of("validation"),
        dataset=ingested.dataset,
        policy=dataset.body["policy"],
        suite=sealing.seal(None, suite),
        result=sealing.seal(dataset.sealing, result),
        evaluated=outcome.evaluated,
        failed=fitting(failed, 200),
    )
    if failed:
        raise CheckFailed(
            f"{ingested.dataset.id}: {len(failed)} of {outcome.evaluated} expectations failed: "
            + ", ".join(failed[:5]),
            recorded.reference,
            hint=f"It is recorded as {recorded.reference.id}. Correct the data, or a wrong policy.",
        )
    return Validated(recorded.reference, outcome.evaluated, failed, result)


def data_docs(store: Store, result: str) -> Path:
    """The Data Docs page of the validation whose canonical result has the SHA-256 ``result``.

    For people: the record vouches for the result, not for the page. Raises `CouldNotCheck` without one.
    """
    try:
        digest = read_small(_docs_place(store, result)).decode("ascii")
    except (OSError, UnicodeDecodeError):
        raise CouldNotCheck(f"there is no page of the validation result {result[:12]}") from None
    return store.path(digest)


def remove_data_docs(store: Store, result: str) -> bool:
    """Remove the page that `data_docs` finds; whether there was one. Raises `CouldNotCheck` if it stays."""
    place = _docs_place(store, result)
    try:
        removed = store.delete(read_small(place).decode("ascii"))
    except (OSError, UnicodeDecodeError):
        removed = False
    remove(place)
    return removed


def _keep_docs(store: Store, outcome: ValidationOutcome) -> None:
    place = _docs_place(store, outcome.digest)
    private_directory(place.parent)

    def note(page: str) -> None:
        remove_data_docs(store, outcome.digest)  # that of an equal result, made at another time
        write_atomic(place, page.encode(), 0o400)

    with tempfile.TemporaryDirectory() as folder:
        store.noting(note).add_file(write_data_docs(outcome, Path(folder)), may_refer=False)


def _docs_place(store: Store, result: str) -> Path:
    return store.root / "data-docs" / result
