"""The standard library's encoder, restricted, gives RFC 8785's bytes."""

from __future__ import annotations

import math

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from chaincode import canonical

ascii_keys = st.text(st.characters(max_codepoint=127), max_size=10).filter(
    lambda key: not key.startswith("$")
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER)
    | st.text(st.characters(exclude_categories=("Cs",)))
)
tagged = st.floats().map(lambda number: {"$float": _spelt(number)}) | st.integers(2**53).map(
    lambda number: {"$int": str(number)}
)
values = st.recursive(
    scalars | tagged,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ascii_keys, inner, max_size=4),
    max_leaves=20,
)


def _spelt(number: float) -> str:
    return (
        repr(number).replace("inf", "Infinity").replace("nan", "NaN")
        if not math.isfinite(number)
        else repr(number)
    )


@given(values)
def test_the_bytes_are_those_of_rfc_8785(value):
    assert canonical.encode(value) == rfc8785.dumps(value)


@given(values)
def test_decoding_gives_back_what_was_encoded(value):
    assert canonical.decode(canonical.encode(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"b":1,"a":2}',
        '{"a":1,"a":1}',
        '{"a": 1}',
        '"\\u0041"',
        "1.0",
        "1e2",
        "NaN",
        "-0",
        '{"a":1',
        "[" * 100_000,
        '{"$float":0}',
        '{"$float":"1.","$int":"5"}',
        '{"$other":"1"}',
        '{"$int":"01"}',
        '{"$int":"9007199254740991"}',
        '{"$int":"-9007199254740991"}',
        "9007199254740992",
        '"\ud800"',
    ],
)
def test_other_spellings_are_refused(text):
    with pytest.raises(canonical.NotCanonical):
        canonical.decode(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        {"é": 1},
        {1: 2},
        b"bytes",
        2**53,
        "\ud800",
        {"$float": "0.1", "more": 1},
        {"a": {"$x": "1"}},
        {"s"},
    ],
)
def test_values_outside_the_model_are_refused(value):
    with pytest.raises(canonical.NotCanonical):
        canonical.encode(value)


@pytest.mark.parametrize("text", ["9007199254740992", "-9007199254740992", "1" * 400])
def test_integers_that_need_a_tag_have_one(text):
    assert canonical.decode(f'{{"$int":"{text}"}}'.encode()) == {"$int": text}


def test_nesting_is_limited():
    value: list = []
    for _ in range(canonical.MAX_DEPTH - 1):
        value = [value]
    assert canonical.encode(value)
    with pytest.raises(canonical.NotCanonical, match="deeper"):
        canonical.encode([value])


def test_nesting_is_limited_in_what_is_read_too_however_many_brackets_there_are():
    wide = b"[" + b",".join([b"[[]]"] * 40) + b"]"
    assert canonical.decode(wide) == [[[]]] * 40
    deep = b"[" * canonical.MAX_DEPTH + b"]" * canonical.MAX_DEPTH
    assert canonical.encode(canonical.decode(deep)) == deep
    for data in (b"[" + deep + b"]", b'{"a":' + deep + b',"b":[[]]}'):
        with pytest.raises(canonical.NotCanonical, match="deeper"):
            canonical.decode(data)


def test_a_refusal_names_the_place_and_not_the_value():
    with pytest.raises(canonical.NotCanonical) as refusal:
        canonical.encode({"patient": [{"note": 3.25}]})
    assert "value.patient[0].note" in str(refusal.value)
    assert "3.25" not in str(refusal.value)


@given(st.lists(values, max_size=5))
def test_many_values_encode_as_each_alone(many):
    each = [canonical.encode(value) for value in many]
    assert canonical.encode_each(many) == canonical.encode_each_decoded(many) == each


@pytest.mark.parametrize(
    "value", ["\ud800", ["a", "\ud800", "b"], {"a": ["\ud800"]}, 0.5, {"a": {"$b": 1}}, {"a": 2**53}]
)
def test_many_values_are_refused_where_one_is(value):
    with pytest.raises(canonical.NotCanonical):
        canonical.encode_each(["before", value, "behind"])


@given(st.text())
def test_a_text_encodes_as_any_value(text):
    try:
        expected = canonical.encode(text)
    except canonical.NotCanonical:
        with pytest.raises(canonical.NotCanonical):
            canonical.encode_text(text)
    else:
        assert canonical.encode_text(text) == expected


def test_only_bytes_that_were_encoded_here_are_taken_as_canonical():
    encoded = canonical.encode({"a": [1, {"b": "c"}]})
    assert canonical.decode(encoded) == canonical.decode(bytes(encoded)) == {"a": [1, {"b": "c"}]}
    for changed in (encoded[:-1] + b" }", encoded + b"\n", encoded.replace(b":", b": ")):
        with pytest.raises(canonical.NotCanonical):
            canonical.decode(changed)
