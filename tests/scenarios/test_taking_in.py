"""How a file becomes a dataset: what it was made of is recorded, and what is refused leaves nothing."""

from __future__ import annotations

import hashlib

import pytest
from support.bench import POLICY, Bench, requests, rows
from support.reading import count_digested

from tallystick.errors import InvalidInput, PolicyError, Refused
from tallystick.steps.ingest import ingest
from tallystick.steps.records import find_record


def test_a_dataset_says_what_it_was_made_of_and_by_what(bench: Bench) -> None:
    parent = ingest(bench.w, requests("ingest"), *bench.files("parent")).dataset
    script = bench.folder / "make it.py"
    script.write_text("print(1)")
    files = bench.files("child", rows(2))
    child = ingest(bench.w, requests("ingest"), *files, parents=[parent], transformation=script)
    body = find_record(bench.w, child.dataset).body
    assert body["parents"] == [parent.value()]
    digest = hashlib.sha256(b"print(1)").hexdigest()
    assert body["transformation"] == {"name": "make-it.py", "digest": {"sha256": digest}}
    again = ingest(bench.w, requests("ingest"), *files, parents=[parent], transformation=script)
    assert again.repeated
    script.write_text("print(2)")
    other = ingest(bench.w, requests("ingest"), *files, parents=[parent], transformation=script)
    assert (other.repeated, other.version) == (False, 2)
    without = ingest(bench.w, requests("ingest"), *files)
    assert find_record(bench.w, without.dataset).body["transformation"] is None


def test_what_was_just_copied_is_not_digested_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    files, digested = bench.files("once"), count_digested(monkeypatch, bench.settings.objects)
    taken = ingest(bench.w, requests("ingest"), *files)
    assert digested[taken.file] == 0
    with bench.w.store.open(taken.file) as file:
        assert digested[taken.file] == len(file.read())


def test_a_parent_that_is_retired_is_refused_and_nothing_is_kept(bench: Bench) -> None:
    parent = ingest(bench.w, requests("ingest"), *bench.files("gone")).dataset
    bench.w.provenance.retire(requests("retire").of("x"), subject=parent, state="retired", reason="a test")
    before = kept(bench)
    with pytest.raises(Refused):
        ingest(bench.w, requests("ingest"), *bench.files("of-gone", rows(3)), parents=[parent])
    assert len(kept(bench) - before) == 1  # the policy, which speaks of no row


@pytest.mark.parametrize("broken", ["torn", "keyless", "open"])
def test_a_file_that_breaks_while_it_is_read_leaves_neither_copy_nor_key(bench: Bench, broken: str) -> None:
    source, policy = bench.files(f"b-{broken}", rows(4))
    tail = {"torn": "canary-aaaaaaaa,canary-north\n", "keyless": ",canary-north,,1,2\n", "open": 'a,b,c,1,"2'}
    with source.open("a") as file:
        file.write(tail[broken])
    before = kept(bench)
    with pytest.raises(InvalidInput, match=str(source)) as refused:
        ingest(bench.w, requests("ingest"), source, policy)
    assert "canary" not in refused.value.message
    assert kept(bench) == before


def test_a_policy_that_names_a_person_is_refused_before_anything_is_kept(bench: Bench) -> None:
    named = POLICY.replace("licence: internal", "licence: ask Dr. Jane Canary")
    before = kept(bench)
    with pytest.raises(PolicyError, match='"licence" holds what looks like an identifier') as refused:
        ingest(bench.w, requests("ingest"), *bench.files("named", policy=named))
    assert "Canary" not in str(refused.value)
    assert kept(bench) == before


def kept(bench: Bench) -> set[str]:
    """The names of the objects and keys that are there."""
    places = (bench.settings.objects, bench.settings.keys)
    return {path.name for place in places for path in place.rglob("*") if path.is_file()}
