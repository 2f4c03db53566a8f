"""A first policy written from data: refused until edited, then true of the data it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.errors import InvalidInput, PolicyError
from tallystick.policy import load_policy, new_policy
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
    assert (policy.column("score").min, policy.column("score").max) == (-3.0, 2.5)
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


def test_few_repeated_words_become_values_and_near_unique_text_does_not(tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{'no' if i % 2 else 'yes'},note {i % 9}" for i in range(20))
    (tmp_path / "d.csv").write_text(f"score,smoker,note\n{rows}\n")
    text = new_policy(tmp_path / "d.csv")
    assert 'values: ["no", "yes"]' in text
    assert "note 3" not in text


@pytest.mark.parametrize("content", ["", "a,b\n", "a,b\n1,2\n3\n4,5,6,7\n"])
def test_a_file_without_rows_or_form_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "d.csv").write_text(content)
    with pytest.raises(InvalidInput):
        new_policy(tmp_path / "d.csv")
