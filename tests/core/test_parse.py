import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.document import Join, Retry
from orchestrator.core.errors import DocumentInvalid
from orchestrator.core.json_types import Json
from orchestrator.core.parse import document_as_json, parse_document
from tests.core.drawings import document, raw_document, raw_documents, step


def refused(raw: Json) -> list[dict[str, Any]]:
    with pytest.raises(DocumentInvalid) as caught:
        parse_document(raw)
    problems = caught.value.details["problems"]
    assert isinstance(problems, list)
    return problems


def spots(raw: Json) -> list[tuple[str, str | None, str | None]]:
    return [(problem["code"], problem["step"], problem["field"]) for problem in refused(raw)]


@given(raw_documents)
def test_it_reads_back_what_it_writes(raw: dict[str, Any]) -> None:
    first = parse_document(raw)
    written = document_as_json(first)
    assert parse_document(written) == first
    assert document_as_json(parse_document(written)) == written


def test_it_reads_durations_and_defaults() -> None:
    read = document([step("a", retry={"attempts": 5, "cap": "PT1M"}, timeout="PT30S", join={})], "a -> b").steps[0]
    assert read.retry == Retry(attempts=5, cap=60.0)
    assert read.timeout == 30.0
    assert read.join == Join()
    assert read.queue == "default"


@pytest.mark.parametrize(
    ("tolerate", "size", "tolerated"),
    [
        ({"count": 1}, 3, 1),
        ({"percent": 20}, 10, 2),
        ({"percent": 20}, 9, 1),  # rounded down
        ({"percent": 29}, 100, 29),  # 28.999... in binary fractions
        ({"percent": 12.5}, 8, 1),
        ({}, 8, 0),
    ],
)
def test_it_counts_tolerated_failures(tolerate: dict[str, Json], size: int, tolerated: int) -> None:
    read = document([step("a", join={"tolerate": tolerate})]).steps[0].join
    assert read is not None
    assert read.tolerate is not None
    assert read.tolerate.of(size) == tolerated


def test_it_leaves_defaults_out() -> None:
    spelled_out = step("a", config={}, disabled=False, queue="default", note="", join={"mode": "all", "late": "ignore"})
    written = document_as_json(document([spelled_out], "a.out -> b", settings={"on_failure": "fail"}))
    assert written == {
        "format": "branchline/1",
        "name": "Test",
        "input": {},
        "steps": [{"key": "a", "name": "A", "kind": "transform", "at": [0, 0], "config": {}, "join": {}}],
        "edges": [{"from": "a", "to": "b"}],
        "notes": [],
    }


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize(
    ("holder", "field"),
    [
        ("settings", "priority"),
        ("settings", "concurrency.limit"),
        ("step", "retry.attempts"),
        ("step", "retry.factor"),
        ("step", "join.quorum"),
        ("step", "join.tolerate.count"),
        ("step", "join.tolerate.percent"),
    ],
)
def test_true_and_false_are_no_numbers(holder: str, field: str, *, flag: bool) -> None:
    """Those of the configs have a test beside their kinds."""
    name, *deeper = field.split(".")
    value: Any = flag
    for part in reversed(deeper):
        value = {part: value}
    if holder == "settings":
        assert spots(raw_document([], settings={name: value})) == [("wrong_type", None, f"settings.{field}")]
    else:
        assert spots(raw_document([{**step("a"), name: value}])) == [("wrong_type", "a", field)]


def test_a_null_output_is_an_output() -> None:
    assert document([], output=None).has_output
    assert not document([]).has_output


