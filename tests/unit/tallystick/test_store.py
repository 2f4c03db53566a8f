"""The store gives back what was put in, or says what is wrong, whatever happened in between."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick import store as module
from tallystick.errors import CouldNotCheck, InvalidInput, Missing, NotAsRecorded
from tallystick.store import Store, StoredObject

DATA = b"a table of some rows\n" * 40_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "objects")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_bytes(DATA)
    return path


def place(tmp_path: Path, digest: str) -> Path:
    return tmp_path / "objects" / digest[:2] / digest[2:]


def objects(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "objects").rglob("*") if path.is_file()]


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


def test_a_file_comes_back_by_its_digest(store: Store, source: Path, tmp_path: Path) -> None:
    done: list[int] = []
    stored = store.add_file(source, done.append)
    digest = hashlib.sha256(DATA).hexdigest()
    assert stored == StoredObject(digest, len(DATA), referenced=False)
    assert sum(done) == len(DATA)
    with store.open(digest) as file:
        assert file.read() == DATA
    assert store.read(digest, len(DATA)) == DATA
    assert store.path(digest).read_bytes() == DATA
    assert store.verify(digest)
    assert stat.S_IMODE(place(tmp_path, digest).stat().st_mode) == 0o400
    assert stat.S_IMODE((tmp_path / "objects").stat().st_mode) == 0o700
    assert objects(tmp_path) == [place(tmp_path, digest)]


def test_the_copy_is_the_stores_own(store: Store, source: Path) -> None:
    digest = store.add_file(source).digest
    source.write_bytes(b"something else")
    assert store.read(digest, len(DATA)) == DATA


def test_a_clone_is_digested_like_a_copy(store: Store, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def clone(destination: int, _: int, descriptor: int) -> int:
        os.pwrite(destination, os.pread(descriptor, 1 << 30, 0), 0)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", clone)
    digest = store.add_file(source).digest
    assert store.read(digest, len(DATA)) == DATA


@given(data=st.binary(max_size=2000))
def test_any_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    store = Store(tmp_path_factory.getbasetemp() / "any" / "objects")
    digest = store.add_bytes(data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert store.read(digest, len(data)) == data


def readings(store: Store, digest: str) -> list[object]:
    return [
        lambda: store.open(digest),
        lambda: store.path(digest),
        lambda: store.read(digest, 1 << 30),
        lambda: store.open_folder(digest, Path("unused")),
    ]


@pytest.mark.parametrize("change", ["truncate", "flip", "append", "empty", "link", "directory"])
def test_a_changed_object_is_never_handed_out(
    store: Store, source: Path, tmp_path: Path, change: str
) -> None:
    digest = store.add_file(source).digest
    path = place(tmp_path, digest)
    if change in ("link", "directory"):
        path.unlink()
        path.symlink_to(source) if change == "link" else path.mkdir()
    else:
        middle = len(DATA) // 2
        flipped = DATA[:middle] + bytes([DATA[middle] ^ 1]) + DATA[middle + 1 :]
        changed = {"truncate": DATA[:-1], "flip": flipped, "append": DATA + b"\n", "empty": b""}
        overwrite(path, changed[change])
    for reading in readings(store, digest):
        with pytest.raises(NotAsRecorded, match=digest[:12]) as caught:
            reading()  # type: ignore[operator]
        assert digest not in str(caught.value)
    assert store.verify(digest) is False
    if change != "directory":
        store.add_file(source)
        assert store.verify(digest), "adding the content again heals the object"


def test_a_missing_object_could_not_be_checked(store: Store) -> None:
    digest = "0" * 64
    for reading in [*readings(store, digest), lambda: store.verify(digest)]:
        with pytest.raises(CouldNotCheck, match="000000000000 is missing"):
            reading()  # type: ignore[operator]


def test_an_unreadable_object_could_not_be_checked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = store.add_bytes(b"data")

    def closed(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", closed)
    with pytest.raises(CouldNotCheck, match="Permission denied"):
        store.read(digest, 10)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n"])
def test_what_is_no_digest_reaches_no_file(store: Store, digest: str) -> None:
    for call in (store.open, store.path, store.verify, store.delete):
        with pytest.raises(InvalidInput, match="digest"):
            call(digest)


def test_an_object_larger_than_expected_is_not_read(store: Store) -> None:
    digest = store.add_bytes(b"12345")
    assert store.read(digest, 5) == b"12345"
    with pytest.raises(CouldNotCheck, match="larger"):
        store.read(digest, 4)


def test_what_is_too_big_is_referred_to_and_checked_at_every_opening(tmp_path: Path, source: Path) -> None:
    store = Store(tmp_path / "objects", copy_limit=len(DATA) - 1)
    stored = store.add_file(source)
    assert stored.referenced
    assert store.is_referenced(stored.digest)
    assert store.path(stored.digest) == source
    assert store.read(stored.digest, len(DATA)) == DATA
    assert [path.suffix for path in objects(tmp_path)] == [".ref"]

    source.write_bytes(DATA + b"one more row\n")
    with pytest.raises(NotAsRecorded, match=f"{stored.digest[:12]}.*{source.name}"):
        store.open(stored.digest)
    source.unlink()
    with pytest.raises(CouldNotCheck, match=f"missing.*{source.name}"):
        store.open(stored.digest)

    source.write_bytes(DATA)
    assert not Store(tmp_path / "objects").add_file(source).referenced
    assert not store.is_referenced(stored.digest)


def test_without_room_a_file_is_referred_to(
    store: Store, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MARGIN", 1 << 62)
    assert store.add_file(source).referenced


def test_what_will_not_stay_is_copied_or_refused_but_never_referred_to(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "objects", copy_limit=0)
    assert not store.add_file(source, may_refer=False).referenced
    source.write_bytes(b"other bytes")
    monkeypatch.setattr(Store, "_has_room", lambda *_: False)
    with pytest.raises(CouldNotCheck, match="No space left"):
        store.add_file(source, may_refer=False)
    with pytest.raises(CouldNotCheck, match="No space left"):
        store.add_folder(source.parent)
    assert len(objects(tmp_path)) == 1


def test_the_store_says_what_it_had_before(tmp_path: Path, source: Path) -> None:
    store = Store(tmp_path / "objects")
    assert store.add_file(source).written is not None
    assert store.add_file(source).written is None
    assert Store(tmp_path / "objects", copy_limit=0).add_file(source).written is None
    source.write_bytes(b"other bytes")
    referring = Store(tmp_path / "objects", copy_limit=0)
    assert referring.add_file(source).written is not None
    assert referring.add_file(source).written is None


@pytest.mark.parametrize("copy_limit", [1 << 20, 0])
def test_what_was_added_can_be_taken_back(tmp_path: Path, source: Path, copy_limit: int) -> None:
    store = Store(tmp_path / "objects", copy_limit)
    stored = store.add_file(source)
    assert store.take_back(stored)
    with pytest.raises(Missing):
        store.verify(stored.digest)
    assert not store.take_back(stored)


@pytest.mark.parametrize("copy_limit", [1 << 20, 0])
def test_what_somebody_else_added_too_is_not_taken_back(
    tmp_path: Path, source: Path, copy_limit: int
) -> None:
    store = Store(tmp_path / "objects", copy_limit)
    first = store.add_file(source)
    second = Store(tmp_path / "objects", copy_limit).add_file(source)
    assert not store.take_back(first)
    assert not store.take_back(second)
    assert store.verify(first.digest)


def test_opening_a_store_writes_nothing(tmp_path: Path, source: Path) -> None:
    store = Store(tmp_path / "objects")
    with pytest.raises(Missing):
        store.read("0" * 64, 10)
    assert not store.root.exists()
    store.add_file(source)
    assert store.root.stat().st_mode & 0o777 == 0o700


def test_a_changed_reference_is_found(tmp_path: Path, source: Path) -> None:
    store = Store(tmp_path / "objects", copy_limit=0)
    digest = store.add_file(source).digest
    (reference,) = objects(tmp_path)
    overwrite(reference, b'{"path":"/dev/zero","size":3}')
    with pytest.raises(NotAsRecorded):
        store.open(digest)
    overwrite(reference, b"{}")
    with pytest.raises(NotAsRecorded, match="reference"):
        store.open(digest)


@pytest.mark.parametrize("call", ["write", "fsync", "fchmod"])
def test_a_full_disk_leaves_no_half_object(
    store: Store, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    kept = store.add_bytes(b"kept")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        for add in (lambda: store.add_file(source), lambda: store.add_bytes(b"more")):
            with pytest.raises(CouldNotCheck, match="No space"):
                add()
    assert objects(tmp_path) == [place(tmp_path, kept)]
    assert store.read(kept, 10) == b"kept"
    assert store.verify(store.add_file(source).digest)


def test_what_a_killed_process_left_is_removed_and_never_read(store: Store, tmp_path: Path) -> None:
    old, fresh = tmp_path / "objects/incoming/old", tmp_path / "objects/incoming/fresh"
    store.add_bytes(b"whole")
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    Store(tmp_path / "objects").add_bytes(b"whole")
    assert not old.exists()
    assert fresh.exists(), "another process may still be writing it"


def _kill_while_adding(root: Path) -> None:
    store = Store(root)
    os.fchmod = lambda *_: os._exit(9)  # the last call before the object gets its name
    store.add_bytes(b"never whole")


def test_a_process_killed_before_the_end_leaves_no_object(store: Store, tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=_kill_while_adding, args=(tmp_path / "objects",)
    )
    process.start()
    process.join(20)
    assert process.exitcode == 9
    with pytest.raises(CouldNotCheck, match="missing"):
        store.open(hashlib.sha256(b"never whole").hexdigest())


def _add_many(root: Path, source: Path) -> None:
    store = Store(root)
    for _ in range(10):
        store.add_file(source)
        store.add_bytes(b"shared")


def test_several_processes_add_the_same_content(store: Store, source: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    adders = [context.Process(target=_add_many, args=(tmp_path / "objects", source)) for _ in range(3)]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join(30)
    assert [adder.exitcode for adder in adders] == [0, 0, 0]
    assert len(objects(tmp_path)) == 2
    assert store.verify(hashlib.sha256(DATA).hexdigest())


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "loop"])
def test_what_is_no_file_is_named(store: Store, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "odd"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    with pytest.raises(InvalidInput, match="odd"):
        store.add_file(path)
    assert objects(tmp_path) == []


def test_a_deleted_object_is_missing(store: Store, source: Path) -> None:
    digest = store.add_file(source).digest
    assert store.delete(digest) is True
    assert store.delete(digest) is False
    with pytest.raises(CouldNotCheck, match="missing"):
        store.open(digest)


def test_an_object_that_cannot_be_deleted_is_named(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = store.add_bytes(b"data")

    def closed(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", closed)
    with pytest.raises(CouldNotCheck, match=digest[2:]):
        store.delete(digest)
    assert store.verify(digest)
