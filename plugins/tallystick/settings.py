"""The settings, read from the environment in this one place and frozen."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tallystick.errors import InvalidInput

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ENDS_AN_ADDRESS: Final = re.compile(r"[?#%]")
#: As greedy as SQLAlchemy, for whom a password may hold a slash.
_USERINFO: Final = re.compile(r"(?<=://)[^/].*@", re.DOTALL)
_QUERY: Final = re.compile(r"[?#].*", re.DOTALL)
_LEDGER = re.compile(r"(sqlite|fabric):///[^\0-\x1f?#]+")


@dataclass(frozen=True)
class Settings:
    """Where everything lies and who signs. Paths are absolute.

    ``state_dir`` keeps the last head seen and lies outside ``home`` on purpose: putting an old
    ``home`` back must not put the memory of the newer head back with it. ``cache_dir`` keeps what can be
    made again at any time.
    """

    home: Path
    ledger_url: str
    mlflow_uri: str
    state_dir: Path
    cache_dir: Path
    msp_id: str
    user: str

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """The settings of ``env``; a variable that is empty counts as not set.

        Raises `InvalidInput`, naming the variable that cannot be used.
        """
        home = _directory(env, "TALLYSTICK_HOME", Path(".tallystick"))
        state_dir = _directory(
            env, "TALLYSTICK_STATE", _xdg(env, "XDG_STATE_HOME", ".local/state") / "tallystick"
        )
        if state_dir.resolve().is_relative_to(home.resolve()):
            raise InvalidInput(
                f"TALLYSTICK_STATE lies inside TALLYSTICK_HOME: {state_dir}",
                hint="Choose a directory outside: whoever restores an old home must not restore it too.",
            )
        ledger_url = env.get("TALLYSTICK_LEDGER")
        if ledger_url and not _LEDGER.fullmatch(ledger_url):
            raise InvalidInput(
                "TALLYSTICK_LEDGER is not a ledger's address",
                hint="Use sqlite:///path/to/ledger.db or fabric:///path/to/profile.yaml.",
            )
        return cls(
            home=home,
            ledger_url=ledger_url or f"sqlite:///{home}/ledger.db",
            mlflow_uri=env.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home}/mlflow/mlflow.db",
            state_dir=state_dir,
            cache_dir=_xdg(env, "XDG_CACHE_HOME", ".cache").absolute() / "tallystick",
            msp_id=_name(env, "TALLYSTICK_MSP", "OperatorMSP"),
            user=_name(env, "TALLYSTICK_USER", "pipeline"),
        )

    @property
    def mlflow_shown(self) -> str:
        """MLflow's address as it may be printed: without user, password and parameters."""
        return _QUERY.sub("", _USERINFO.sub("", self.mlflow_uri))

    @property
    def mlflow_artifacts(self) -> Path:
        return self.home / "mlflow" / "artifacts"

    @property
    def objects(self) -> Path:
        return self.home / "objects"

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def log_key(self) -> Path:
        return self.keys / "log.pem"

    @property
    def cosigner_key(self) -> Path:
        return self.keys / "cosigner.pem"

    @property
    def msp(self) -> Path:
        return self.home / "msp"

    @property
    def airflow(self) -> Path:
        return self.home / "airflow"

    @property
    def index(self) -> Path:
        return self.home / "index.db"

    @property
    def packages(self) -> Path:
        return self.home / "packages"

    @property
    def fabric(self) -> Path:
        return self.home / "fabric"

    @property
    def channel(self) -> Path:
        """What is derived from the blocks of channels of Fabric."""
        return self.home / "channel"

    @property
    def refusals(self) -> Path:
        return self.home / "refusals.jsonl"


def _directory(env: Mapping[str, str], variable: str, default: Path) -> Path:
    try:
        path = Path(env.get(variable) or default).expanduser().absolute()
        where = path.resolve()
        usable = where.is_dir() or not where.exists()
    except (RuntimeError, OSError, ValueError):
        raise InvalidInput(f"{variable} is not a usable path") from None
    if not usable:
        raise InvalidInput(f"{variable} is not a directory: {path}", hint="Name a directory, or a new place.")
    # The ledger's and MLflow's addresses are made of the home, and these end or escape an address.
    if _ENDS_AN_ADDRESS.search(str(path)):
        raise InvalidInput(
            f"{variable} has a question mark, a hash or a percent sign in its path",
            hint="Choose a directory without them.",
        )
    return path


def _xdg(env: Mapping[str, str], variable: str, default: str) -> Path:
    given = Path(env.get(variable) or "")
    if given.is_absolute():  # the XDG base directory specification has relative ones ignored
        return given
    return Path(env.get("HOME") or "~") / default


def _name(env: Mapping[str, str], variable: str, default: str) -> str:
    name = env.get(variable) or default
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{variable} is not a name",
            hint="Use at most 64 letters, digits, dots, hyphens and underscores, a letter or digit first.",
        )
    return name
