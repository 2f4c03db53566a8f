"""A first policy written from data: refused until edited, then true of the data it came from."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallystick.errors import InvalidInput, PolicyError
from tallystick.fingerprint import data_file
from tallystick.policy import load_policy, new_policy
from tallystick.policy.profile import SMALL_CELL
from tallystick.steps.tables import read_table, unparsed

ANSWERS = (
    ("kind: EDIT-ME", "kind: regression"),
    ("target: EDIT-ME", "target: score"),
    ("regime: EDIT-ME", "regime: hipaa-safe-harbor"),
    ("EDIT-ME", "said"),
)
DATA = '''\
id,score,zip,site,ok,day,at,left
a1,1e-07,02139,"Ann, A",true,2020-01-31,2020-01-01 10:00:00,1
b2,2.5,10001,yes,false,2020-02-29,2020-01-01 11:00:00,NA
c3,-3,94105,"say, ""hi""",true,2020-03-01,2020-01-01 12:00:00,3
'''


def edited(text: str) -> str:
    for old, new in ANSWERS:
        text = text.replace(old, new)
    return text


def test_it_is_refused_until_a_person_has_edited_it(tmp_path: Path) -> None:
    (tmp_path / "My Data.csv").write_text(DATA)
    path = tmp_path / "p.yaml"
    path.write_text(new_policy(tmp_path / "My Data.csv"))
    with pytest.raises(PolicyError, match="still says EDIT-ME: say where the data comes from") as caught:
        load_policy(path)
    assert "name the column to predict" in caught.value.hint
    assert path.read_text().count(": EDIT-ME") <= 10


def test_edited_it_loads_and_reads_the_file_without_loss(tmp_path: Path) -> None:
    (tmp_path / "My Data.csv").write_text(DATA)
    path = tmp_path / "p.yaml"
    path.write_text(edited(new_policy(tmp_path / "My Data.csv")))
    policy = load_policy(path)
    assert policy.name == "my-data"
    assert [column.type for column in policy.columns] == [
        "string", "float", "string", "string", "bool", "date", "timestamp", "int",
    ]  # fmt: skip
    assert (policy.column("score").min, policy.column("score").max) == (-5.0, 5.0)
    assert (policy.column("day").min, policy.column("day").max) == ("2020-01-01", "2029-12-31")
    assert policy.column("left").nullable
    assert not policy.column("score").nullable
    assert policy.role(policy.column("id")) == "excluded"
    table = read_table(tmp_path / "My Data.csv", policy)
    assert unparsed(table) == {}
    assert table["zip"].to_pylist()[0] == "02139"
    assert table["left"].to_pylist() == [1, None, 3]


def test_other_delimiters_and_parquet_are_understood(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    (tmp_path / "d.csv").write_text("score;b\n1.5;2\n2.5;3\n")
    assert 'delimiter: ";"' in new_policy(tmp_path / "d.csv")
    table = pa.table({"score": [1.5, 2.5], "b": [1, None]})
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    path = tmp_path / "p.yaml"
    path.write_text(edited(new_policy(tmp_path / "d.parquet")))
    policy = load_policy(path)
    assert read_table(tmp_path / "d.parquet", policy).to_pydict() == table.to_pydict()


def drafted(tmp_path: Path, content: str) -> str:
    (tmp_path / "d.csv").write_text(content)
    return new_policy(tmp_path / "d.csv")


@pytest.mark.parametrize(("rows", "listed"), [(SMALL_CELL, True), (SMALL_CELL - 1, False)])
def test_words_are_listed_only_where_enough_rows_have_each(tmp_path: Path, rows: int, listed: bool) -> None:
    body = "yes,1\n" * 40 + "never,2\n" * rows
    assert ('values: ["never", "yes"]' in drafted(tmp_path, f"smoker,score\n{body}")) == listed


def test_a_word_of_few_rows_is_nowhere_in_the_policy(tmp_path: Path) -> None:
    rows = "\n".join(f"{i},note {i % 9}" for i in range(20))
    assert "note 3" not in drafted(tmp_path, f"score,note\n{rows}\n")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(st.integers(-(10**12), 10**12), st.decimals(-1000, 1000, places=3)), min_size=1, max_size=10
    )
)
def test_no_extreme_of_few_rows_is_a_bound_and_all_values_lie_within(
    tmp_path: Path, values: list[int | Decimal]
) -> None:
    path = tmp_path / "p.yaml"
    rows = "".join(f"{value:f},1\n" for value in map(Decimal, values))
    path.write_text(edited(drafted(tmp_path, f"score,x\n{rows}")))
    column = load_policy(path).column("score")
    low, high = Decimal(str(column.min)), Decimal(str(column.max))
    assert low <= min(values)
    assert max(values) <= high
    assert not {low, high} & set(values) - {Decimal(0)}
    for bound in (low, high):
        assert bound.normalize().as_tuple().digits in ((0,), (1,), (2,), (5,))


def test_an_extreme_that_many_rows_share_may_be_a_bound(tmp_path: Path) -> None:
    assert "min: 0, max: 1}" in drafted(tmp_path, "a,flag\n" + "x,0\nx,1\n" * SMALL_CELL)
    assert "min: 0, max: 2}" in drafted(tmp_path, "a,flag\n" + "x,0\n" * 30 + "x,1\n" * 10)


def test_a_value_of_another_kind_in_a_later_batch_changes_the_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_file, "MAX_LINE", 200)
    whole, mixed = "1,a\n" * 200, "1,a\n" * 200 + "NA,a\n" + "1.5,a\n" * 200
    assert '{name: "n", type: int' in drafted(tmp_path, f"n,b\n{whole}")
    text = drafted(tmp_path, f"n,b\n{mixed}")
    assert '{name: "n", type: float' in text
    assert 'null: ["", "NA"]' in text
    assert '{name: "n", type: string, values: ["1", "x"]}' in drafted(
        tmp_path, f"n,b\n{whole}" + "x,a\n" * 99
    )


@pytest.mark.parametrize(
    "name", ["[a].csv", "*.csv", "?.csv", "{a,b}.csv", "a.csv.gz", "file:x.csv", "x=1.csv"]
)
def test_a_name_is_taken_literally(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text("other,columns\n1,2\n")
    (tmp_path / name).write_text("n,b\n1,2\n")
    assert '{name: "n"' in new_policy(tmp_path / name)


def test_a_name_with_signs_of_a_pattern_names_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,b\n1,2\n")
    with pytest.raises(InvalidInput, match="No such file"):
        new_policy(tmp_path / "*.csv")


@pytest.mark.parametrize("content", ["", "a,b\n", "a,b\n1,2\n3\n4,5,6,7\n"])
def test_a_file_without_rows_or_form_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "d.csv").write_text(content)
    with pytest.raises(InvalidInput):
        new_policy(tmp_path / "d.csv")


#: A process of its own: Arrow remembers the most that a process ever took.
_PEAK = """
import pathlib, sys, pyarrow
from tallystick.errors import InvalidInput
from tallystick.policy import new_policy
for path in sys.argv[1:]:
    try:
        new_policy(pathlib.Path(path))
    except InvalidInput as error:
        print(error.message)
print(pyarrow.default_memory_pool().max_memory())
"""


def test_a_line_without_end_is_refused_before_memory_grows(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.csv" for number in range(3)]
    for path, head in zip(paths, (b"", b"a,b\n1,2\n", b'a,b\n1,"'), strict=True):
        with path.open("wb") as file:
            file.write(head)
            file.truncate(3 << 30)  # of zeros, which take no room on the disk
    command = [sys.executable, "-c", _PEAK, *map(str, paths)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    *refused, most = told.splitlines()
    assert len(refused) == 3
    assert all("longer than 8 MiB" in line or "binary data" in line for line in refused)
    # Arrow reads blocks of 8 MiB ahead, how many depends on its threads; each file has 3 GiB.
    assert int(most) < 512 << 20


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([f"c{number}" for number in range(2001)], "2,001 columns"),
        (["a", "b" * 129], "the name of column 2 is longer than 128 characters"),
    ],
)
def test_names_that_no_policy_can_hold_are_refused_before_the_rows_are_read(
    tmp_path: Path, names: list[str], says: str
) -> None:
    (tmp_path / "wide.csv").write_text(",".join(names) + "\nno row\n")
    with pytest.raises(InvalidInput, match=says) as caught:
        new_policy(tmp_path / "wide.csv")
    assert "bbb" not in str(caught.value)
