"""What a charter says. The record's body is the request, unchanged."""

from __future__ import annotations

from typing import Final

from chaincode import shapes

_MSP: Final = shapes.text(r"[A-Za-z][A-Za-z0-9.-]{0,62}")

#: ``grants`` maps a capability that contracts ask for to those who have it: a party and a role in
#: its certificates. ``independent`` is the party that must agree before a limit is loosened.
CHARTER: Final = shapes.fields(
    {
        "origin": shapes.text(r"[a-z0-9][a-z0-9./-]{0,100}/[0-9a-f]{16}"),
        "parties": shapes.mapping(shapes.NAME, _MSP, high=20),
        "independent": shapes.name,
        "grants": shapes.mapping(
            shapes.NAME,
            shapes.items(shapes.fields({"party": shapes.name, "role": shapes.name}), low=1, high=20),
            high=50,
        ),
        "skew_ms": shapes.integer(1_000, 3_600_000),
        "log_format": shapes.one_of("tallystick-log-v1"),
    }
)
