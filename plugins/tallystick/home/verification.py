"""Verifying a home: its ledger, all that its records speak of, and what was kept elsewhere against both."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from tallystick import heads, wiring
from tallystick.errors import CouldNotCheck, InvalidInput, NotAsRecorded
from tallystick.evidence.report import CHANGED, UNCHECKED, VERIFIED, Report, Subject
from tallystick.evidence.runs import TrackedRuns
from tallystick.evidence.subjects import OffChain
from tallystick.evidence.verify import verify
from tallystick.evidence.witness import Kept
from tallystick.execution import packages as contracts
from tallystick.fingerprint.keys import Keyring, TableKey
from tallystick.home.memory import remember
from tallystick.proof.errors import ProofError
from tallystick.proof.trust import parse_trust
from tallystick.reports.index import compare_index
from tallystick.reports.verification import keep_verification
from tallystick.settings import Settings
from tallystick.store import Store

#: A member's home on a channel that another member's pipelines write to.
_ELSEWHERE: Final = Subject(
    "records", "all", UNCHECKED, "what they speak of is kept in another member's home, not in this one"
)


def verify_home(
    settings: Settings,
    *,
    since: str | None = None,
    trust: str | None = None,
    packages: Path | None = None,
    only: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Verify the ledger and all that its records speak of, or only the record ``only``.

    Blocks of older contracts are run again with the packages in ``packages``. Those of the home are run
    only where nothing kept elsewhere is held against it: code that the judged party supplies could
    otherwise judge for the auditor.

    ``since`` is a kept checkpoint, ``trust`` a C2SP tlog-policy, both as text. The head is remembered
    outside the home where nothing contradicts it. What a whole verification found, or that the file was
    refused, is kept for `tally status` and the dashboard. Raises `InvalidInput` for texts that are neither.
    """
    try:
        policy = None if trust is None else parse_trust(trust)
    except ProofError as error:
        raise InvalidInput(
            f"the trust policy cannot be read: {error}",
            hint="docs/formats/trust-policy.md says how it is written.",
        ) from None
    elsewhere = wiring.on_channel(settings) and not settings.objects.exists()
    if wiring.on_channel(settings):
        # The channel's organisations change the contracts, not this home; these may be older ones by then.
        contracts.keep_current(settings.packages)
    try:
        with wiring.stored_ledger(settings) as stored:
            last, unread = _last_head(settings, stored.origin)
            report = verify(
                stored,
                wiring.stored_chain(stored),
                Kept(since, policy, last),
                packages=packages or (settings.packages if since is None and trust is None else None),
                off_chain=None if elsewhere else off_chain(settings),
                only=only,
                progress=progress,
            )
            report = report.also([*unread, *([_ELSEWHERE] if elsewhere else [])])
            height = stored.height
    except NotAsRecorded as error:
        refused = Report.of([Subject("ledger", settings.ledger_url, CHANGED, error.message)], witnessed=False)
        keep_verification(settings.home, refused.value(), 0, None)
        return refused
    if report.exit_code != 1:
        remember(settings)
    if only is None:
        ledger_sound = [(each.kind, each.status) for each in report.subjects[:1]] == [("ledger", VERIFIED)]
        if ledger_sound:
            report = report.also(_index(settings, progress))
        keep_verification(settings.home, report.value(), height - 1, report.head)
    return report


def off_chain(settings: Settings) -> OffChain:
    """Where this home keeps what its records speak of."""
    from tallystick.fingerprint.tables import TableFingerprint, fingerprint_table
    from tallystick.steps import tracked_runs
    from tallystick.steps.opening import stored_policy
    from tallystick.steps.tables import Rows

    store = Store(settings.objects)

    def fingerprint(path: Path, policy_digest: str, key: TableKey) -> TableFingerprint:
        policy = stored_policy(store, policy_digest)
        return fingerprint_table(Rows(path, policy).source(), key, subject=policy.privacy.subject)

    kept_here = settings.mlflow_uri.removeprefix("sqlite:///")
    # Asking MLflow would make its database, and a first run takes it ten seconds.
    nothing_yet = kept_here != settings.mlflow_uri and not Path(kept_here).exists()

    def list_runs(origin: str, datasets: Collection[str], recorded: Collection[str]) -> Collection[str]:
        return () if nothing_yet else tracked_runs.list_runs(settings, origin, datasets, recorded)

    def list_versions(origin: str, names: Collection[str]) -> Mapping[tuple[str, str], str]:
        return {} if nothing_yet else tracked_runs.list_versions(settings, origin, names)

    def read_run(run_id: str) -> tracked_runs.TrackedRun | None:
        return None if nothing_yet else tracked_runs.find_run(settings, run_id)

    runs = TrackedRuns(list_runs, list_versions, read_run)
    return OffChain(store, Keyring(settings.keys), fingerprint, runs)


def _index(settings: Settings, progress: Callable[[str, int, int], None] | None) -> list[Subject]:
    """What holding the read index against the ledger gave; nothing where there is none."""
    done = itertools.count(1)
    try:
        with closing(wiring.open_for_reading(settings)) as ledger:
            height = ledger.height

            def advance(blocks: int) -> None:
                if progress:
                    progress("the read index, blocks", next(done), height)

            differences = compare_index(settings.index, ledger, advance)
    except (NotAsRecorded, CouldNotCheck) as error:
        status = CHANGED if isinstance(error, NotAsRecorded) else UNCHECKED
        return [Subject("index", settings.index.name, status, error.message)]
    if differences is None:
        return []
    wrong = [f"{count:,} in {table}" for table, count in differences.items() if count]
    if not wrong:
        return [Subject("index", settings.index.name, VERIFIED)]
    detail = f"rows that are not what the ledger gives: {', '.join(wrong)}; `tally rebuild` makes it again"
    return [Subject("index", settings.index.name, CHANGED, detail)]


def _last_head(settings: Settings, origin: str) -> tuple[str | None, list[Subject]]:
    """The last head seen of the ledger ``origin``, None where it has no name to be read; and what there is
    to say where the memory of it is not."""
    if not origin:
        return None, []
    try:
        return heads.last_head(settings.state_dir, origin), []
    except CouldNotCheck as error:
        return None, [Subject("last head seen", origin, UNCHECKED, error.message)]
