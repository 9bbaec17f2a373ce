"""Every problem of a drawing is named in one pass, with its place and, where there is one, its repair."""

from typing import Any

import pytest
from hypothesis import given, settings

from orchestrator.core.document import Document, Edge, Join, Retry, Step
from orchestrator.core.parse import document_as_json, parse_document
from orchestrator.core.problems import find_problems
from tests.core.drawings import choose, document, raw_document, raw_documents, step
from tests.core.found import FORK, FORKED, Steps, applied, codes, only, problems, value
from tests.core.kinds_for_tests import KINDS


@pytest.mark.parametrize(
    ("steps", "edges"),
    [
        ([step("a")], ""),
        (FORK, FORKED),
        ([step("a", "call", config={"function": "f"}), step("b"), step("c")], "a -> b, a.error -> c, a.timeout -> c"),
        ([choose("a", "x", "y"), step("b"), step("c"), step("d")], "a.x -> b, a.otherwise -> c, b -> d, c -> d"),
        ([step("a"), step("b", config=value("steps.a.id"))], "a -> b"),
        ([step("a"), step("b")], "a -> b, a.error -> b"),  # a failure port and the normal one may meet
        ([step("a", disabled=True, config=value("steps.nobody"))], ""),  # nothing in it is evaluated
        ([step("a", join={}), step("b"), step("c")], "b -> a, c -> a"),
    ],
)
def test_a_sound_drawing_has_no_problems(steps: Steps, edges: str) -> None:
    assert problems(steps, edges) == []


@pytest.mark.parametrize(
    ("steps", "edges", "code", "mentions"),
    [
        ([], "", "no_steps", "palette"),
        ([step("a"), step("a")], "", "duplicate_key", '"a"'),
        ([step("a", "htpp")], "", "unknown_kind", 'Did you mean "http"?'),
        ([step("a", "for_each")], "", "unknown_kind", "for_each"),
        ([step("a", "http")], "", "missing_field", '"url"'),
        ([step("a")], "a -> a", "self_edge", '"a"'),
        ([step("a"), step("b")], "a -> b, a -> b", "duplicate_edge", "twice"),
        ([step("alpha"), step("b")], "alpha -> b, alpha -> bb", "unknown_step", '"bb"'),
        ([step("alpha"), step("b")], "alhpa -> b", "unknown_step", 'Did you mean "alpha"?'),
        ([step("a"), step("b")], "a.otu -> b", "unknown_port", '"otu"'),
        ([step("a"), step("b")], "a.timeout -> b", "unknown_port", 'no "timeout" port'),
        ([step("a", "end"), step("b")], "a -> b", "unknown_port", "nothing can follow"),
        ([choose("a", "x"), step("b")], "a.out -> b", "unknown_port", '"x", "otherwise", "error"'),
        ([step("a", parent="b"), step("b")], "", "parent_not_container", "holds no others"),
        ([step("a", parent="b")], "", "unknown_parent", '"b"'),
        ([step("a", timeout="PT0S")], "", "timeout_invalid", "0 seconds"),
        ([step("a", join={"mode": "any"})], "", "join_without_branches", "no edges lead"),
    ],
)
def test_it_names_what_is_wrong(steps: Steps, edges: str, code: str, mentions: str) -> None:
    found = only(steps, edges)
    assert found.code == code
    assert mentions in found.message


