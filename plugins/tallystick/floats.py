"""Floats in canonical JSON: ``{"$float": "0.1"}``, as docs/formats/canonical.md has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_TAG: Final = "$float"


def tag(value: Any) -> Any:
    """``value``, of dicts, lists and scalars, with every float in its tagged form."""
    if isinstance(value, float):
        return {_TAG: repr(float(value))}
    if isinstance(value, Mapping):
        return {key: tag(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [tag(item) for item in value]
    return value


def untag(value: Any) -> Any:
    """The opposite of `tag`. Raises ValueError or TypeError for a tagged value that is no float."""
    if isinstance(value, Mapping):
        if value.keys() == {_TAG}:
            return float(value[_TAG])
        return {key: untag(item) for key, item in value.items()}
    return [untag(item) for item in value] if isinstance(value, list) else value
