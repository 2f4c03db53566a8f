"""Settings come from the environment, in one place, or not at all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tallystick.errors import InvalidInput
from tallystick.settings import Settings


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "user"), "TALLYSTICK_HOME": str(tmp_path / "home")}


def test_defaults_lie_under_the_home(env: dict[str, str], tmp_path: Path) -> None:
    settings = Settings.from_environment(env)
    home = tmp_path / "home"
    assert settings.home == home
    assert settings.ledger_url == f"sqlite:///{home}/ledger.db"
    assert settings.mlflow_uri == f"sqlite:///{home}/mlflow/mlflow.db"
    assert (settings.msp_id, settings.user) == ("OperatorMSP", "pipeline")
    derived = (
        "objects",
        "keys",
        "msp",
        "airflow",
        "index",
        "packages",
        "refusals",
        "log_key",
        "mlflow_artifacts",
    )
    assert all(getattr(settings, name).is_relative_to(home) for name in derived)
    assert len({getattr(settings, name) for name in derived}) == len(derived)


def test_without_any_variable_the_home_is_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment({}).home == tmp_path / ".tallystick"
    assert Settings.from_environment({"TALLYSTICK_HOME": ""}).home == tmp_path / ".tallystick"


def test_state_lies_outside_the_home(env: dict[str, str], tmp_path: Path) -> None:
    assert Settings.from_environment(env).state_dir == tmp_path / "user/.local/state/tallystick"
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    assert Settings.from_environment(env | state).state_dir == tmp_path / "state/tallystick"
    assert Settings.from_environment(env | {"XDG_STATE_HOME": "relative"}).state_dir.is_relative_to(
        tmp_path / "user"
    )
    given = {"TALLYSTICK_STATE": str(tmp_path / "elsewhere")}
    assert Settings.from_environment(env | given).state_dir == tmp_path / "elsewhere"


def test_state_inside_the_home_is_refused_also_through_a_link(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "home")
    for state in (tmp_path / "home/state", tmp_path / "home", tmp_path / "link/state"):
        with pytest.raises(InvalidInput, match="TALLYSTICK_STATE"):
            Settings.from_environment(env | {"TALLYSTICK_STATE": str(state)})


@pytest.mark.parametrize("url", ["sqlite:////srv/my ledger.db", "fabric:///etc/profile.yaml"])
def test_a_ledgers_address_is_kept(env: dict[str, str], url: str) -> None:
    assert Settings.from_environment(env | {"TALLYSTICK_LEDGER": url}).ledger_url == url


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TALLYSTICK_LEDGER", "postgres:///x"),
        ("TALLYSTICK_LEDGER", "sqlite:///"),
        ("TALLYSTICK_LEDGER", "sqlite:///a\nb"),
        ("TALLYSTICK_MSP", "../OperatorMSP"),
        ("TALLYSTICK_MSP", "MSP name"),
        ("TALLYSTICK_USER", ".hidden"),
        ("TALLYSTICK_USER", "a" * 65),
        ("TALLYSTICK_HOME", "x" * 5000),
        ("TALLYSTICK_HOME", "a\0b"),
        ("TALLYSTICK_HOME", __file__),
    ],
)
def test_a_bad_value_names_its_variable(env: dict[str, str], variable: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=variable):
        Settings.from_environment(env | {variable: value})


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://mlflow:s3cret@db.example:5432/runs", "postgresql://db.example:5432/runs"),
        ("postgresql+psycopg://mlflow:s3/c?r#e@t@db.example/runs", "postgresql+psycopg://db.example/runs"),
        ("postgresql://db.example/runs?user=mlflow&password=s3cret", "postgresql://db.example/runs"),
        ("https://s3cret@mlflow.example/", "https://mlflow.example/"),
        ("https://mlflow.example:8443/track", "https://mlflow.example:8443/track"),
        ("sqlite:////srv/a@b/mlflow.db", "sqlite:////srv/a@b/mlflow.db"),
    ],
)
def test_what_is_shown_of_mlflows_address_lets_nobody_in(
    env: dict[str, str], address: str, shown: str
) -> None:
    settings = Settings.from_environment(env | {"MLFLOW_TRACKING_URI": address})
    assert (settings.mlflow_uri, settings.mlflow_shown) == (address, shown)


def test_settings_are_frozen(env: dict[str, str]) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.from_environment(env).user = "someone"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%41b"])
def test_a_home_whose_path_would_end_an_address_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="TALLYSTICK_HOME has a question mark"):
        Settings.from_environment({"TALLYSTICK_HOME": str(tmp_path / name)})


@pytest.mark.parametrize("name", ["a b", "ä+b", "a&b"])
def test_other_characters_of_a_home_are_kept_as_they_are(tmp_path: Path, name: str) -> None:
    settings = Settings.from_environment(
        {"TALLYSTICK_HOME": str(tmp_path / name), "TALLYSTICK_STATE": str(tmp_path / "state")}
    )
    assert settings.ledger_url == f"sqlite:///{tmp_path / name}/ledger.db"
