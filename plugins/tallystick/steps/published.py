"""A policy is recorded and handed on: under a privacy regime its own text must identify nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tallystick.errors import PolicyError
from tallystick.policy import DatasetPolicy
from tallystick.policy.marked import Place


def check_published(policy: DatasetPolicy) -> None:
    """Raise `PolicyError` at the first line that holds a direct identifier of a person, found by content.

    Looks only where the policy names a regime. Prose may hold dates and addresses of the web: of the 18
    classes those that name a person count (`screen.DIRECT`).
    """
    if policy.privacy.regime == "none":
        return
    import polars

    from tallystick.steps.screen import DIRECT, content_of_text

    texts = list(_texts(policy.model_dump(by_alias=True), ()))
    if not DIRECT & content_of_text(polars.Series([text for _, text in texts])).keys():
        return
    for place, text in sorted(texts, key=lambda item: policy.line(*item[0])):
        found = sorted(DIRECT & content_of_text(polars.Series([text])).keys())
        if found:
            key = next(part for part in reversed(place) if isinstance(part, str))
            raise PolicyError(
                policy.file,
                policy.line(*place),
                f'"{key}" holds what looks like an identifier of a person: {found[0]}',
                hint="A policy is published and kept. Write it without values of rows, names and addresses.",
            )


def _texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield place, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _texts(item, (*place, key))
