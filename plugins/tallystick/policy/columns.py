"""Holds a data file's columns against a policy's, before anything else reads the file."""

from __future__ import annotations

from pathlib import Path

from tallystick.errors import InvalidInput, PolicyError
from tallystick.fingerprint.data_file import check_header, csv_names, file_kind
from tallystick.nearest import nearest
from tallystick.policy.models import DatasetPolicy


def check_columns(policy: DatasetPolicy, data: Path) -> None:
    """Compare the columns of the CSV or Parquet file ``data`` with the policy's.

    Raises `PolicyError` at the line of the first column that differs, with the others in its hint, and
    `InvalidInput` for a file that is empty, packed, not UTF-8, or has no usable first line.
    """
    present = column_names(data, policy.format.delimiter)
    declared = [column.name for column in policy.columns]
    missing = [name for name in declared if name not in present]
    if len(missing) * 2 > len(declared):
        # Without a header the "names" would be the first row's values, which no message may show.
        raise InvalidInput(
            f"{data}: {len(missing)} of the policy's {len(declared)} columns are not in the first line",
            hint="Has the file a header line, and is it the file that the policy is for?",
        )
    extra = [name for name in present if name not in declared]
    found = [
        (
            policy.line("columns", index, "name"),
            f'column "{name}" is not in the file{nearest(name, extra or present)}',
        )
        for index, name in enumerate(declared)
        if name in missing
    ]
    if len(extra) > len(missing):
        text = 'the file has columns that the policy does not declare: "{}"; class: excluded keeps one out'
        found.append((policy.line("columns"), text.format('", "'.join(extra[:5]))))
    if found:
        (line, text), *others = sorted(found)
        hint = "\n".join(f"{policy.file}:{at}  {more}" for at, more in others[:20])
        raise PolicyError(policy.file, line, text, hint=hint)


def column_names(data: Path, delimiter: str) -> list[str]:
    """The names in a CSV's first line or a Parquet file's schema. Raises `InvalidInput`."""
    kind = file_kind(data)
    if kind == "csv":
        return csv_names(data, delimiter)
    if kind != "parquet":
        raise InvalidInput(f"{data}: an Arrow file", hint="Save it as CSV or Parquet.")
    from tallystick.fingerprint.sources import open_parquet

    names: list[str] = open_parquet(data)[0].names
    check_header(data, names)
    return names
