import json
import socket
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import schema as schema_module
from orchestrator.core.json_types import Json
from orchestrator.core.patterns import PatternUnsupported, check_pattern, matches
from orchestrator.core.schema import check_input
from orchestrator.core.schema_example import example_of
from orchestrator.core.schema_rules import schema_problems

ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order": {
            "type": "object",
            "properties": {
                "sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
                "quantity": {"type": "integer", "minimum": 1, "maximum": 99},
                "at": {"type": "string", "format": "date-time"},
                "speed": {"enum": ["slow", "fast"]},
            },
            "required": ["sku"],
            "additionalProperties": False,
        },
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "maxItems": 3},
    },
    "required": ["order"],
}


def found(schema: dict[str, Any], value: Json) -> list[tuple[str, str]]:
    return sorted((problem.path, problem.code) for problem in check_input(schema, value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"order": {"sku": "AB-1", "quantity": 2, "at": "2024-02-29T12:00:00Z", "speed": "fast"}, "tags": []}, []),
        ({}, [("order", "required")]),
        ([], [("", "type")]),
        ({"order": {}}, [("order.sku", "required")]),
        ({"order": {"sku": "ab"}}, [("order.sku", "pattern")]),
        ({"order": {"sku": 1}}, [("order.sku", "type")]),
        ({"order": {"sku": "AB-1", "quantity": 0}}, [("order.quantity", "minimum")]),
        ({"order": {"sku": "AB-1", "quantity": True}}, [("order.quantity", "type")]),
        ({"order": {"sku": "AB-1", "at": "2024-02-30T12:00:00Z"}}, [("order.at", "format")]),
        ({"order": {"sku": "AB-1", "at": "2024-02-29T12:00:00"}}, [("order.at", "format")]),  # no zone
        ({"order": {"sku": "AB-1", "speed": "slwo"}}, [("order.speed", "enum")]),
        ({"order": {"sku": "AB-1", "colour": 1}}, [("order.colour", "additionalProperties")]),
        ({"order": {"sku": "AB-1"}, "tags": ["a", 1]}, [("tags.1", "type")]),
        ({"order": {"sku": "AB-1"}, "tags": ["a", "a"]}, [("tags", "uniqueItems")]),
        ({"order": {"sku": "?", "quantity": 100}, "tags": 1},
         [("order.quantity", "maximum"), ("order.sku", "pattern"), ("tags", "type")]),
        ({"order": float("nan")}, [("order", "out_of_range")]),
        ({"order": "\x00"}, [("order", "text_invalid")]),
    ],
)  # fmt: skip
def test_it_finds_everything_wrong_with_an_input(value: Json, expected: list[tuple[str, str]]) -> None:
    assert found(ORDER, value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, '"order" is missing.'),
        ({"order": 5}, '"order" must be an object, not 5.'),
        ({"order": {"sku": "AB-1", "speed": "x"}}, '"order.speed" is "x". Choose one of "slow", "fast".'),
        ({"order": {"sku": "AB-1", "quantity": 100}}, '"order.quantity" is 100. The most is 99.'),
        ({"order": {"sku": "AB-1", "x": [1]}}, '"order.x" is not expected here.'),
    ],
)
def test_it_speaks_to_people(value: Json, message: str) -> None:
    assert [problem.message for problem in check_input(ORDER, value)] == [message]


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ({"$ref": "http://127.0.0.1:9/x"}, "schema_ref_forbidden"),
        ({"$ref": "file:///etc/passwd"}, "schema_ref_forbidden"),
        ({"$ref": "other.json"}, "schema_ref_forbidden"),
        ({"$ref": "#"}, "schema_ref_forbidden"),
        ({"$ref": "#/properties/x", "properties": {"x": {}}}, "schema_ref_forbidden"),
        ({"$ref": "#/$defs/gone", "$defs": {}}, "schema_ref_forbidden"),
        ({"$ref": 5}, "schema_ref_forbidden"),
        ({"$id": "http://127.0.0.1:9/"}, "schema_ref_forbidden"),
        ({"properties": {"x": {"$id": "x"}}}, "schema_ref_forbidden"),
        ({"$schema": "http://127.0.0.1:9/"}, "schema_ref_forbidden"),
        ({"items": {"$schema": "https://json-schema.org/draft/2020-12/schema"}}, "schema_ref_forbidden"),
        ({"$dynamicRef": "#x"}, "schema_ref_forbidden"),
        ({"allOf": [{"not": {"$anchor": "x"}}]}, "schema_ref_forbidden"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"items": {"$ref": "#/$defs/a"}}}}, "schema_ref_forbidden"),
        ({"properties": {"x": {"$defs": {}}}}, "schema_ref_forbidden"),
        ({"type": "strin"}, "schema_invalid"),
        ({"properties": {"x": 5}}, "schema_invalid"),
        ({"minimum": "5"}, "schema_invalid"),
        ({"required": "x"}, "schema_invalid"),
        ({"unevaluatedProperties": False}, "schema_unsupported"),
        ({"pattern": "(?=a)b"}, "pattern_unsupported"),
        ({"pattern": "("}, "pattern_unsupported"),
        ({"pattern": "a" * 501}, "pattern_unsupported"),
        ({"pattern": "(\\w{100}){100}"}, "pattern_unsupported"),
        ({"patternProperties": {"(a)\\1": {}}}, "pattern_unsupported"),
        ({"properties": {str(index): {"pattern": f"a{index}"} for index in range(51)}}, "schema_too_large"),
        ({"properties": {str(index): {} for index in range(10_000)}}, "schema_too_large"),
    ],
)
def test_it_refuses_schemas(schema: dict[str, Any], code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("a schema made us open a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    started = time.thread_time()
    assert [problem.code for problem in schema_problems(schema)] == [code]
    assert [problem.code for problem in check_input(schema, {"x": 1})] == [code]
    assert time.thread_time() - started < 2


def test_small_schemas_cannot_explode() -> None:
    tenfold = {f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 10} for level in range(20)}
    bomb: Json = {"$defs": tenfold | {"d20": {}}, "$ref": "#/$defs/d0"}
    assert [problem.code for problem in schema_problems(bomb)] == ["schema_too_large"]
    line = {f"d{level}": {"$ref": f"#/$defs/d{level + 1}"} for level in range(100)}
    chain: Json = {"$defs": line | {"d100": {}}, "$ref": "#/$defs/d0"}
    assert [problem.code for problem in schema_problems(chain)] == ["schema_too_large"]


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"$ref": {"type": "string"}, "$id": {}}},  # names of properties, not keywords
        {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"$defs": {"line": {"type": "integer"}}, "items": {"$ref": "#/$defs/line"}},
        {"if": {"type": "string"}, "then": {"minLength": 1}, "else": True},
        {"x-ui": {"widget": "text"}},
    ],
)
def test_it_takes_schemas(schema: dict[str, Any]) -> None:
    assert schema_problems(schema) == []


