"""The one JSON entry point."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import JsonInvalid
from orchestrator.core.json_text import check_json, json_depth, parse_json

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", "json_invalid"),
        ("[1,]", "json_invalid"),
        ("[1][2]", "json_invalid"),  # two documents
        ("\ufeff{}", "json_invalid"),  # byte order mark
        ('{"a": 1, "a": 2}', "json_invalid"),  # readers would disagree
        ('{"a": {"b": 1, "b": 1}}', "json_invalid"),
        ("'a'", "json_invalid"),
        ('"\n"', "json_invalid"),  # raw control character
        pytest.param("[" * 100_000, "json_too_deep", id="lists"),
        pytest.param('{"a":' * 100_000, "json_too_deep", id="objects"),
        ("[" * 65 + "]" * 65, "json_too_deep"),
        (b'"\xff"', "text_invalid"),
        (b'"\xed\xa0\x80"', "text_invalid"),  # a surrogate, written as UTF-8
        ('"\\u0000"', "text_invalid"),
        ('{"\\u0000": 1}', "text_invalid"),
        ('"\\\\\\u0000"', "text_invalid"),  # a backslash, then NUL
        ("\x00", "text_invalid"),
        ('"\\ud800"', "text_invalid"),
        ('{"a": ["\\uDC00"]}', "text_invalid"),
        ('"\ud800"', "text_invalid"),
        ("1e999", "out_of_range"),
        ("[-1e999]", "out_of_range"),
        ("NaN", "out_of_range"),
        ("[Infinity]", "out_of_range"),
        ("-Infinity", "out_of_range"),
        pytest.param("1" * 5_000, "out_of_range", id="5,000 digits"),
        pytest.param("[" + "1," * 600_000 + "1]", "too_large", id="1.2 MB"),
    ],
)
def test_it_refuses(data: bytes | str, code: str) -> None:
    with pytest.raises(JsonInvalid) as caught:
        parse_json(data)
    assert caught.value.error_code == code


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("[]", []),
        (b'{"a": [1, 2.5, null, true, "\xc3\xa9"]}', {"a": [1, 2.5, None, True, "é"]}),
        ('"\\ud83d\\ude00"', "😀"),  # a whole pair
        ('"\\\\u0000"', "\\u0000"),  # six characters, not NUL
        ('"' + "[" * 100 + '"', "[" * 100),  # brackets in text are no depth
        ('"\\"' + "[" * 100 + '"', '"' + "[" * 100),
        ("[" * 64 + "]" * 64, None),
        ("1" + "0" * 30, 10**30),  # exact, as jsonb keeps it
        ("1e-999", 0.0),
        (" [1]\n", [1]),
    ],
)
def test_it_takes(data: bytes | str, value: object) -> None:
    parsed = parse_json(data)
    assert value is None or parsed == value


@given(VALUES)
def test_what_it_writes_it_reads(value: object) -> None:
    assert parse_json(check_json(value)) == value


@given(st.text(alphabet='[]{}",:\\ua01 ', max_size=60))
def test_it_agrees_with_the_standard_parser_about_odd_texts(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(JsonInvalid):
            parse_json(text)
        return
    # NUL, surrogates and duplicate keys are ours to refuse.
    assert _parsed_or_code(text) in (expected, "text_invalid", "json_invalid")


def _parsed_or_code(text: str) -> object:
    try:
        return parse_json(text)
    except JsonInvalid as refused:
        return refused.error_code


@given(VALUES)
def test_depth_is_counted_as_the_parser_nests(value: object) -> None:
    def depth(node: object) -> int:
        if isinstance(node, dict):
            return 1 + max(map(depth, node.values()), default=0)
        return 1 + max(map(depth, node), default=0) if isinstance(node, list) else 0

    assert json_depth(json.dumps(value).encode()) == depth(value)


@pytest.mark.parametrize(
    "text",
    ['"' + '\\"' * 400_000, '"\\' * 400_000, "[" * 900_000, '["' * 400_000, "[{}" * 300_000, "9" * 900_000],
    ids=["unterminated", "escapes", "brackets", "open strings", "objects", "digits"],
)
def test_no_text_takes_long(text: str) -> None:
    start = time.thread_time()
    with pytest.raises(JsonInvalid):
        parse_json(text)
    # Of this thread's own work, whatever else the machine does: linear takes milliseconds, a quadratic scan minutes.
    assert time.thread_time() - start < 20


def _nested(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


def _inside_itself() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({1, 2}, "json_invalid"),
        (b"a", "json_invalid"),
        (object(), "json_invalid"),
        ({(1, 2): 3}, "json_invalid"),
        (_inside_itself(), "json_invalid"),
        (float("nan"), "out_of_range"),
        ([float("inf")], "out_of_range"),
        pytest.param(10**5_000, "out_of_range", id="5,001 digits"),
        ("a\x00", "text_invalid"),
        ({"\x00": 1}, "text_invalid"),
        ("\ud800", "text_invalid"),
        pytest.param(_nested(64), "json_too_deep", id="65 levels"),
        pytest.param(_nested(100_000), "json_too_deep", id="100,000 levels"),
        pytest.param("x" * 8_000_001, "too_large", id="8 MB"),
        pytest.param("é" * 4_000_001, "too_large", id="8 MB of accents"),
    ],
)
def test_a_handler_cannot_return(value: object, code: str) -> None:
    with pytest.raises(JsonInvalid) as caught:
        check_json(value)
    assert caught.value.error_code == code


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": (1, 2)}, '{"a":[1,2]}'),
        ({1: None}, '{"1":null}'),
        ("é\\u0000", '"é\\\\u0000"'),
        (_nested(63), "[" * 64 + "]" * 64),
    ],
)
def test_a_handler_can_return(value: object, text: str) -> None:
    assert check_json(value) == text
