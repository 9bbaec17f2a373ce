"""Conditions: an expression, or true or false on purpose. A plain text would be true whatever it says."""

from typing import Any

import pytest

from orchestrator.core.parse import parse_document
from orchestrator.core.problem import Problem
from orchestrator.core.problems import find_problems
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step

TEXT = "condition_not_expression"
CONSTANT = "condition_constant"


def found(*steps: dict[str, Any], lines: tuple[str, ...] = ()) -> list[Problem]:
    return find_problems(parse_document(document(list(steps), *lines)), KINDS)


def choose(when: Any, **more: Any) -> list[Problem]:
    cases = [{"port": "first", "when": {"$": "input.a"}}, {"port": "second", "when": when}]
    return found(step("a"), step("pick", "choose", config={"cases": cases}, **more), lines=("a > pick",))


def repeat(**condition: Any) -> list[Problem]:
    return found(step("again", "repeat", config={"turns": 3, **condition}), step("a", parent="again"))


def wait(where: Any) -> list[Problem]:
    return found(step("a"), step("wait", "wait_event", config={"type": "paid", "where": where}), lines=("a > wait",))


@pytest.mark.parametrize(
    ("problems", "field", "path"),
    [
        (lambda text: choose(text), "config.cases.1.when", "/steps/1/config/cases/1/when"),
        (lambda text: repeat(until=text), "config.until", "/steps/0/config/until"),
        (lambda text: repeat(**{"while": text}), "config.while", "/steps/0/config/while"),
        (lambda text: wait(text), "config.where", "/steps/1/config/where"),
    ],
)
def test_a_text_is_refused_and_offered_as_an_expression(problems: Any, field: str, path: str) -> None:
    [problem] = problems(" 1 > 2")
    assert (problem.code, problem.severity, problem.field) == (TEXT, "error", field)
    assert "always" in problem.message
    assert problem.fix is not None
    assert problem.fix.label == "Make it an expression"
    assert problem.fix.patch == ({"op": "add", "path": path, "value": {"$": "1 > 2"}},)


@pytest.mark.parametrize("value", ["", "  ", 1, 0, [True], {"all": [{"$": "input.a"}]}, {"$secret": "x"}])
def test_what_is_no_condition_is_refused_without_a_guess(value: Any) -> None:
    for first, *_ in (choose(value), repeat(until=value), wait(value)):
        assert (first.code, first.severity, first.fix) == (TEXT, "error", None)


def test_a_case_needs_a_condition() -> None:
    assert [(problem.code, problem.fix) for problem in choose(None)] == [(TEXT, None)]


@pytest.mark.parametrize("value", [True, False])
def test_true_or_false_may_be_meant(value: bool) -> None:
    for [problem] in (choose(value), repeat(until=value), repeat(**{"while": value}), wait(value)):
        assert (problem.code, problem.severity, problem.fix) == (CONSTANT, "warning", None)
        assert f"always {str(value).lower()}" in problem.message


def test_conditions_are_named_in_their_order() -> None:
    cases = [{"port": "first", "when": "input.a"}, {"port": "second", "when": True}, {"port": "third", "when": 3}]
    fields = [problem.field for problem in found(step("pick", "choose", config={"cases": cases}))]
    assert fields == [f"config.cases.{number}.when" for number in range(3)]


def test_an_expression_is_left_alone() -> None:
    assert choose({"$": "input.a > 1"}) == repeat(until={"$": "last == 2"}) == repeat(**{"while": {"$": "True"}}) == []


def test_a_disabled_step_may_wait_with_a_text() -> None:
    [problem] = choose("1 > 2", disabled=True)
    assert (problem.code, problem.severity) == (TEXT, "warning")