@pytest.mark.parametrize(
    ("steps", "edges"),
    [
        ([step("a"), step("a")], ""),
        ([step("a"), step("a_2"), step("a")], ""),
        ([step("a")], "a -> a"),
        ([step("a"), step("b")], "a -> b, a -> b"),
        ([step("a"), step("b")], "a -> b, a -> nowhere"),
        ([step("alpha"), step("b")], "alhpa -> b"),
        ([step("alpha"), step("beta")], "alpha -> btea"),
        ([step("a"), step("b")], "a.eror -> b"),
        ([choose("a", "yes"), step("b")], "a.yse -> b"),
        ([step("a"), step("b"), step("c")], "a -> b, b -> c, c -> b"),
        ([step("a", join={"mode": "any"})], ""),
        ([step("a", parent="b"), step("b")], ""),
        ([*FORK[:3], step("d", join={"mode": "quorum", "quorum": 3})], FORKED),
        ([*FORK[:3], step("d", join={"mode": "quorum", "quorum": 0})], FORKED),
        ([*FORK[:3], step("d", join={"mode": "any", "quorum": 1})], FORKED),
        ([*FORK[:3], step("d", join={"deadline": "PT0S"})], FORKED),
        ([*FORK[:3], step("d", join={"on_deadline": "proceed"})], FORKED),
        ([*FORK[:3], step("d", join={"tolerate": {"percent": 101}})], FORKED),
        ([*FORK[:3], step("d", join={"mode": "any", "tolerate": {"count": 1}})], FORKED),
        ([*FORK[:3], step("d", join={"late": "cancel"})], FORKED),
        ([choose("a", "x"), *FORK[1:3], step("d", join={"mode": "quorum", "quorum": 2})],
         "a.x -> b, a.otherwise -> c, b -> d, c -> d"),
    ],
)  # fmt: skip
def test_the_offered_fix_repairs(steps: Steps, edges: str) -> None:
    raw = document_as_json(document(steps, edges))
    found = find_problems(parse_document(raw), KINDS)[0]
    repaired = find_problems(parse_document(applied(raw, found)), KINDS)
    assert found.code not in [problem.code for problem in repaired]


def test_it_finds_all_at_once_in_document_order() -> None:
    steps = [
        step("a", "nobody"),
        step("b", "http", config={"body": {"$": "1 +"}}, retry={"attempts": 2}),
        step("c", config=value("steps.missing.id"), undo={"kind": "call", "config": {}}),
        step("c"),
    ]
    found = problems(steps, "a -> zz, b -> c, c -> b", output={"$": "inptu.x"}, input={"$ref": "http://example.test"})
    assert [(problem.code, problem.step, problem.field) for problem in found] == [
        ("schema_ref_forbidden", None, "input"),
        ("schema_invalid", None, "input.type"),
        ("unknown_name", None, "output"),
        ("unknown_kind", "a", "kind"),
        ("missing_field", "b", "config.url"),
        ("expression_invalid", "b", "config.body"),
        ("missing_field", "c", "undo.config.function"),
        ("unknown_step", "c", "config.value"),
        ("duplicate_key", "c", "key"),
        ("unknown_step", None, None),
        ("cycle", "b", None),
    ]


def test_a_cycle_is_spelled_out() -> None:
    found = problems([step("a"), step("b"), step("c"), step("d"), step("e")], "a -> b, b -> c, c -> d, d -> b, d -> e")
    assert [problem.code for problem in found] == ["cycle"]
    assert '"b" -> "c" -> "d" -> "b"' in found[0].message
    assert found[0].edge == ("d", "out", "b")


def test_only_circles_can_keep_a_workflow_from_starting() -> None:
    assert codes([step("a"), step("b"), step("c")], "a -> b, b -> a, b -> c") == [
        "no_start_step",
        "cycle",
        "unreachable_step",
    ]


def test_an_undo_does_something_at_once() -> None:
    found = only([step("a", undo={"kind": "choose", "config": {"cases": []}})])
    assert (found.code, found.field) == ("undo_kind_invalid", "undo.kind")


def test_an_undo_of_an_unknown_kind_is_named_as_that() -> None:
    found = only([step("a", undo={"kind": "htpp"})])
    assert (found.code, found.field) == ("unknown_kind", "undo.kind")
    assert found.message == 'The undo of step "a" is of the kind "htpp", which is not known. Did you mean "http"?'


def test_a_run_that_undoes_nothing_is_told() -> None:
    found = only([step("a")], settings={"on_failure": "undo"})
    assert (found.code, found.severity) == ("nothing_to_undo", "warning")
    assert codes([step("a", undo={"kind": "transform"})], settings={"on_failure": "undo"}) == []


