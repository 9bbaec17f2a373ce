"""Re-run from a step inside a turn of a repeat: that turn is done again, and those after it anew."""

from typing import Any

import pytest

from orchestrator.models import StepLog
from orchestrator.queries.fsck import breaches
from orchestrator.services.reopen import retry_run
from orchestrator.services.rerun import rerun_step
from orchestrator.services.skip import skip_step
from tests.engine.acts import HOUR, TURN, Acts, acts, busy, ended, node_of, places, rerun, started, told, waits_in
from tests.engine.drawings import document, step
from tests.engine.house import House, error
from tests.engine.switched import again
from tests.engine.test_rerun import refused
from tests.waiting import wait_until

__all__ = ["acts", "busy"]


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_turn_of_a_repeat_and_those_that_follow(house: House, busy: None, acts: Acts, turn: int) -> None:
    """The turns after it are done again, with what they read of the turn before."""
    until = {"turns": 5, "until": {"$": "turn == 3"}}
    steps = [
        step("again", "repeat", config=until),
        told("a", parent="again", **TURN),
        step("b", config={"value": {"$": "[turn, steps.a, last]"}}, parent="again"),
        told("last"),
    ]
    run_id = started(house, document(steps, "a > b", "again > last"))
    ended(house, run_id, "succeeded")
    rerun(house, run_id, "a", places(run_id, "a")[turn - 1])
    ended(house, run_id, "succeeded")
    assert [acts.count("a", number) for number in (1, 2, 3)] == [1 + (number >= turn) for number in (1, 2, 3)]
    assert acts.count("last") == 2
    value: Any = None
    for number in (1, 2, 3):
        value = [number, f"a{number}.{1 + (number >= turn)}", value]
    row = StepLog.objects.filter(run_id=run_id, node=node_of(run_id, "again")).latest("generation")
    assert row.output == value
    assert list(breaches(everything=True)) == []


def test_fewer_turns_this_time(house: House, busy: None, acts: Acts) -> None:
    """What a later turn gave before is of no time that counts, and a retry does not go there."""
    until = {"turns": 5, "until": {"$": "(last or '').endswith('.2')"}}
    steps = [step("again", "repeat", config=until), told("a", parent="again", **TURN), told("last")]
    run_id = started(house, document(steps, "again > last"))
    assert error(ended(house, run_id, "failed"))["code"] == "turn_limit"
    assert len(places(run_id, "a")) == 5
    rerun(house, run_id, "a", places(run_id, "a")[1])
    ended(house, run_id, "succeeded")
    assert [acts.count("a", number) for number in range(1, 6)] == [1, 2, 1, 1, 1]
    third = places(run_id, "a")[2]
    assert refused(lambda: rerun_step(run_id, "a", house.actor, scope=third)) == "step_never_ran"
    acts.failing = {("a", 2)}
    rerun(house, run_id, "a", places(run_id, "a")[1])
    ended(house, run_id, "failed")
    acts.failing = set()
    again(house, lambda: retry_run(run_id, house.actor))
    ended(house, run_id, "succeeded")
    assert acts.count("a", 2) == 4
    assert acts.count("a", 3) == 2, "a third time in turn 2: so it goes on to the most turns"


def test_an_earlier_turn_of_a_repeat_that_waits_in_a_later_one(house: House, busy: None, acts: Acts) -> None:
    until = {"turns": 5, "until": {"$": "turn == 2"}}
    steps = [
        step("again", "repeat", config=until),
        told("a", parent="again", **TURN),
        step("box", "scope", parent="again"),
        step("w", "delay", parent="box", config=HOUR),
    ]
    run_id = started(house, document(steps, "a > box"))
    for _ in (1, 2):
        waits_in(run_id, "w", 1)
        if acts.count("a", 2) == 0:
            again(house, lambda: skip_step(run_id, "w", house.actor))
            wait_until(lambda: acts.count("a", 2) == 1, 20, "the second turn")
    waits_in(run_id, "w", 1)
    rerun(house, run_id, "a", places(run_id, "a")[0])
    wait_until(lambda: acts.count("a", 1) == 2, 20, "the first turn again")
    waits_in(run_id, "w", 1)
    assert list(breaches(everything=True)) == []
    again(house, lambda: skip_step(run_id, "w", house.actor))
    wait_until(lambda: acts.count("a", 2) == 2, 20, "the second turn again")
    waits_in(run_id, "w", 1)
    again(house, lambda: skip_step(run_id, "w", house.actor))
    ended(house, run_id, "succeeded")
    assert [acts.count("a", turn) for turn in (1, 2, 3)] == [2, 2, 0]
