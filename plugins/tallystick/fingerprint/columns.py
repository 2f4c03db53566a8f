"""Logical types: what a column's values are, whatever format or library holds them.

A column becomes `Cells`: for each row a tag (0 for null) and a payload. docs/formats/fingerprint.md,
"Logical types" and "Cells", is normative.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chaincode.canonical import NotCanonical, digest, encode
from tallystick.errors import InvalidInput
from tallystick.fingerprint.rows import TAGS, Cells, FixedCells, TextCells

LogicalType = Literal["int", "float", "bool", "string", "date", "timestamp", "decimal"]
LOGICAL_TYPES: Final[tuple[str, ...]] = get_args(LogicalType)

Schema: TypeAlias = Mapping[str, str]
"""Column name to logical type."""

MAX_DECIMAL_DIGITS: Final = 76

TRUE: Final = ["true", "True", "TRUE", "1"]
FALSE: Final = ["false", "False", "FALSE", "0"]
"""How a text says the two truths."""

ZONED: Final = r"[T ][0-9:.]+(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
"""Texts that say a time with its zone; "-31" at the end of a date is none."""

_DECIMAL: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_READ_AS: Final = {
    ("int", "float"),
    ("float", "int"),
    ("int", "decimal"),
    ("string", "decimal"),
    ("string", "timestamp"),
}


def logical_type(name: str, kind: pa.DataType) -> str | None:
    """The logical type of an Arrow type, None where all is null. Raises `InvalidInput` for what has none."""
    if pa.types.is_dictionary(kind):
        return logical_type(name, kind.value_type)
    for logical, tests in _ARROW_TESTS:
        if any(test(kind) for test in tests):
            return logical
    raise InvalidInput(
        f"column {name} has the type {kind}, which a table's fingerprint does not cover",
        hint=f"Convert it to one of {', '.join(LOGICAL_TYPES)}, or leave it out.",
    )


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds texts, dictionaries of them apart."""
    return any(test(kind) for test in _TEXT_TESTS)


def settle_schema(
    columns: Sequence[tuple[str, pa.DataType]], declared: Schema | None
) -> list[tuple[str, str]]:
    """Name and logical type of each column, in the table's order.

    With ``declared``, the columns must be exactly those declared, with types that can be read as declared;
    without, the types are the table's own. Raises `InvalidInput`.
    """
    names = [name for name, _ in columns]
    check_names(names, declared)
    settled: list[tuple[str, str]] = []
    for name, kind in columns:
        own = logical_type(name, kind)
        wanted = declared[name] if declared is not None else own
        if wanted is None:
            raise InvalidInput(f"column {name} holds only nulls", hint="Declare its type.")
        if own not in (None, wanted) and (own, wanted) not in _READ_AS:
            raise InvalidInput(
                f"column {name} is {own} where {wanted} is declared", hint="Convert it or declare it so."
            )
        settled.append((name, wanted))
    return settled


def check_names(names: Sequence[str], declared: Schema | None) -> None:
    """Raise `InvalidInput` for column names that are missing, twice, not text or not as declared."""
    if not names:
        raise InvalidInput("the table has no columns")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"column {twice} is there twice", hint="Rename one of them.")
    if declared is None:
        return
    for name, wanted in declared.items():
        if wanted not in LOGICAL_TYPES:
            raise InvalidInput(
                f"column {name} is declared {wanted}, which is no type",
                hint=f"One of {', '.join(LOGICAL_TYPES)}.",
            )
    missing = [name for name in declared if name not in names]
    if missing:
        raise InvalidInput(f"column {missing[0]} is missing", hint=f"The table has: {', '.join(names)}.")
    extra = [name for name in names if name not in declared]
    if extra:
        raise InvalidInput(f"column {extra[0]} is not declared", hint="Declare its type, or leave it out.")


def schema_digest(columns: Sequence[tuple[str, str]]) -> str:
    """SHA-256 of the schema's canonical JSON, 64 hex digits."""
    try:
        listed = [{"name": name, "type": kind} for name, kind in columns]
        return digest(encode({"v": 1, "columns": listed}))
    except NotCanonical:
        raise InvalidInput("a column's name is not UTF-8", hint="Rename it.") from None


def to_cells(name: str, column: pa.ChunkedArray, wanted: str) -> Cells:
    """The cells of a column read as logical type ``wanted``. Raises `InvalidInput` for what is not one."""
    try:
        return _MAKERS[wanted](_read_as(name, column, wanted))
    except (pa.ArrowException, ArithmeticError, ValueError):
        # Arrow's messages quote the value, so nothing of them may be shown or chained.
        raise InvalidInput(
            f"column {name} holds a value that is no {wanted}, or is beyond its range",
            hint="Correct the value, or declare another type.",
        ) from None


def _read_as(name: str, column: pa.ChunkedArray, wanted: str) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # what combining no chunks gives
        array = pa.array([], column.type)
    own = logical_type(name, array.type)
    if own is None:
        return pa.nulls(len(array), _EMPTY[wanted])
    if (own, wanted) == ("float", "int"):
        array = pc.if_else(pc.is_nan(array), None, array)
        return array.cast(pa.int64())
    if (own, wanted) == ("string", "timestamp"):
        return utc_times(array)
    return array


