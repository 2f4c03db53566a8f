"""Floats in canonical JSON: tagged where they stand, and the same floats again."""

from __future__ import annotations

import math

import pytest

from chaincode import canonical
from tallystick import floats

VALUE = {"a": 0.1, "b": [1, 1.0, {"c": -0.0}], "d": "0.1", "e": None, "f": True}


def test_floats_come_back_as_they_were() -> None:
    tagged = floats.tag(VALUE)
    assert tagged["a"] == {"$float": "0.1"}
    assert tagged["b"][:2] == [1, {"$float": "1.0"}]
    again = floats.untag(canonical.decode(canonical.encode(tagged)))
    assert again == VALUE
    assert math.copysign(1, again["b"][2]["c"]) == -1


def test_what_is_no_float_is_said() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        floats.untag({"$float": "ten"})
