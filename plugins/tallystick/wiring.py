"""The only place that chooses adapters: a ledger by its URL, with everything it needs from the settings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tallystick.clients import charter
from tallystick.clients.provenance import Provenance
from tallystick.errors import InvalidInput, NotAsRecorded
from tallystick.files import private_directory
from tallystick.fingerprint.keys import Keyring, TableKey
from tallystick.identity import (
    Authority,
    create_organisation,
    generate_log_key,
    load_log_key,
    load_msp,
    load_user,
)
from tallystick.ledger.port import BlockBytes, Ledger
from tallystick.settings import Settings
from tallystick.steps.workspace import Workspace
from tallystick.store import Store

if TYPE_CHECKING:
    from tallystick.evidence.report import Report
    from tallystick.evidence.subjects import OffChain
    from tallystick.ledger.embedded.ledger import EmbeddedLedger
    from tallystick.ledger.embedded.rebuild import Rebuilt

#: The users that every organisation gets: pseudonymous enrolment ids and their roles.
_USERS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "operator": {"admin": ("admin",), "pipeline": ("pipeline",)},
    "regulator": {"admin": ("admin",), "reader": ("reader",)},
    "auditor": {"admin": ("admin",), "reader": ("reader",)},
}


@dataclass(frozen=True, slots=True)
class Party:
    """A party of the charter: its name there and its MSP."""

    name: str
    msp_id: str


OPERATOR: Final = Party("operator", "OperatorMSP")
DEVELOPMENT_PARTIES: Final = (OPERATOR, Party("regulator", "RegulatorMSP"), Party("auditor", "AuditorMSP"))


def create_home(settings: Settings, *, name: str, parties: tuple[Party, ...] = (OPERATOR,)) -> Ledger:
    """Make keys for ``parties``, the ledger with its first block, and the charter; returns it open.

    ``name`` is the log's name without the digits. The first party operates the ledger, the second
    (or the only one) is the independent one. What a killed process left half made is completed with the
    keys that are there. Raises `InvalidInput` where the home is complete; nothing is changed then.
    """
    from tallystick.execution import packages
    from tallystick.ledger.embedded.genesis import create_ledger

    path = embedded_path(settings)
    if has_charter(settings):
        raise InvalidInput(
            f"there is a home with a ledger already: {path}",
            hint="Nothing was changed. Another home: set TALLYSTICK_HOME. This one: tally status",
        )
    private_directory(settings.home)
    for party in parties:
        if not (settings.msp / party.msp_id).exists():
            create_organisation(settings.msp, party.msp_id, _USERS[party.name])
    operator = parties[0]
    admin = load_user(settings.msp, operator.msp_id, "admin")
    packages.keep_current(settings.packages)
    key = settings.log_key
    log_key = load_log_key(key) if key.exists() else generate_log_key(key)
    if not path.exists():
        msps = [load_msp(settings.msp / party.msp_id) for party in parties]
        create_ledger(path, name=name, msps=msps, admin=admin, log_key=log_key)
    ledger = open_ledger(settings)
    charter.adopt(
        ledger,
        admin,
        parties={party.name: party.msp_id for party in parties},
        independent=parties[min(1, len(parties) - 1)].name,
        grants={"pipeline": [(operator.name, "pipeline")]},
    )
    return ledger


def has_charter(settings: Settings) -> bool:
    """Whether there is a ledger and its first record: what `create_home` leaves when it is done."""
    if not embedded_path(settings).exists():
        return False
    ledger = open_ledger(settings)
    try:
        return ledger.height > 1
    finally:
        ledger.close()


def open_ledger(settings: Settings) -> Ledger:
    """The ledger that ``settings.ledger_url`` names; for reading only where its signing key is not here.

    Raises `CouldNotCheck` where there is no ledger and `InvalidInput` for a URL of no known kind.
    """
    return _open_embedded(settings)


def open_workspace(settings: Settings) -> Workspace:
    """Everything the steps work with, signing as ``settings.msp_id`` and ``settings.user``.

    Raises as `open_ledger` does, and `CouldNotCheck` where the user's key is not here.
    """
    identity = load_user(settings.msp, settings.msp_id, settings.user)
    ledger = open_ledger(settings)
    return Workspace(
        settings, Store(settings.objects), Keyring(settings.keys), ledger, Provenance(ledger, identity)
    )


def embedded_path(settings: Settings) -> Path:
    """The file of a ``sqlite:///`` URL. Raises `InvalidInput` for any other."""
    scheme, _, path = settings.ledger_url.partition("://")
    if scheme != "sqlite" or not path.startswith("/") or not path.strip("/"):
        raise InvalidInput(
            f"no ledger answers to {settings.ledger_url}",
            hint="Set TALLYSTICK_LEDGER to sqlite:///absolute/path/ledger.db",
        )
    return Path("/" + path.lstrip("/"))


def rebuild(settings: Settings, progress: Callable[[int], None] | None = None) -> Rebuilt:
    """Make what is derived from the ledger's blocks again (`ledger.embedded.rebuild`)."""
    from tallystick.ledger.embedded.rebuild import rebuild

    return rebuild(embedded_path(settings), progress)


