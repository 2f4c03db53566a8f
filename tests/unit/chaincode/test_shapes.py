"""Shapes let through what they describe and name the field of anything else, never its value."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaincode import shapes
from chaincode.errors import Refusal

H = "a" * 64

PAIRS = [
    (shapes.text(r"[a-z]+"), "abc", ["", "Abc", 1, None, "abc\n"]),
    (shapes.prose(3), "abc", ["", "abcd", 1]),
    (shapes.integer(1, 3), 3, [0, 4, True, "1", 1.0]),
    (shapes.integer(1, 3), 1, []),
    (shapes.boolean, True, [1, None, "true"]),
    (shapes.one_of("buy", "sell"), "buy", ["hold", None, ["buy"]]),
    (shapes.nullable(shapes.boolean), None, [0]),
    (shapes.items(shapes.boolean, low=1, high=2), [True], [[], [True] * 3, (True,), [1]]),
    (
        shapes.mapping("[a-z]", shapes.boolean, high=1),
        {"a": True},
        [{"A": True}, {"a": 1}, {"a": True, "b": True}, []],
    ),
    (shapes.fields({"a": shapes.boolean}), {"a": True}, [{}, {"a": 1}, {"a": True, "b": True}, []]),
    (shapes.fields({"a": shapes.optional(shapes.boolean)}), {}, [{"a": 1}]),
    (shapes.mapping("[a-z]", shapes.boolean), {}, [{"a": None}]),
    (shapes.digests, {"sha256": H}, [{}, {"md5": H}, {"sha256": H[1:]}, {"sha256": H.upper()}]),
    (shapes.digests, {"sha256": H, "hmac-sha256": H}, []),
    (
        shapes.reference("dataset/[a-z]+/[0-9]+"),
        {"id": "dataset/x/1", "digest": {"sha256": H}},
        [{"id": "dataset", "digest": {"sha256": H}}],
    ),
]


@pytest.mark.parametrize(("shape", "good", "bad"), PAIRS)
def test_a_shape_and_its_nearest_breaches(shape, good, bad):
    shape(good, "request")
    for value in bad:
        with pytest.raises(Refusal) as refusal:
            shape(value, "request")
        assert refusal.value.code == "MALFORMED"


def test_the_field_is_named_as_a_path():
    shape = shapes.fields({"rows": shapes.items(shapes.fields({"n": shapes.integer()}))})
    with pytest.raises(Refusal) as refusal:
        shape({"rows": [{"n": 1}, {"n": "secret"}]}, "request")
    assert refusal.value.facts["field"] == "request.rows[1].n"
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_of_several_missing_fields_the_first_declared_is_named_whatever_the_hashes_are(seed):
    """A refusal that differed from peer to peer would be no agreed answer."""
    tell = (
        "from chaincode import shapes\n"
        "names = ['rows', 'name', 'licence', 'source', 'parents', 'files']\n"
        "try: shapes.fields(dict.fromkeys(names, shapes.boolean))({'files': True}, 'request')\n"
        "except Exception as refusal: print(refusal.facts['field'])"
    )
    told = subprocess.run(
        [sys.executable, "-c", tell],
        cwd=Path(shapes.__file__).parents[1],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "request.rows\n"