def test_definitions_work() -> None:
    schema = {"$defs": {"line": {"type": "integer"}}, "items": {"$ref": "#/$defs/line"}}
    assert found(schema, [1, "x"]) == [("1", "type")]


def _nested(levels: int, keyword: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {keyword: [schema]} if keyword in {"allOf", "oneOf"} else {keyword: schema}
    return schema


@pytest.mark.parametrize(("keyword", "levels"), [("allOf", 31), ("oneOf", 31), ("not", 62), ("if", 62), ("items", 62)])
def test_the_deepest_schema_stays_far_from_the_stack(keyword: str, levels: int) -> None:
    schema = _nested(levels, keyword)

    def below(frames: int) -> None:
        if frames:
            below(frames - 1)
        else:
            check_input(schema, 3)

    below(300)  # about as deep as a request may stand when it asks


def test_patterns_take_linear_time() -> None:
    evil = {"patternProperties": {"^(a|a)*$": {"pattern": "^(a+)+$"}}, "additionalProperties": {"pattern": "(.*a){25}"}}
    started = time.thread_time()
    assert found(evil, {"a" * 5_000: "a" * 100_000 + "!", "b": "a" * 100_000})
    assert time.thread_time() - started < 1


def test_a_large_value_times_a_large_schema_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_module, "MOST_CHECKS", 10_000)
    endless = {"items": {"allOf": [{"type": "integer"}] * 900}}
    assert [problem.code for problem in check_input(endless, [1] * 1_000)] == ["too_large"]
    assert [problem.code for problem in check_input({"anyOf": [{"type": "null"}] * 900}, "x" * 100_000)] == [
        "too_large"
    ]
    assert check_input({"items": {"type": "integer"}}, [1] * 9_000) == []


