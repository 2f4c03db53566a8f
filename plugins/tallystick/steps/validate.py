"""Validates a data file against its policy with Great Expectations; the only room that imports it.

Great Expectations' own result holds random ids, times and values of failing rows, so it is reduced to a
canonical form of counts (docs/formats/validation-result.md) that two runs write alike, byte for byte.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chaincode import canonical
from tallystick import floats
from tallystick.steps.expectations import Check, compile_policy

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from tallystick.policy import DatasetPolicy

_COUNTED: Final = {"result_format": "BASIC", "partial_unexpected_count": 0}
_LOCATED: Final = _COUNTED | {"result_format": "COMPLETE"}
_COUNTS: Final = ("element_count", "missing_count", "unexpected_count")
# What Great Expectations keeps about an expectation that does not change what is expected.
_ADMINISTRATIVE: Final = frozenset({
    "id", "meta", "notes", "result_format", "description", "catch_exceptions", "rendered_content", "batch_id",
    "condition_parser", "severity", "windows",
})  # fmt: skip


@dataclass(frozen=True)
class ValidationOutcome:
    """What a validation gave. ``canonical`` and ``suite_canonical`` are what is kept and digested.

    ``failed`` names the expectations, such as ``expect_column_values_to_be_between(age)``. ``first`` has the
    first data row, from 1, that broke an expectation, where that was asked for and one row can.
    """

    passed: bool
    evaluated: int
    failed: tuple[str, ...]
    canonical: bytes
    suite_canonical: bytes
    native: Any = field(repr=False, compare=False)
    first: dict[str, int] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical result, 64 hex digits."""
        return canonical.digest(self.canonical)


def validate(table: pyarrow.Table, policy: DatasetPolicy, *, locate: bool = False) -> ValidationOutcome:
    """Validate a table that `read_table` made against ``policy``; with ``locate``, ``first`` is told too, and
    ``native`` holds values.

    Everything that breaks the policy is a failed expectation in the outcome, a value of the wrong type and
    an expectation that broke included.
    """
    from tallystick.steps.tables import unparsed

    checks = compile_policy(policy)
    native = _evaluate(_frame(table), checks, _LOCATED if locate else _COUNTED)
    results = {result.expectation_config.meta["name"]: result for result in native.results}
    first = _first_rows(results)
    bad = unparsed(table)
    for check in checks:
        if check.is_type and check.columns[0] in bad:
            count, first[check.name] = bad[check.columns[0]]
            _fail_type(results[check.name], table.num_rows, count)
    entries = [_entry(check, results.get(check.name)) for check in checks]
    failed = tuple(entry["expectation"] for entry in entries if not entry["success"])
    native.success = not failed
    return ValidationOutcome(
        passed=not failed,
        evaluated=len(entries),
        failed=failed,
        canonical=canonical.encode(
            {"v": 1, "passed": not failed, "rows": table.num_rows, "results": entries}
        ),
        suite_canonical=_suite(policy, checks, results),
        native=native,
        first=first if locate else {},
    )


def write_data_docs(outcome: ValidationOutcome, folder: Path) -> Path:
    """Write Great Expectations' Data Docs page of ``outcome`` to ``folder/index.html``; returns its path.

    The page holds counts, no values of rows, and loads nothing from outside.
    """
    _gx()
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    from tallystick.steps.data_docs import without_outside

    view: Any = DefaultJinjaPageView()
    page = view.render(ValidationResultsPageRenderer().render(outcome.native))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    path.write_text(without_outside(page), encoding="utf-8")
    return path


def _gx() -> Any:
    # Read when the package is imported: nothing about a validation may go out.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations

    return great_expectations


def _evaluate(frame: pandas.DataFrame, checks: list[Check], told: dict[str, Any]) -> Any:
    gx = _gx()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    batch = (
        context.data_sources.add_pandas("memory")
        .add_dataframe_asset("table")
        .add_batch_definition_whole_dataframe("all")
    )
    suite = context.suites.add(gx.ExpectationSuite(name="policy", expectations=[_native(c) for c in checks]))
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name="policy", data=batch, suite=suite)
    )
    return definition.run(batch_parameters={"dataframe": frame}, result_format=told)


def _native(check: Check) -> Any:
    import great_expectations.expectations as expectations
    from great_expectations.expectations.row_conditions import Column as ConditionColumn
    from great_expectations.expectations.row_conditions import ComparisonCondition, Operator

    kind = getattr(expectations, "".join(word.capitalize() for word in check.kind.split("_")))
    arguments = dict(check.arguments)
    if check.when:
        arguments["row_condition"] = ComparisonCondition(
            column=ConditionColumn(check.when.column),
            operator=Operator(check.when.op),
            parameter=check.when.value,
        )
    return kind(**arguments, meta={"name": check.name})


def _frame(table: pyarrow.Table) -> pandas.DataFrame:
    import pandas
    import pyarrow

    nullable = {
        pyarrow.int64(): pandas.Int64Dtype(),
        pyarrow.bool_(): pandas.BooleanDtype(),
        pyarrow.date32(): pandas.ArrowDtype(pyarrow.date32()),
    }
    frame: pandas.DataFrame = table.replace_schema_metadata(None).to_pandas(types_mapper=nullable.get)
    return frame


def _first_rows(results: dict[str, Any]) -> dict[str, int]:
    rows = {name: result.result.get("unexpected_index_list") for name, result in results.items()}
    return {name: int(min(broke)) + 1 for name, broke in rows.items() if broke}


def _fail_type(result: Any, rows: int, count: int) -> None:
    """The reader, not Great Expectations, saw the values that were not of their column's type."""
    result.success = False
    result.result |= {"element_count": rows, "unexpected_count": count}


def _entry(check: Check, result: Any) -> dict[str, Any]:
    if result is None:
        return {"expectation": check.name, "success": False, "error": True}
    info = result.exception_info or {}
    raised = info.get("raised_exception", any(isinstance(item, dict) for item in info.values()))
    entry: dict[str, Any] = {"expectation": check.name, "success": bool(result.success) and not raised}
    if raised:
        return entry | {"error": True}
    return entry | {name: int(result.result[name]) for name in _COUNTS if result.result.get(name) is not None}


def _suite(policy: DatasetPolicy, checks: list[Check], results: dict[str, Any]) -> bytes:
    entries = []
    for check in checks:
        native = {key: value for key, value in _native(check).dict().items() if key not in _ADMINISTRATIVE}
        entries.append({"name": check.name, "type": check.kind, "arguments": floats.tag(_plain(native))})
    return canonical.encode(
        {
            "v": 1,
            "great_expectations": _gx().__version__,
            "dataset": policy.name,
            "expectations": entries,
        }
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