def test_it_names_every_form_problem_at_once() -> None:
    raw: Json = {
        "format": "branchline/1",
        "colour": "red",
        "settings": {"deadline": "-PT1S"},
        "steps": [
            {"key": "Charge", "kind": "call", "retry": {"attempts": 101, "first": 5}},
            {"key": "b", "name": 7, "kind": "call", "at": [1], "retyr": {}},
            "c",
        ],
        "edges": [{"from": "b"}],
    }
    assert spots(raw) == [
        ("unknown_field", None, "colour"),
        ("missing_field", None, "name"),
        ("key_invalid", "Charge", "key"),
        ("attempts_out_of_range", "Charge", "retry.attempts"),
        ("wrong_type", "Charge", "retry.first"),
        ("unknown_field", "b", "retyr"),
        ("wrong_type", "b", "name"),
        ("wrong_type", "b", "at"),
        ("wrong_type", None, "steps.2"),
        ("missing_field", None, "edges.0.to"),
        ("duration_negative", None, "settings.deadline"),
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"format": "branchline/2"}, "format_unknown"),
        ({"steps": {}}, "wrong_type"),
        ({"input": []}, "wrong_type"),
        ({"name": "two\nlines"}, "text_invalid"),
        ({"name": "bell \x07"}, "text_invalid"),
        ({"name": "nul \x00"}, "text_invalid"),
        ({"name": "half \ud800"}, "text_invalid"),
        ({"name": "x" * 201}, "text_too_long"),
        ({"name": "  "}, "text_invalid"),
        ({"output": float("nan")}, "out_of_range"),
        ({"output": 10**30}, "out_of_range"),
        ({"output": {1: 2}}, "wrong_type"),
        ({"settings": {"on_failure": "retry"}}, "unknown_value"),
        ({"settings": {"concurrency": {"key": "all"}}}, "missing_field"),
        ({"settings": {"concurrency": {"limit": 0}}}, "out_of_range"),
        ({"settings": {"concurrency": {"limit": 1, "on_limit": "drop"}}}, "unknown_value"),
        ({"settings": {"priority": 101}}, "out_of_range"),
        ({"steps": [step("a", join={"quorum": True})]}, "wrong_type"),
        ({"steps": [step("a", join={"tolerate": 1})]}, "wrong_type"),
        ({"steps": [step("a", join={"tolerate": {"share": 1}})]}, "unknown_field"),
        ({"steps": [step("a", join={"tolerate": {"percent": "20"}})]}, "wrong_type"),
        ({"steps": [step("a", join={"tolerate": {"count": 1.5}})]}, "wrong_type"),
        ({"steps": [step("a", join={"deadline": "-PT5M"})]}, "duration_negative"),
        ({"steps": [step("a", join={"deadline": "P20000D"})]}, "duration_too_long"),
        ({"steps": [step("a", retry={"factor": 1e9})]}, "out_of_range"),
        ({"steps": [step("a", at=[0, 1e9])]}, "out_of_range"),
        ({"steps": [step("a", kind="__class__")]}, "key_invalid"),
        ({"steps": [step("a", disabled="no")]}, "wrong_type"),
        ({"regions": [{"key": "r", "pattern": "sequence", "steps": [None]}]}, "key_invalid"),
    ],
)
def test_a_lone_problem_lends_its_code(change: dict[str, Any], code: str) -> None:
    with pytest.raises(DocumentInvalid) as caught:
        parse_document(raw_document([]) | change)
    assert caught.value.error_code == code
    assert caught.value.details["count"] == 1


@pytest.mark.parametrize("raw", [None, 1, "x", [], True, [{}]])
def test_it_wants_an_object(raw: Json) -> None:
    assert spots(raw) == [("wrong_type", None, None)]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"steps": [None] * 100_000}, "graph_too_large"),
        ({"edges": [None] * 1_000_000}, "graph_too_large"),
        ({"notes": [None] * 1_001}, "graph_too_large"),
        ({"output": ["x" * 1_000] * 1_001}, "too_large"),
    ],
)
def test_it_refuses_giants(fields: dict[str, Any], code: str) -> None:
    assert [problem["code"] for problem in refused(raw_document([]) | fields)] == [code]


def test_it_refuses_depth_without_recursion() -> None:
    deep: Any = None
    for _ in range(100_000):
        deep = [deep]
    assert spots(raw_document([], output=deep)) == [("json_too_deep", None, "output.0.0")]
    # Letting go of it one level at a time: freeing 100,000 nested lists at once is C's recursion.
    while deep:
        deep = deep.pop()


def test_it_lists_at_most_200_problems() -> None:
    with pytest.raises(DocumentInvalid) as caught:
        parse_document(raw_document([{"key": "A", "kind": "B"}] * 500))
    assert len(caught.value.details["problems"]) == 200  # type: ignore[arg-type]
    assert caught.value.details["count"] == 1_000


_junk_texts = st.text("aA_1$ \x00\n\ud800", max_size=5)
_junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _junk_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_junk_texts, inner, max_size=3),
    max_leaves=5,
)


@given(raw_documents, st.data())
def test_any_value_anywhere_is_read_or_refused(raw: dict[str, Any], data: st.DataObject) -> None:
    raw = copy.deepcopy(raw)
    spot: Any = raw
    while isinstance(spot, dict | list) and spot:
        key = data.draw(st.sampled_from(sorted(spot))) if isinstance(spot, dict) else 0
        if not isinstance(spot[key], dict | list) or data.draw(st.booleans()):
            spot[key] = data.draw(_junk)
            break
        spot = spot[key]
    with contextlib.suppress(DocumentInvalid):
        written = document_as_json(parse_document(raw))
        assert parse_document(written) == parse_document(raw)