def test_a_disabled_step_may_be_half_done() -> None:
    found = problems([step("a", "http", disabled=True), step("b")], "a -> b")
    assert [(problem.code, problem.severity) for problem in found] == [("missing_field", "warning")]


def test_a_disabled_choice_lets_control_pass_by_out() -> None:
    disabled = {**choose("a", "x"), "disabled": True}
    assert codes([disabled, step("b")], "a.out -> b") == []
    assert codes([disabled, step("b")], "a.x -> b") == ["disabled_blocks"]


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ({"type": "object", "properties": {"x": {"$ref": "http://127.0.0.1/x"}}}, "schema_ref_forbidden"),
        ({"type": "object", "properties": {"x": {"pattern": "(?=a)"}}}, "pattern_unsupported"),
        ({"type": "object", "properties": {"x": {"type": "strin"}}}, "schema_invalid"),
        ({"type": "string"}, "schema_invalid"),
    ],
)
def test_it_checks_the_input_schema(schema: dict[str, Any], code: str) -> None:
    assert codes([step("a")], input=schema) == [code]


def test_it_checks_regions_and_notes() -> None:
    region = {"key": "r", "pattern": "sequence", "steps": ["a", "gone"]}
    note = {"key": "n", "text": "hi"}
    found = problems([step("a")], regions=[region, {**region, "steps": []}], notes=[note, note])
    assert [(problem.code, problem.field) for problem in found] == [
        ("duplicate_key", "regions.1.key"),
        ("duplicate_key", "notes.1.key"),
        ("unknown_step", "regions.0.steps.1"),
        ("region_empty", "regions.1"),
    ]


def test_documents_made_in_python_are_checked_too() -> None:
    retry = Retry(attempts=10**9, first=-1.0, factor=0.5, cap=1e300)
    built = Step(key="a", name="A", kind="transform", retry=retry, timeout=-1.0, join=Join())
    found = find_problems(Document(name="x", steps=(built,)), KINDS)
    assert [(problem.code, problem.field) for problem in found] == [
        ("attempts_out_of_range", "retry.attempts"),
        ("retry_invalid", "retry.first"),
        ("retry_invalid", "retry.cap"),
        ("retry_invalid", "retry.factor"),
        ("timeout_invalid", "timeout"),
        ("join_without_branches", "join"),
    ]


def test_giants_are_refused_alone() -> None:
    steps = tuple(Step(key=f"s{index}", name="S", kind="transform") for index in range(100_000))
    assert [problem.code for problem in find_problems(Document(name="x", steps=steps), KINDS)] == ["graph_too_large"]
    edges = (Edge(source="a", target="b"),) * 1_000_000
    assert [problem.code for problem in find_problems(Document(name="x", edges=edges), KINDS)] == ["graph_too_large"]
    fat = Step(key="a", name="A", kind="transform", config={"x": "y" * 1_000_001})
    assert [problem.code for problem in find_problems(Document(name="x", steps=(fat,)), KINDS)] == ["too_large"]


def test_the_list_ends_but_hides_no_error() -> None:
    noisy = [step(f"s{index}", disabled=True, kind="http") for index in range(300)]
    found = problems([*noisy, step("last", "nobody")])
    assert len(found) == 201
    assert (found[-1].code, found[-1].severity) == ("too_many_problems", "error")
    assert {problem.severity for problem in found[:-1]} == {"warning"}
    assert problems(noisy)[-1].severity == "warning"


@given(raw_documents)
@settings(max_examples=150)
def test_any_document_gets_an_answer(raw: dict[str, Any]) -> None:
    read = parse_document(raw)
    found = find_problems(read, KINDS)
    assert found == find_problems(read, KINDS)
    assert all(problem.message and problem.as_json()["code"] for problem in found)


def test_raw_documents_of_the_tests_are_well_formed() -> None:
    assert parse_document(raw_document(FORK, FORKED)).edges[0] == Edge(source="a", target="b")
