"""Results of steps: frozen dataclasses that travel between tasks as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final, Self, TypeVar

from chaincode import canonical
from tallystick.clients.provenance import Reference
from tallystick.errors import InvalidInput

#: What lists in a record may take of the 60 KiB that a record has.
_ROOM: Final = 40 << 10

Item = TypeVar("Item")


class Result:
    """Base of a frozen dataclass whose fields are JSON values or of the type `Reference`."""

    def value(self) -> dict[str, Any]:
        """The result as JSON."""
        found: dict[str, Any] = {}
        for field in fields(self):  # type: ignore[arg-type]
            item = getattr(self, field.name)
            found[field.name] = item.value() if isinstance(item, Reference) else item
        return found

    @classmethod
    def from_value(cls, value: Any) -> Self:
        """What `value` gave. Raises `InvalidInput` for anything else."""
        types = {field.name: field.type for field in fields(cls)}  # type: ignore[arg-type]
        if not isinstance(value, dict) or value.keys() != types.keys():
            raise InvalidInput(f"this is no result of the kind {cls.__name__}")
        return cls(
            **{name: reference(item) if types[name] == "Reference" else item for name, item in value.items()}
        )


def reference(value: Any) -> Reference:
    """The `Reference` that stands in a record or a result. Raises `InvalidInput`."""
    try:
        return Reference(value["id"], value["digest"]["sha256"])
    except (KeyError, TypeError):
        raise InvalidInput("this is no reference to a record") from None


def fitting(items: Sequence[Item], most: int) -> list[Item]:
    """As many of ``items``, from the first, as a record has room for: ``most`` at most."""
    kept: list[Item] = []
    room = _ROOM
    for item in items[:most]:
        room -= len(canonical.encode(item)) + 1
        if room < 0:
            break
        kept.append(item)
    return kept
