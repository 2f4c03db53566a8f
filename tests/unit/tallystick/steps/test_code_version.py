"""Code versions: a commit, what the work tree has beyond it, and no repository at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tallystick.errors import CouldNotCheck
from tallystick.fingerprint.files import file_digest
from tallystick.steps.code_version import code_version, environment_digest


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("a = 1\n")
    (tmp_path / ".gitignore").write_text("ignored\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_a_clean_work_tree_is_its_commit(checkout: Path) -> None:
    (checkout / "ignored").write_text("x")
    found = code_version(checkout)
    assert (found.commit, found.changes) == (git(checkout, "rev-parse", "HEAD"), None)


def test_every_change_of_code_shows_and_is_the_same_when_seen_again(checkout: Path) -> None:
    seen = set()
    for name, text in (("a.py", "a = 2\n"), ("b.py", "b = 1\n"), ("b.py", "b = 2\n"), ("c d.py", "")):
        (checkout / name).write_text(text)
        found = code_version(checkout)
        assert found == code_version(checkout)
        assert found.changes is not None
        seen.add(found.changes)
    git(checkout, "add", "b.py")
    seen.add(code_version(checkout).changes)
    assert len(seen) == 5


def test_the_surroundings_do_not_speak_for_the_checkout(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = code_version(checkout)
    monkeypatch.setenv("GIT_DIR", "elsewhere")
    assert code_version(checkout) == before


def test_without_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert code_version(tmp_path).commit == "none"


def test_a_repository_that_git_cannot_read_is_no_clean_one(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    with pytest.raises(CouldNotCheck, match="git cannot tell"):
        code_version(tmp_path)


def test_the_environment_is_the_lock_or_what_is_installed(tmp_path: Path) -> None:
    installed = environment_digest(tmp_path)
    assert installed == environment_digest(tmp_path)
    (tmp_path / "requirements.lock").write_text("numpy==1\n")
    assert environment_digest(tmp_path) == file_digest(tmp_path / "requirements.lock") != installed
