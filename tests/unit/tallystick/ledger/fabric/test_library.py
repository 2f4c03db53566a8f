"""The client is a library of its own, whose errors are one tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tallystick.ledger import fabric
from tallystick.ledger.fabric import errors

ROOM = Path(fabric.__file__).parent
STAGES = ("Evaluate", "Endorse", "Submit", "CommitStatus", "Commit", "Events", "Deliver")


def test_it_imports_no_other_room() -> None:
    ours = set()
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                ours.add(node.module or "")
            elif isinstance(node, ast.Import):
                ours |= {alias.name for alias in node.names}
    ours = {name for name in ours if name.startswith(("tallystick", "chaincode"))}
    assert ours
    assert {name for name in ours if not name.startswith("tallystick.ledger.fabric")} == set()


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    kinds = {name for name in vars(errors) if name.endswith("Error")}
    assert kinds == {"GatewayError", "ConfigurationError"} | {f"{stage}Error" for stage in STAGES}
    assert all(name in (errors.__doc__ or "") for name in kinds)
    assert all(issubclass(getattr(errors, name), fabric.GatewayError) for name in kinds)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_name_of_its_own(stage: str) -> None:
    names = [getattr(errors, f"{each}Error").stage for each in STAGES]
    assert names.count(getattr(errors, f"{stage}Error").stage) == 1


def test_an_error_without_details_still_reads_well() -> None:
    assert str(fabric.EventsError("no")) == "reading events failed: no"
    assert fabric.EventsError("no").refusal is None
    assert not fabric.EventsError("no").conflict
    assert str(fabric.ConfigurationError("no", hint="do")) == "no\ndo"
