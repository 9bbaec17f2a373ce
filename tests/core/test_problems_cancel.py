"""Steps that cancel others, ends of the whole run, and locks of scopes, in the validator and in the plan."""

from typing import Any

import pytest

from orchestrator.core.advance import Signal
from orchestrator.core.compile import compile_plan
from orchestrator.core.outcome import Done, Fail, Retry, StepFault, Unwanted
from orchestrator.core.parse import parse_document
from orchestrator.core.plan import Plan
from orchestrator.core.plan_json import plan_as_json, plan_from_json
from orchestrator.core.problems import find_problems
from orchestrator.core.settle import Tries, may_cancel, settle
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step

FAULT = StepFault(code="no", message="no")
TRIES = Tries(attempt=1, spent=0.0, draw=0.0)
REGION = {"key": "r", "pattern": "sequence", "steps": ["a"]}


def cut(key: str = "cut", **config: Any) -> dict[str, Any]:
    return step(key, "cancel", config=config)


def scope(key: str, lock: str, parent: str | None = None) -> dict[str, Any]:
    return step(key, "scope", config={"lock": lock}, **({} if parent is None else {"parent": parent}))


def codes(*steps: dict[str, Any], lines: tuple[str, ...] = (), **more: Any) -> list[str]:
    return [problem.code for problem in find_problems(parse_document(document(list(steps), *lines, **more)), KINDS)]


def plan_of(*steps: dict[str, Any], lines: tuple[str, ...] = (), **more: Any) -> Plan:
    return compile_plan(parse_document(document(list(steps), *lines, **more)), KINDS)


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"steps": ["a"]}, None),
        ({"region": "r"}, None),
        ({}, "config_invalid"),
        ({"steps": ["nobody"]}, "unknown_step"),
        ({"steps": ["cut"]}, "cancel_itself"),
        ({"steps": ["inner"]}, "cancel_other_level"),
        ({"steps": ["box"]}, None),
        ({"steps": ["a"], "as": "complete"}, "cannot_complete"),
        ({"steps": {"$": "input.keys"}}, "config_literal"),
        ({"region": "rr"}, "unknown_region"),
    ],
)
def test_a_cancel_step_names_steps_beside_it(config: dict[str, Any], code: str | None) -> None:
    drawn = (step("a"), step("box", "scope"), step("inner", parent="box"), cut(**config))
    assert codes(*drawn, regions=[REGION]) == ([] if code is None else [code])


def test_only_the_top_level_ends_the_whole_run() -> None:
    end = step("over", "end", config={"whole": True})
    assert codes(step("box", "scope"), {**end, "parent": "box"}) == ["end_inside"]
    assert codes(step("a"), end) == []


def test_scopes_must_not_wait_for_themselves_or_in_a_circle() -> None:
    within = (scope("o", "one"), scope("i", "one", "o"), step("a", parent="i"))
    assert codes(*within) == ["lock_within_itself"]
    other = (scope("p", "two"), scope("j", "one", "p"), step("b", parent="j"))
    assert codes(scope("o", "one"), scope("i", "two", "o"), step("a", parent="i"), *other) == ["locks_cross"] * 2


def test_a_mark_stands_behind_all_gates_and_survives_storage() -> None:
    drawn = (
        step("a"),
        step("b"),
        cut(steps=["b", "nobody"], region="r"),
        step("box", "scope"),
        step("c", parent="box"),
    )
    plan = plan_of(*drawn, regions=[REGION])
    ((by, mark),) = plan.marks.items()
    assert plan.steps[by].key == "cut"
    assert mark.node == max(plan.gates)
    assert [plan.steps[node].key for node in mark.branch] == ["a", "b"]
    assert plan_from_json(plan_as_json(plan)).marks == plan.marks
    assert not mark.cancels, "no join's verdict"


def test_an_end_of_the_whole_run_marks_everything_else_on_the_top_level() -> None:
    plan = plan_of(
        step("a"), step("box", "scope"), step("c", parent="box"), step("over", "end", config={"whole": True})
    )
    (mark,) = plan.marks.values()
    assert {plan.steps[node].key for node in mark.branch} == {"a", "box"}


@pytest.mark.parametrize(
    ("kind", "outcome", "marks"),
    [
        ("cancel", Done(None), True),
        ("cancel", Fail(FAULT), False),
        ("end", Done(None, ports=()), True),
        ("end", Fail(FAULT), True),
        ("end", Retry(FAULT), False),
    ],
)
def test_a_step_marks_others_by_its_end(kind: str, outcome: Done | Fail | Retry, *, marks: bool) -> None:
    config = {"steps": ["a"]} if kind == "cancel" else {"whole": True}
    plan = plan_of(step("a"), step("b"), step("x", kind, config=config))
    settled = settle(plan, plan.node_of["x"], outcome, TRIES)
    assert (settled.mark is not None) is marks
    assert may_cancel(plan, settled) is marks


def test_an_unwanted_step_is_skipped_as_cancelled() -> None:
    plan = plan_of(step("a"), step("b"), step("c"), cut(steps=["b"]), lines=("b > c", "a > c"))
    settled = settle(plan, plan.node_of["b"], Unwanted(), TRIES)
    assert (settled.then, settled.logged, settled.ports) == ("go", "K", ())
    # Nobody draws on from "b" by failure, so its one way on and its way to the end are dead.
    assert {signal for _, _, signal in settled.effects.signals} == {Signal.SKIP}
    assert not settled.effects.starts


def test_a_body_that_cancels_is_not_done_in_hand() -> None:
    each = step("each", "for_each", config={"items": [1, 2]})
    quick = plan_of(each, step("a", parent="each"))
    stopping = plan_of(each, step("a", parent="each"), {**cut(steps=["a"]), "parent": "each"}, lines=("a > cut",))
    assert [plan.bodies[0].in_hand for plan in (quick, stopping)] == [True, False]


def test_a_body_that_is_undone_is_not_done_in_hand() -> None:
    """An item that a dead worker had in hand has no row of its own, so its undo would be forgotten."""
    each = step("each", "for_each", config={"items": [1, 2]})
    undone = step("a", parent="each", undo={"kind": "transform", "config": {"value": 0}})
    assert [plan_of(each, one).bodies[0].in_hand for one in (step("a", parent="each"), undone)] == [True, False]
