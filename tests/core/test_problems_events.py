"""Waits for events in the validator and the plan: where `event` is known, and which steps a condition reads."""

from typing import Any

import pytest

from orchestrator.core.compile import compile_plan
from orchestrator.core.parse import parse_document
from orchestrator.core.problem import Problem
from orchestrator.core.problems import find_problems
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step


def wait(**config: Any) -> dict[str, Any]:
    return step("wait", "wait_event", config={"type": "order.paid", **config})


def reading(source: str) -> dict[str, str]:
    return {"$": source}


def found(*steps: dict[str, Any], lines: tuple[str, ...] = (), **more: Any) -> list[Problem]:
    return find_problems(parse_document(document(list(steps), *lines, **more)), KINDS)


def codes(*steps: dict[str, Any], lines: tuple[str, ...] = (), **more: Any) -> list[tuple[str, str | None]]:
    return [(problem.code, problem.field) for problem in found(*steps, lines=lines, **more)]


UNKNOWN = "root_not_available"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"where": reading("event.data.amount > input.least")}, []),
        ({"where": reading("event.key in steps.a")}, []),
        ({"key": reading("steps.a"), "type": reading("input.type")}, []),
        ({"key": reading("event.key")}, [(UNKNOWN, "config.key")]),
        ({"type": reading("event.type")}, [(UNKNOWN, "config.type")]),
        ({"deadline": reading("event.data.patience")}, [(UNKNOWN, "config.deadline")]),
        ({"where": reading("item == event.data")}, [(UNKNOWN, "config.where")]),
        ({"where": reading("steps.wait")}, [("reference_not_upstream", "config.where")]),
        ({"where": reading("evnt.data")}, [("unknown_name", "config.where")]),
        ({"where": "event.data.amount > 1"}, [("condition_not_expression", "config.where")]),
    ],
)
def test_a_condition_alone_reads_the_event(config: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert codes(step("a"), wait(**config), lines=("a > wait",)) == expected


def test_elsewhere_the_event_is_not_known_and_the_message_says_where_it_is() -> None:
    other = step("b", config={"value": reading("event.data")})
    [problem] = found(wait(), other, lines=("wait > b",))
    assert (problem.code, problem.step) == (UNKNOWN, "b")
    assert "`where` of a step that waits for an event, whose output it then is" in problem.message
    assert codes(wait(), lines=(), output=reading("event.id")) == [(UNKNOWN, "output")]


def test_a_name_that_is_not_known_tells_of_the_event_in_a_condition() -> None:
    [problem] = found(wait(where=reading("evnt.data")))
    assert 'Did you mean "event"' in problem.message


def test_after_the_wait_the_event_is_its_output() -> None:
    after = step("b", config={"value": reading("steps.wait.data.amount")})
    assert codes(wait(), after, lines=("wait > b",)) == []


@pytest.mark.parametrize(("deadline", "expected"), [({}, ["unknown_port"]), ({"deadline": "P1D"}, [])])
def test_only_a_deadline_has_a_time_out(deadline: dict[str, str], expected: list[str]) -> None:
    problems = found(wait(**deadline), step("late"), lines=("wait.timeout > late",))
    assert [problem.code for problem in problems] == expected


def test_a_wait_is_no_undo() -> None:
    raw = step("a", undo={"kind": "wait_event", "config": {"type": "order.paid"}})
    assert [code for code, _ in codes(raw)] == ["undo_kind_invalid"]


def test_the_plan_knows_what_a_condition_reads() -> None:
    raw = document(
        [step("a"), step("b"), wait(key=reading("steps.a"), where=reading("event.key == steps.b and input.on"))],
        "a > b > wait",
    )
    planned = compile_plan(parse_document(raw), KINDS)
    step_ = planned.steps[planned.node_of["wait"]]
    assert [planned.steps[node].key for node in step_.reads] == ["a", "b"]
    assert set(step_.roots) == {"event", "input", "steps"}
    assert step_.has_expressions
    assert not step_.has_effects


def test_items_that_wait_for_events_have_tokens_of_their_own() -> None:
    inner = {**wait(key=reading("item")), "parent": "each"}
    raw = document([step("each", "for_each", config={"items": ["a", "b"]}), inner])
    planned = compile_plan(parse_document(raw), KINDS)
    assert not planned.bodies[planned.node_of["each"]].in_hand
