"""The one result of a join, by a table of what had arrived when it was decided."""

from typing import Any

import pytest

from orchestrator.core.compile import compile_plan
from orchestrator.core.join_result import Arrival, join_result
from orchestrator.core.plan import Plan
from orchestrator.steps import KINDS
from tests.core.drawings import choose, document, step

FAULT = {"code": "boom", "message": "boom"}


def plan_of(**join: Any) -> Plan:
    """Branches b and c meet in z; c leads to y, too, so that nothing may cancel it."""
    steps = [step("b"), step("c"), step("y"), step("z", "merge", join=join)]
    return compile_plan(document(steps, "b -> z, c -> z, c -> y"), KINDS)


def result(plan: Plan, arrivals: dict[int, Arrival], **errors: Any) -> Any:
    keys = [step.key for step in plan.steps]
    outputs = {key: key.upper() for key in keys}
    return join_result(plan, plan.node_of["z"], arrivals, outputs, {key: errors.get(key) for key in keys})


@pytest.mark.parametrize(
    ("letter", "branch"),
    [
        ("o", {"state": "succeeded", "output": "B", "error": None}),
        ("s", {"state": "skipped", "output": "B", "error": None}),
        ("f", {"state": "failed", "output": "B", "error": FAULT}),
    ],
)
def test_a_branch_that_answered(letter: str, branch: dict[str, Any]) -> None:
    told = result(plan_of(), {0: Arrival(letter, FAULT if letter == "f" else None), 1: Arrival("o")})
    assert told["branches"]["b"] == branch
    assert told["missing"] == []
    assert told["arrived"] == (["b", "c"] if letter == "o" else ["c"])


def test_the_steps_own_error_says_more_than_its_branch() -> None:
    told = result(plan_of(), {0: Arrival("f", FAULT), 1: Arrival("o")}, b={"code": "own", "message": "own"})
    assert told["branches"]["b"]["error"]["code"] == "own"


@pytest.mark.parametrize(("late", "states"), [("ignore", ["missing", "missing"]), ("cancel", ["cancelled", "missing"])])
def test_who_had_not_answered_is_missing_whatever_came_later(late: str, states: list[str]) -> None:
    told = result(plan_of(mode="any", late=late), {}, b=FAULT)
    assert [branch["state"] for branch in told["branches"].values()] == states
    assert told["missing"] == ["b", "c"]
    assert told["branches"]["b"]["output"] is None
    assert told["branches"]["b"]["error"] is None


@pytest.mark.parametrize(
    ("arrivals", "state"),
    [
        ("os", "succeeded"),
        ("so", "succeeded"),
        ("fs", "failed"),
        ("sf", "failed"),
        ("ss", "skipped"),
        ("of", "succeeded"),
    ],
)
def test_a_branch_by_two_ports_is_told_once(arrivals: str, state: str) -> None:
    plan = compile_plan(document([choose("b", "x"), step("z")], "b.x -> z, b.otherwise -> z"), KINDS)
    told = result(plan, {slot: Arrival(letter) for slot, letter in enumerate(arrivals)})
    assert {key: branch["state"] for key, branch in told["branches"].items()} == {"b": state}