def package_status(settings: Settings) -> dict[str, str]:
    """The digests of the contract package in force on the ledger and of the one installed here."""
    from tallystick.execution import packages

    ledger = _open_embedded(settings)
    try:
        return {"active": ledger.config.package, "installed": packages.current_digest()}
    finally:
        ledger.close()


def activate(settings: Settings) -> tuple[str, str]:
    """Put the installed contract package in force; returns the digests before and after.

    Nothing is recorded where it is in force already. Raises `InvalidInput` without an administrator's key.
    """
    from tallystick.execution import packages
    from tallystick.ledger.embedded.genesis import reconfigure

    ledger = _open_embedded(settings)
    try:
        before, after = ledger.config.package, packages.keep_current(settings.packages)
        if before != after:
            reconfigure(ledger, load_user(settings.msp, settings.msp_id, "admin"), package=after)
        return before, after
    finally:
        ledger.close()


def revoke(settings: Settings, msp_id: str, user: str) -> int:
    """Revoke the certificate of ``user`` of ``msp_id`` and put the list in force; returns the block's number.

    Raises `InvalidInput` where the user or the authority's key is not here.
    """
    from tallystick.ledger.embedded.genesis import reconfigure

    member = load_user(settings.msp, msp_id, user)
    directory = settings.msp / msp_id
    ledger = _open_embedded(settings)
    try:
        Authority.load(directory).revoke([member.certificate_pem])
        others = [msp for msp in ledger.config.msps if msp.msp_id != msp_id]
        admin = load_user(settings.msp, settings.msp_id, "admin")
        reconfigure(ledger, admin, msps=[*others, load_msp(directory)])
        return ledger.height - 1
    finally:
        ledger.close()


def verify(
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
    from tallystick import heads
    from tallystick.evidence.report import CHANGED, Report, Subject
    from tallystick.evidence.verify import verify
    from tallystick.evidence.witness import Kept
    from tallystick.ledger.embedded.stored import StoredFile
    from tallystick.proof.errors import ProofError
    from tallystick.proof.trust import parse_trust
    from tallystick.reports.verification import keep_verification

    try:
        policy = None if trust is None else parse_trust(trust)
    except ProofError as error:
        raise InvalidInput(
            f"the trust policy cannot be read: {error}",
            hint="docs/formats/trust-policy.md says how it is written.",
        ) from None
    path = embedded_path(settings)
    try:
        with StoredFile(path) as stored:
            kept = Kept(since, policy, _last_head(settings, next(stored.blocks(), None)))
            report = verify(
                stored,
                kept,
                packages=packages or (settings.packages if since is None and trust is None else None),
                off_chain=_off_chain(settings),
                only=only,
                progress=progress,
            )
            height = stored.height
    except NotAsRecorded as error:
        refused = Report.of([Subject("ledger", str(path), CHANGED, error.message)], witnessed=False)
        keep_verification(settings.home, refused.value(), 0)
        return refused
    if report.exit_code != 1:
        ledger = _open_embedded(settings)
        heads.remember_head(settings.state_dir, ledger.checkpoint(), ledger.consistency_proof)
        ledger.close()
    if only is None:
        keep_verification(settings.home, report.value(), height - 1)
    return report


def _off_chain(settings: Settings) -> OffChain:
    """Where this home keeps what its records speak of."""
    from tallystick.evidence.runs import TrackedRuns
    from tallystick.evidence.subjects import OffChain
    from tallystick.fingerprint.tables import TableFingerprint, fingerprint_table
    from tallystick.steps import track
    from tallystick.steps.opening import stored_policy
    from tallystick.steps.tables import read_table

    store = Store(settings.objects)

    def fingerprint(path: Path, policy_digest: str, key: TableKey) -> TableFingerprint:
        policy = stored_policy(store, policy_digest)
        return fingerprint_table(read_table(path, policy), key, subject=policy.privacy.subject)

    kept_here = settings.mlflow_uri.removeprefix("sqlite:///")
    # Asking MLflow would make its database, and a first run takes it ten seconds.
    nothing_yet = kept_here != settings.mlflow_uri and not Path(kept_here).exists()

    def list_runs(origin: str, datasets: Collection[str]) -> Collection[str]:
        return () if nothing_yet else track.list_runs(settings, origin, datasets)

    def read_run(run_id: str) -> track.TrackedRun | None:
        return None if nothing_yet else track.find_run(settings, run_id)

    runs = TrackedRuns(list_runs, read_run)
    return OffChain(store, Keyring(settings.keys), fingerprint, runs)


def _last_head(settings: Settings, genesis: BlockBytes | None) -> str | None:
    """The last head seen of the ledger that starts with ``genesis``; None where that cannot be read."""
    from tallystick import heads
    from tallystick.proof.block import origin_of, parse_block
    from tallystick.proof.errors import ProofError

    try:
        block = None if genesis is None else parse_block(genesis.header, genesis.data)
    except (ProofError, TypeError):
        return None
    if block is None or block.config is None:
        return None
    return heads.last_head(settings.state_dir, origin_of(block.config.name, block.header.digest))


def _open_embedded(settings: Settings) -> EmbeddedLedger:
    from tallystick.ledger.embedded.ledger import EmbeddedLedger

    key = load_log_key(settings.log_key) if settings.log_key.exists() else None
    return EmbeddedLedger(embedded_path(settings), log_key=key, refusals=settings.refusals)