@pytest.mark.parametrize(
    ("items", "unique"),
    [
        ([1, True, 0, False, None, "", "1"], True),
        ([1, 1.0], False),  # JSON has one kind of number
        ([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}], False),
        ([[1], [True], {"a": 1}, {"a": True}, [[1]]], True),
    ],
)
def test_unique_items_compare_by_value(items: list[Json], *, unique: bool) -> None:
    assert found({"uniqueItems": True}, items) == ([] if unique else [("", "uniqueItems")])


def test_unique_items_are_found_in_linear_time() -> None:
    started = time.thread_time()
    assert check_input({"uniqueItems": True}, [{"n": number} for number in range(20_000)]) == []
    assert time.thread_time() - started < 5  # seconds; comparing each with each would take minutes


def test_the_list_ends() -> None:
    assert len(check_input({"items": {"type": "string"}}, list(range(1_000)))) == 50


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [("b", "abc", True), ("^b", "abc", False), (r"^\d+$", "123", True), ("^é$", "é", True), ("", "", True)],
)
def test_a_pattern_is_searched_anywhere(pattern: str, text: str, *, expected: bool) -> None:
    assert matches(pattern, text) is expected


@pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", "[", "\ud800"])
def test_it_refuses_patterns(pattern: str) -> None:
    with pytest.raises(PatternUnsupported):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("format_", "good", "bad"),
    [
        ("date", "2024-02-29", "2023-02-29"),
        ("date", "2024-01-01", "20240101"),
        ("time", "12:00:00Z", "12:00:00"),
        ("time", "12:00:00.123456789+02:00", "25:00:00Z"),
        ("date-time", "2024-01-01t00:00:00z", "2024-01-01 00:00:00Z"),
        ("duration", "PT5M", "5 minutes"),
        ("email", "a@b.example", "a@b@c"),
        ("hostname", "a-b.example", "-a.example"),
        ("ipv4", "127.0.0.1", "127.1"),
        ("ipv6", "::1", "fe80::1%lo"),
        ("uri", "https://x.example/a?b", "/a"),
        ("uuid", "0190b6c8-7d3e-7cc0-8000-000000000000", "0190b6c87d3e7cc08000000000000000"),
        ("nobody-knows", "anything", None),
    ],
)
def test_formats(format_: str, good: str, bad: str | None) -> None:
    assert check_input({"format": format_}, good) == []
    if bad is not None:
        assert found({"format": format_}, bad) == [("", "format")]
    assert check_input({"format": format_}, 5) == []  # a format speaks of texts only


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.0, -0.0])
    | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=6,
)
_schemas = st.recursive(
    st.sampled_from(
        [{"type": "string"}, {"type": ["integer", "null"]}, {"minimum": 1}, {"uniqueItems": True}, {"required": ["a"]},
         {"pattern": "^a"}, {"const": 1}, {"enum": [True, 0, "a"]}, {"maxLength": 0}, True, False]
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"properties": st.fixed_dictionaries({"a": inner}), "additionalProperties": inner}),
        st.tuples(inner, inner).map(lambda two: {"patternProperties": {"b|c": two[0]}, "additionalProperties": two[1]}),
        inner.map(lambda part: {"items": part}),
        inner.map(lambda part: {"not": part}),
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"anyOf": parts}),
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"oneOf": parts}),
    ),
    max_leaves=4,
)  # fmt: skip


@given(_schemas, _values)
def test_it_agrees_with_plain_jsonschema(schema: Any, value: Any) -> None:
    plain = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert (check_input(schema, value) == []) == plain


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        (ORDER, {"order": {"sku": "", "quantity": 0, "at": "", "speed": "slow"}, "tags": [""]}),
        ({"type": "string", "default": "x"}, "x"),
        ({"type": "string", "examples": ["e"]}, "e"),
        ({"type": ["number", "null"]}, 0),
        ({"oneOf": [{"type": "boolean"}]}, False),
        ({"$defs": {"a": {"type": "integer"}}, "properties": {"x": {"$ref": "#/$defs/a"}}}, {"x": 0}),
        ({"$ref": "#"}, None),
        ({"properties": 5}, None),
        (5, None),
    ],
)
def test_it_invents_examples(schema: Json, example: Json) -> None:
    assert example_of(schema) == example


def test_an_example_of_a_bomb_is_small() -> None:
    def tenfold(level: int) -> dict[str, Any]:
        return {"properties": {str(number): {"$ref": f"#/$defs/d{level + 1}"} for number in range(10)}}

    bomb: Json = {"$defs": {f"d{level}": tenfold(level) for level in range(15)}, "$ref": "#/$defs/d0"}
    assert len(json.dumps(example_of(bomb))) < 100_000
