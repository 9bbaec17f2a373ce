"""An item of several steps in a lane: between two of them the run is looked at, as between any two steps."""

from typing import Any
from uuid import UUID

import pytest

from orchestrator.core.outcome import Done, Outcome
from orchestrator.engine import lane
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import StepLog, Token
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.rerun import rerun_step
from tests.engine.drawings import step
from tests.engine.house import House, output
from tests.engine.kinds import Held, Told, kinds
from tests.engine.rows import own_connection
from tests.engine.switched import again
from tests.engine.test_lanes import at_work, drawing, ended, place, successes
from tests.waiting import wait_until

INSIDE = (step("a", "told"), step("b", "told"), step("c", "told"))


class Acts:
    """The first `key` of item 0 is held; every begin is noted."""

    def __init__(self, key: str = "a") -> None:
        self.key = key
        self.held = Held(listens=False)
        self.begun: list[tuple[str, int]] = []

    def __call__(self, context: Any) -> Outcome:
        self.begun.append((context.step_key, place(context)))
        if context.step_key == self.key and self.begun.count((self.key, 0)) == 1 and place(context) == 0:
            self.held.run(context, context)
        return Done(f"{context.step_key}{place(context)}")


def started(house: House, acts: Acts, known: Any, total: int = 3) -> UUID:
    version = house.publish(drawing(total, *INSIDE, lines=("a > b > c",), parallel=1), kinds=known)
    run_id = house.start(version)
    acts.held.enter()
    return run_id


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every item takes its time."""
    monkeypatch.setattr(lane, "PACE", 0.0)


def test_a_pause_holds_the_next_step_of_an_item(house: House, sandbox: Sandbox, unhurried: None) -> None:
    acts = Acts()
    known = kinds(told=Told(acts))
    with at_work(house, sandbox, known):
        run_id = started(house, acts, known)
        pause_run(run_id, house.actor)
        acts.held.release.set()
        wait_until(Token.objects.filter(run_id=run_id, state="H").exists, 10, "the next step to be held")
        assert acts.begun == [("a", 0)]
        assert successes(run_id) == {0: 1}, "what had ended is stored"
        resume_run(run_id, house.actor)
        run = ended(house, run_id)
    assert output(run) == ["c0", "c1", "c2"]
    assert sorted(acts.begun) == sorted((key, item) for key in "abc" for item in range(3)), "each began once"


@pytest.mark.parametrize("hard", [True, False])
def test_a_cancellation_lets_no_further_step_of_an_item_begin(
    house: House, sandbox: Sandbox, unhurried: None, hard: bool
) -> None:
    acts = Acts()
    known = kinds(told=Told(acts))
    with at_work(house, sandbox, known):
        run_id = started(house, acts, known)
        cancel_run(run_id, house.actor, hard=hard)
        acts.held.release.set()
        worker = house.worker
        assert worker is not None
        wait_until(lambda: not worker._attempts, 10, "the worker to have heard of it")
        ended(house, run_id, "cancelled")
    assert acts.begun == [("a", 0)]


def test_a_quick_item_that_was_told_to_stop_does_not_go_on(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "PACE", 600.0)
    acts = Acts()
    known = kinds(told=Told(acts))
    with at_work(house, sandbox, known):
        run_id = started(house, acts, known)
        cancel_run(run_id, house.actor)
        assert house.worker is not None
        with own_connection() as connection:
            house.worker._upkeep.see_to(connection)  # what it does each second
        acts.held.release.set()
        ended(house, run_id, "cancelled")
    assert acts.begun == [("a", 0)]


def test_many_slow_items_give_the_same_in_order(house: House, sandbox: Sandbox, unhurried: None) -> None:
    acts = Acts(key="none")
    known = kinds(told=Told(acts))
    version = house.publish(drawing(40, *INSIDE, lines=("a > b > c",)), kinds=known)
    with at_work(house, sandbox, known):
        run = ended(house, house.start(version))
    assert output(run) == [f"c{item}" for item in range(40)]
    assert sorted(acts.begun) == sorted((key, item) for key in "abc" for item in range(40))
    for node in (1, 2, 3):
        assert successes(run.pk, node) == dict.fromkeys(range(40), 1)


def test_a_step_that_has_ended_runs_again_while_the_next_one_is_at_work(
    house: House, sandbox: Sandbox, unhurried: None
) -> None:
    """The item has left its lane, so it is in nobody's hands but those of the step at work."""
    acts = Acts(key="b")
    known = kinds(told=Told(acts))
    with at_work(house, sandbox, known):
        run_id = started(house, acts, known)
        [scope] = StepLog.objects.filter(run_id=run_id, node=1, outcome="S").values_list("scope_id", flat=True)
        again(house, lambda: rerun_step(run_id, "a", house.actor, scope=scope))
        acts.held.release.set()
        run = ended(house, run_id)
    assert output(run) == ["c0", "c1", "c2"]
    assert [successes(run_id, node) for node in (1, 2, 3)] == [{0: 2, 1: 1, 2: 1}, *2 * [{0: 1, 1: 1, 2: 1}]]
