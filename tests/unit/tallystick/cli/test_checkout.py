"""What commands write where they stand is no change of the code that a run declares."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tallystick.cli import main
from tallystick.cli.proofs import file_name
from tallystick.settings import Settings
from tallystick.steps.code_version import CHECKOUT, code_version


@pytest.fixture
def checkout(home: Settings, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of this checkout's ignore rules, in which commands are typed."""
    root = directory / "checkout"
    root.mkdir()
    shutil.copy(CHECKOUT / ".gitignore", root)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    monkeypatch.chdir(root)
    return root


def test_proofs_and_heads_written_into_the_checkout_are_no_change_of_code(checkout: Path) -> None:
    before = code_version(checkout)
    for command in ("prove people", "checkpoint --out .", "checkpoint --since checkpoint.txt --out ."):
        assert main(command.split()) == 0
    (checkout / f"{file_name('dataset/people/1')}-row-0.json").touch()  # of prove-row, which needs a table
    assert len(list(checkout.iterdir())) == 8
    assert code_version(checkout) == before
    (checkout / "other.py").touch()
    assert code_version(checkout) != before
