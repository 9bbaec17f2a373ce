"""Scopes and repeats on real rows, and what all containers share."""

import pytest

from orchestrator.models import StepLog
from tests.engine.containers import ended, inside, repeat, scope, value
from tests.engine.drawings import document, step
from tests.engine.house import House, error, output


def test_a_scope_runs_its_steps_and_gives_what_the_last_one_gave(house: House, at_work: None) -> None:
    raw = document(
        [
            step("before"),
            scope(),
            inside("box", "a"),
            inside("box", "b", config=value("steps.a + steps.before")),
            step("after", config=value("steps.box")),
        ],
        "before > box > after",
        "a > b",
    )
    assert output(ended(house, raw)) == "abefore"


def test_branches_inside_a_scope_meet_before_it_ends(house: House, at_work: None) -> None:
    raw = document([scope(), *(inside("box", key) for key in "abcd")], "a > b", "a > c")
    run = ended(house, raw)
    assert output(run) == {"b": "b", "c": "c", "d": "d"}


@pytest.mark.parametrize(("on_failure", "state"), [("fail", "failed"), ("continue", "succeeded")])
def test_a_failure_inside_is_the_scopes_own_unless_it_goes_on(
    house: House, at_work: None, on_failure: str, state: str
) -> None:
    raw = document([scope(on_failure=on_failure), inside("box", "a", config=value("1 // 0")), inside("box", "b")])
    run = ended(house, raw)
    assert run.state == state
    if state == "failed":
        assert "a" in error(run)["message"]


def test_a_failed_scope_leaves_by_its_error_port(house: House, at_work: None) -> None:
    raw = document(
        [scope(), inside("box", "a", config=value("1 // 0")), step("rescue", config=value("errors.box.code"))],
        "box.error > rescue",
    )
    run = ended(house, raw)
    assert (run.state, output(run)) == ("succeeded", {"box": None, "rescue": "expression_failed"})


def test_scopes_nest(house: House, at_work: None) -> None:
    raw = document(
        [
            scope("outer"),
            inside("outer", "inner", "scope"),
            inside("outer", "x"),
            inside("inner", "deep", config=value("input.n + 1")),
        ],
        "x > inner",
    )
    assert output(ended(house, raw, {"n": 1})) == 2


def test_a_repeat_goes_on_until_its_condition_holds(house: House, at_work: None) -> None:
    raw = document([repeat("until", "last >= 4"), inside("again", "a", config=value("(last or 0) + turn"))])
    run = ended(house, raw)
    assert output(run) == 6  # 1, 1+2, 3+3
    assert StepLog.objects.filter(run=run, node=1).count() == 3


def test_a_repeat_reads_the_steps_inside_and_tests_while_before_a_turn(house: House, at_work: None) -> None:
    raw = document([repeat("while", "turn < 2 and steps.a != 7"), inside("again", "a", config=value("turn"))])
    assert output(ended(house, raw)) == 2


def test_a_repeat_that_never_ends_is_stopped(house: House, at_work: None) -> None:
    raw = document([repeat("until", "False", turns=3), inside("again", "a")])
    run = ended(house, raw)
    assert error(run)["code"] == "turn_limit"


def test_a_container_that_takes_too_long_ends_what_is_inside(house: House, at_work: None) -> None:
    raw = document(
        [
            step("box", "scope", timeout="PT0.2S"),
            inside("box", "w", "delay", config={"for": "PT1H"}),
            step("late", config=value("errors.box.code")),
        ],
        "box.timeout > late",
    )
    assert output(ended(house, raw)) == {"box": None, "late": "timeout"}
