"""What a data file is: only plain files are opened, whatever their names; headers have a verdict each."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tallystick.errors import InvalidInput
from tallystick.fingerprint import data_file
from tallystick.fingerprint.data_file import check_header, csv_names, file_kind, open_plain


def test_pipes_devices_and_directories_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        for path in (tmp_path / "pipe.csv", tmp_path / "s", tmp_path, Path("/dev/zero"), Path("/dev/stdin")):
            if path.exists() and not path.is_file():
                for read in (open_plain, file_kind, csv_names):
                    with pytest.raises(InvalidInput, match="not a plain file"):
                        read(path)


def test_a_link_to_a_plain_file_is_read_and_a_broken_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "link").symlink_to("a.csv")
    (tmp_path / "broken").symlink_to("nowhere")
    assert csv_names(tmp_path / "link") == ["a", "b"]
    for name in ("broken", "absent", "a\0b"):
        with pytest.raises(InvalidInput, match=r"No such file|no such name"):
            csv_names(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("t", b"PAR1....", "parquet"),
        ("t.parquet", b"cut off", "parquet"),
        ("t", b"ARROW1..", "arrow"),
        ("t", b"\xff\xff\xff\xff", "arrow-stream"),
        ("t.txt", b"a,b\n", "csv"),
    ],
)
def test_kinds_are_told_by_the_first_bytes_then_by_the_suffix(
    tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert file_kind(tmp_path / name) == kind


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (b"\xef\xbb\xbfa,b\n", ["a", "b"]),
        (b'"a,1","b ""q"""\r\n', ["a,1", 'b "q"']),
        (b" a , b\n", [" a ", " b"]),
        (b"A,a\n", ["A", "a"]),
    ],
)
def test_what_a_header_means(tmp_path: Path, header: bytes, names: list[str]) -> None:
    (tmp_path / "t").write_bytes(header + b"1,2\n")
    assert csv_names(tmp_path / "t") == names


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b'a,""\n', "column 2 has no name"),
        (b",b\n", "column 1 has no name"),
        (b'"a\nb",c\n', "header cannot be read"),
        (b'"a\rb",c\n', "column 1 has a line break"),
        (b"a,secret,secret\n", "columns 2 and 3 have the same name"),
        (b"\xef\xbb\xbfa,a\n", "columns 1 and 2 have the same name"),
        (b"a,b\rc,d\n", "header cannot be read"),
        ("a,b\n".encode("utf-16"), "not UTF-8"),
        (b"a,b\xff\n", "not UTF-8"),
        (b"a,b", "no rows below the header"),
    ],
)
def test_a_header_that_is_none_is_refused_without_its_words(tmp_path: Path, header: bytes, says: str) -> None:
    (tmp_path / "t").write_bytes(header + (b"1,2\n" if header.endswith(b"\n") else b""))
    with pytest.raises(InvalidInput, match=says) as refused:
        csv_names(tmp_path / "t")
    assert "secret" not in str(refused.value)
    assert refused.value.hint


def test_the_names_of_a_parquet_file_are_held_to_the_same(tmp_path: Path) -> None:
    for names in (["a", ""], ["a\nb"], ["a", "a"]):
        with pytest.raises(InvalidInput):
            check_header(tmp_path, names)
    assert check_header(tmp_path, ["a", "b c", "é"]) is None


def test_a_header_beyond_the_limit_is_refused_and_one_within_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_file, "MAX_LINE", 1000)
    (tmp_path / "t").write_bytes(b"a" * 999 + b"\n1\n")
    assert csv_names(tmp_path / "t") == ["a" * 999]
    (tmp_path / "t").write_bytes(b"a" * 1000 + b"\n1\n")
    with pytest.raises(InvalidInput, match="longer than"):
        csv_names(tmp_path / "t")
