"""Where a join's result may be read, and what of it."""

from typing import Any

import pytest

from orchestrator.core.parse import parse_document
from orchestrator.core.problems import find_problems
from orchestrator.steps import KINDS as PRODUCT
from tests.core.drawings import choose, raw_document, step
from tests.core.found import FORK, FORKED, Steps, codes, only, problems, value

CODE = "join_not_readable"


def reads(source: str, kind: str = "transform") -> Steps:
    return [*FORK[:3], step("d", kind, config=value(source))]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("join", None),
        ("len(join.missing) > 0 or join.arrived[0]", None),
        ("[branch.error.code for branch in join.branches.values() if branch.error]", None),
        ("join.branches.b.output.id", None),
        ("join['branches']['c']['error']['code']", None),
        ("join.branches.b.outputs_of.run", None),
        ("join.branches.get('a')", None),  # not known before it runs
        ("join.branches[input.which]", None),
        ("', '.join(steps.b)", None),  # a method
        ("[join for join in input.all]", None),  # a variable
        ("join.arived", "unknown_name"),
        ("join.branches.b.result", "unknown_name"),
        ("join.branches.a", "unknown_branch"),  # it comes before, but its branches are b and c
        ("join.branches.nobody.output", "unknown_branch"),
    ],
)
def test_where_branches_meet_it_is_read(source: str, code: str | None) -> None:
    found = problems(reads(source), FORKED)
    assert [problem.code for problem in found] == ([code] if code else [])
    assert all((problem.step, problem.field) == ("d", "config.value") for problem in found)


@pytest.mark.parametrize(
    ("steps", "edges"),
    [
        ([*FORK[:2], choose("d", "x")], "a -> b, b -> d"),
        ([step("a"), step("d")], "a -> d, a.error -> d"),  # by two ports: they meet, too
        ([step("a"), step("d")], "a -> d, a -> d"),  # drawn twice, it is one
    ],
)
def test_branches_meet_where_several_edges_lead(steps: Steps, edges: str) -> None:
    steps = [*steps[:-1], {**steps[-1], "config": {**steps[-1].get("config", {}), **value("join.arrived")}}]
    assert (CODE in codes(steps, edges)) == ("error" not in edges)


@pytest.mark.parametrize(
    ("reader", "says"),
    [
        (step("b", config=value("join.arrived")), "1 edge leads to it. Draw the edges"),
        (step("a", config=value("join.arrived")), "no edges lead to it. Draw the edges"),
        (step("b", "script", config={"code": "join.arrived"}), "1 edge leads to it"),
        (step("d", undo={"kind": "transform", "config": value("join")}), "its undo, where it is not known"),
        (step("b", undo={"kind": "transform", "config": value("join")}), "1 edge leads to it"),
    ],
)
def test_elsewhere_it_is_refused_with_the_way_out(reader: dict[str, Any], says: str) -> None:
    reader = {**reader, "name": "Ship the order"}
    steps = [reader if one["key"] == reader["key"] else one for one in FORK]
    found = only(steps, FORKED)
    assert (found.code, found.step, found.severity) == (CODE, reader["key"], "error")
    assert found.message.startswith(f'Step "Ship the order" ({reader["key"]}) reads "join"')
    assert says in found.message
    assert 'read "steps" and "errors"' in found.message.lower()


def test_the_workflow_itself_has_no_join() -> None:
    found = only(FORK, FORKED, output={"$": "join.arrived"})
    assert (found.code, found.step, found.field) == (CODE, None, "output")
    assert "read its output" in found.message
    key = {"limit": 1, "key": {"$": "join"}}
    assert codes(FORK, FORKED, settings={"concurrency": key}) == [CODE]


def test_steps_and_inputs_may_be_called_join() -> None:
    steps = [step("join"), step("b"), step("d", config=value("[steps.join.a, input.join, join.branches.join.output]"))]
    schema = {"type": "object", "properties": {"join": {}}}
    assert codes(steps, "join -> d, b -> d", input=schema) == []


def test_a_misspelt_branch_is_guessed() -> None:
    steps = [step("charge"), step("reserve"), step("d", config=value("join.branches.chrage.output"))]
    assert 'Did you mean "charge"?' in only(steps, "charge -> d, reserve -> d").message


def test_steps_inside_a_container_read_what_meets_at_themselves() -> None:
    """What met at the container is not what meets inside it."""
    steps = [
        *FORK[:3],
        step("each", "for_each", config={"items": {"$": "join.arrived"}}),
        step("in_b", parent="each", config=value("1")),
        step("in_c", parent="each", config=value("join.arrived")),
        step("in_d", parent="each", config=value("join.branches.in_c.output")),
    ]
    raw = raw_document(steps, "a -> b, a -> c, b -> each, c -> each, in_b -> in_d, in_c -> in_d")
    raw["steps"][:3] = [{**one, "config": value("1")} for one in raw["steps"][:3]]
    found = find_problems(parse_document(raw), PRODUCT)
    assert [(problem.code, problem.step) for problem in found] == [(CODE, "in_c")]


def test_nothing_of_a_disabled_step_is_read() -> None:
    assert codes([step("a", config=value("join"), disabled=True)]) == []