def utc_times(text: pa.Array) -> pa.Array:
    """Texts as instants, in UTC where they name no zone. Raises `pa.ArrowInvalid` where one is none."""
    zoned = pc.match_substring_regex(text, ZONED)
    local, aware = pc.if_else(zoned, None, text), pc.if_else(zoned, text, None)

    def read(unit: str) -> pa.Array:
        utc = pa.timestamp(unit, "UTC")
        return pc.coalesce(local.cast(pa.timestamp(unit)).cast(utc), aware.cast(utc))

    try:
        return read("ns")
    except pa.ArrowInvalid:  # nanoseconds end in 2262
        return read("us")


def _integers(wanted: str) -> Callable[[pa.Array], Cells]:
    tag = TAGS[wanted]

    def make(array: pa.Array) -> Cells:
        if wanted == "date":
            array = array.cast(pa.date32()).cast(pa.int32())
        return _fixed(tag, array, _int64(array.cast(pa.int64())))

    return make


def _floats(array: pa.Array) -> FixedCells:
    array = array.cast(pa.float64())
    numbers = pc.fill_null(array, 0.0).to_numpy(zero_copy_only=False) + 0.0  # -0.0 + 0.0 is 0.0
    cells = _fixed(TAGS["float"], array, numbers.view(np.int64))
    return FixedCells(np.where(np.isnan(numbers), 0, cells.tags).astype(np.uint8), cells.values)


def _instants(array: pa.Array) -> FixedCells:
    unit, zone = array.type.unit, array.type.tz
    if unit != "ns":
        return _fixed(TAGS["timestamp"], array, _int64(array.cast(pa.timestamp("us", zone)).cast(pa.int64())))
    nanoseconds = _int64(array.cast(pa.int64()))
    whole, rest = np.divmod(nanoseconds, 1000)
    cells = _fixed(TAGS["timestamp"], array, np.where(rest == 0, whole, nanoseconds))
    finer = (rest != 0) & (cells.tags != 0)
    return FixedCells(np.where(finer, TAGS["nanoseconds"], cells.tags).astype(np.uint8), cells.values)


def _texts(array: pa.Array) -> TextCells:
    return _variable(TAGS["string"], array.cast(pa.large_string()))


def _decimals(array: pa.Array) -> TextCells:
    texts = [None if value is None else decimal_text(value) for value in array.to_pylist()]
    return _variable(TAGS["decimal"], pa.array(texts, pa.large_string()))


def decimal_text(value: Decimal | int | str) -> str:
    """The one text of a decimal: no exponent, no needless zeros, no plus, no minus before zero.

    Raises ValueError for what is no finite number of at most 76 digits on either side.
    """
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise ValueError("not a decimal")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("not finite")
    _, digits, exponent = number.as_tuple()
    if len(digits) > MAX_DECIMAL_DIGITS or abs(int(exponent)) > MAX_DECIMAL_DIGITS:
        raise ValueError("too many digits")
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _fixed(tag: int, array: pa.Array, values: npt.NDArray[np.int64]) -> FixedCells:
    return FixedCells(_tags(tag, array), values)


def _variable(tag: int, array: pa.Array) -> TextCells:
    _, offsets, data = array.buffers()
    starts = np.zeros(len(array) + 1, np.int64)
    if offsets:
        starts = np.frombuffer(offsets, np.int64, len(starts), array.offset * 8)
    return TextCells(_tags(tag, array), starts, np.frombuffer(data or b"", np.uint8))


def _tags(tag: int, array: pa.Array) -> npt.NDArray[np.uint8]:
    if not array.null_count:
        return np.full(len(array), tag, np.uint8)
    valid: npt.NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)
    return valid.astype(np.uint8) * np.uint8(tag)


def _int64(array: pa.Array) -> npt.NDArray[np.int64]:
    values: npt.NDArray[np.int64] = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
    return values


_TYPES: Final = pa.types
_TEXT_TESTS: Final = (_TYPES.is_string, _TYPES.is_large_string, _TYPES.is_string_view)
_ARROW_TESTS: Final[tuple[tuple[str | None, tuple[Any, ...]], ...]] = (
    (None, (_TYPES.is_null,)),
    ("int", (_TYPES.is_integer,)),
    ("float", (_TYPES.is_floating,)),
    ("bool", (_TYPES.is_boolean,)),
    ("string", _TEXT_TESTS),
    ("date", (_TYPES.is_date,)),
    ("timestamp", (_TYPES.is_timestamp,)),
    ("decimal", (_TYPES.is_decimal,)),
)
_EMPTY: Final = {
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.large_string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "decimal": pa.large_string(),
}
_MAKERS: Final[dict[str, Callable[[pa.Array], Cells]]] = {
    "int": _integers("int"),
    "bool": _integers("bool"),
    "date": _integers("date"),
    "float": _floats,
    "timestamp": _instants,
    "string": _texts,
    "decimal": _decimals,
}
