"""A made-up dataset to register, where a test needs one to be there and little of what it says.

Knows nothing else here: Airflow reads it too, for DAGs that are test cases.
"""

from __future__ import annotations

from typing import Any

#: A digest of nothing that is kept anywhere.
NOWHERE = {"sha256": "a" * 64}


def made_up(
    name: str = "people",
    version: int = 1,
    *,
    file: dict[str, str] = NOWHERE,
    size: int = 5,
    rows: int = 1,
    key: str = "0" * 16,
    **other: Any,
) -> dict[str, Any]:
    """Arguments of `Provenance.register_dataset`: a ``file`` of ``size`` bytes with ``rows`` rows,
    fingerprinted under the key with the id ``key``. ``other`` stands as it is given."""
    table = {"scheme": "tallystick-table-v1", "root": "b" * 64, "rows": rows, "nonce": "c" * 64, "key": key}
    return {
        "name": name,
        "version": version,
        "files": [(file, size, False)],
        "table": table,
        "schema": NOWHERE,
        "source": "made up",
        "licence": "CC0",
        "policy": NOWHERE,
        **other,
    }
