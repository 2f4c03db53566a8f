"""Reading as declared: a value of the wrong type is counted, a broken table is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallystick.errors import InvalidInput, PolicyError
from tallystick.fingerprint import data_file, sources
from tallystick.fingerprint.keys import DatasetKey, TableKey
from tallystick.fingerprint.sources import Source
from tallystick.fingerprint.tables import fingerprint_table
from tallystick.steps.tables import Rows, read_table, unparsed

COLUMNS = (
    "{name: ok, type: bool}",
    "{name: day, type: date, class: excluded}",
    "{name: at, type: timestamp, class: excluded}",
    "{name: note, type: string, nullable: true}",
)
HEADER = "cost,n,ok,day,at,note\n"
GOOD = "1.5,3,true,2020-02-29,2020-01-01T10:00:00+02:00,a\n"


@pytest.fixture
def key() -> TableKey:
    return DatasetKey("0" * 16, "t", bytes(32)).table_key(bytes(32))


def test_types_are_the_policys_and_columns_in_its_order(make_policy, write) -> None:
    policy = make_policy(*COLUMNS)
    table = read_table(write("note,at,day,ok,n,cost\na,2020-01-01 08:00:00,2020-02-29,0,,1\n"), policy)
    assert table.column_names == ["cost", "n", "ok", "day", "at", "note"]
    assert table.to_pylist() == [
        {
            "cost": 1.0, "n": None, "ok": False, "day": date(2020, 2, 29),
            "at": datetime(2020, 1, 1, 8, tzinfo=UTC), "note": "a",
        }
    ]  # fmt: skip
    assert unparsed(table) == {}


def test_a_value_of_the_wrong_type_becomes_null_and_is_counted(make_policy, write) -> None:
    bad = "x,1.5,maybe,2020-02-30,yesterday,b\ny,99999999999999999999,true,29.02.2020,2020-13-01,c\n"
    table = read_table(write(HEADER + GOOD + bad), make_policy(*COLUMNS))
    assert unparsed(table) == {"cost": (2, 2), "n": (2, 2), "ok": (1, 2), "day": (2, 2), "at": (2, 2)}
    assert table["cost"].to_pylist() == [1.5, None, None]
    assert table["at"].to_pylist()[0] == datetime(2020, 1, 1, 8, tzinfo=UTC)
    assert table["note"].to_pylist() == ["a", "b", "c"]


def test_null_is_spelled_as_the_policy_says(make_policy, write) -> None:
    path = write("cost,n,note\nNA,NA,NA\n")
    assert unparsed(read_table(path, make_policy(COLUMNS[3]))) == {"cost": (1, 1), "n": (1, 1)}
    policy = make_policy(COLUMNS[3], extra='format: {null: ["", NA]}\n')
    assert read_table(path, policy).to_pylist() == [{"cost": None, "n": None, "note": None}]
    assert unparsed(read_table(path, policy)) == {}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("1,2\n3\n", r"csv:3  1 fields where the header has 2"),
        ("1,2\n3,4,5\n", r"csv:3  3 fields where the header has 2"),
        ("", "no rows"),
        ('1,"2\n' + "x" * (17 << 20), "longer than 8 MiB"),
        ('1,2\n3,"4', "ends within quotes"),
    ],
)
def test_a_broken_table_is_refused_with_the_line(make_policy, write, rows: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        read_table(write("cost,n\n" + rows), make_policy())
    assert "xxx" not in str(caught.value)


def test_text_that_is_not_utf8_is_refused(make_policy, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes(b"cost,n,note\n1,2,\xff\n")
    with pytest.raises(InvalidInput, match="UTF-8"):
        read_table(tmp_path / "d.csv", make_policy("{name: note, type: string}"))


def test_a_missing_column_is_a_policy_error(make_policy, write) -> None:
    with pytest.raises(PolicyError, match='column "n" is not in the file'):
        read_table(write("cost\n1\n"), make_policy())


def test_quoted_commas_and_line_breaks_are_text(make_policy, write) -> None:
    table = read_table(write('cost,n,note\n1,2,"a, ""b""\nc"\n'), make_policy(COLUMNS[3]))
    assert table["note"].to_pylist() == ['a, "b"\nc']


def test_parquet_is_read_like_csv_and_a_foreign_type_is_counted(make_policy, tmp_path: Path) -> None:
    path = tmp_path / "object-without-suffix"
    source = pa.table({"n": pa.array([1, 2], pa.int16()), "cost": ["1.5", "x"], "note": ["a", None]})
    pyarrow.parquet.write_table(source, path)
    table = read_table(path, make_policy(COLUMNS[3]))
    assert table.to_pydict() == {"cost": [1.5, None], "n": [1, 2], "note": ["a", None]}
    assert unparsed(table) == {"cost": (1, 2)}
    pyarrow.parquet.write_table(source.set_column(0, "n", pa.array([1.0, 2.5])), path)
    assert unparsed(read_table(path, make_policy(COLUMNS[3]))) == {"cost": (1, 2), "n": (1, 2)}


def test_a_key_without_a_value_is_refused_and_one_with_values_is_not(make_policy, write) -> None:
    policy = make_policy("{name: key, type: float, unique: true, class: excluded}")
    path = write("cost,n,key\n1,1,1\n1,1,NaN\n")
    with pytest.raises(InvalidInput, match='"key" tells rows apart, but has no value in data row 2'):
        read_table(path, policy)
    assert read_table(write("cost,n,key\n1,1,1\n1,1,2\n"), policy).num_rows == 2
    # A value that is no key at all is for the validation to tell.
    assert unparsed(read_table(write("cost,n,key\n1,1,1\n1,1,x\n1,1,\n"), policy)) == {"key": (1, 2)}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.integers(-(2**63), 2**63 - 1).map(str),
            st.floats(allow_nan=False).map(repr),
            st.sampled_from(["0x1F", "+5", " 7 ", "1e3", "-0", ".5", "5.", "inf", "-Infinity", "nan", "1_0"]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_bad_neighbour_never_changes_what_a_value_is_read_as(make_policy, write, texts: list[str]) -> None:
    """The quick reader and the one that looks for culprits agree on every value."""
    policy = make_policy()
    for text in texts:
        alone = read_table(write(f"cost,n\n{text},1\n"), policy)
        beside = read_table(write(f"cost,n\n{text},1\nnot a number,1\n"), policy)
        assert str(alone["cost"][0].as_py()) == str(beside["cost"][0].as_py())
        alone = read_table(write(f"cost,n\n1,{text}\n"), policy)
        beside = read_table(write(f"cost,n\n1,{text}\n1,not a number\n"), policy)
        assert alone["n"][0].as_py() == beside["n"][0].as_py()


TEXTS = {
    "cost": ["1.5", " 2", "-0.0", "inf", "nan", "1e3", "+5"],
    "n": ["1", "-7", "0x1F", "9223372036854775807"],
    "ok": ["true", "FALSE", "1", "0"],
    "day": ["2020-02-29", "1969-12-31"],
    "at": ["2020-01-01", "2020-01-01T10:00:00Z", "2020-01-01 10:00:00.5", "2020-01-01T10:00:00-05:00"],
    "note": ["a", '"a,b"', '"a ""q"" b"', '"x\ny"', "é", " x "],
}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_file, "MAX_LINE", 300)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_under_a_policy_or_a_schema_as_a_stream_or_whole_a_file_has_one_root(
    make_policy, write, small_blocks, key, data
) -> None:
    policy = make_policy(*COLUMNS)
    row = st.fixed_dictionaries({name: st.sampled_from(["", *texts]) for name, texts in TEXTS.items()})
    rows = data.draw(st.lists(row, min_size=1, max_size=40))
    lines = [TEXTS, *([row[name] for name in TEXTS] for row in rows)]
    path = write("".join(",".join(line) + "\n" for line in lines))
    streamed = fingerprint_table(Rows(path, policy).source(), key)
    assert streamed.rows == len(rows)
    assert streamed == fingerprint_table(read_table(path, policy), key)
    schema = {column.name: column.type for column in policy.columns}
    under_schema = fingerprint_table(path, key, schema=schema)
    assert sorted(under_schema.columns) == sorted(streamed.columns)
    whole = read_table(path, policy).select([name for name, _ in under_schema.columns])
    assert under_schema == fingerprint_table(whole, key)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(TEXTS["cost"]), min_size=20, max_size=120),
    st.sets(st.integers(0, 119), min_size=1, max_size=4),
)
def test_a_bad_value_is_null_and_all_others_stay_wherever_a_block_ends(
    make_policy, write, small_blocks, texts: list[str], bad: set[int]
) -> None:
    policy = make_policy("{name: note, type: string, nullable: true}")

    def table(wrong: str) -> pa.Table:
        lines = (wrong if at in bad else text for at, text in enumerate(texts))
        return read_table(write("cost,n,note\n" + "".join(f"{text},1,x\n" for text in lines)), policy)

    with_bad, with_null = table("bad"), table("")
    met = [at for at in bad if at < len(texts)]
    assert unparsed(with_bad) == ({"cost": (len(met), min(met) + 1)} if met else {})
    assert unparsed(with_null) == {}
    assert str(with_bad.to_pydict()) == str(with_null.to_pydict())


def test_a_stream_is_read_no_further_ahead_than_its_hashes_need(
    make_policy, write, small_blocks, key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "CHUNK", 64)
    source = Rows(write("cost,n\n" + "1.5,3\n" * 6400), make_policy()).source()
    read, hashed, furthest = 0, 0, 0

    def counted() -> Iterator[pa.Table]:
        nonlocal read, furthest
        for chunk in source.chunks:
            read += chunk.num_rows
            furthest = max(furthest, read - hashed)
            yield chunk

    def told(rows: int) -> None:
        nonlocal hashed
        hashed = rows

    found = fingerprint_table(Source(source.columns, counted(), source.rows_guess), key, progress=told)
    assert found.rows == hashed == 6400
    assert furthest <= 64 * (min(os.cpu_count() or 1, 8) + 2)


@pytest.mark.parametrize("name", ["[d].csv", "*.csv", "?.csv", "d.csv.gz"])
def test_a_name_is_taken_literally(make_policy, tmp_path: Path, name: str) -> None:
    (tmp_path / "d.csv").write_text("cost,n\n9,9\n9,9\n")
    (tmp_path / name).write_text("cost,n\n1,2\n")
    assert read_table(tmp_path / name, make_policy()).to_pylist() == [{"cost": 1.0, "n": 2}]
    pyarrow.parquet.write_table(pa.table({"cost": [3.0], "n": [4]}), pa.OSFile(str(tmp_path / name), "wb"))
    assert read_table(tmp_path / name, make_policy()).to_pylist() == [{"cost": 3.0, "n": 4}]
