"""From when the deadline of a join counts."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Gate, StepLog
from orchestrator.services.control import cancel_run
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work
from tests.engine.kinds import Held, kinds
from tests.waiting import wait_until

FIRST: dict[str, tuple[str, dict[str, Any]]] = {
    "arrives": ("first > z", {}),
    "fails": ("first > z", {"config": {"value": {"$": "1 / 0"}}}),
    # Control leaves by the other port.
    "is skipped": (
        "first.otherwise > z",
        {"kind": "choose", "config": {"cases": [{"port": "it", "when": {"$": "True"}}]}},
    ),
}


@pytest.mark.parametrize("how", FIRST)
def test_it_counts_from_the_first_branch_that_answers(house: House, sandbox: Sandbox, how: str) -> None:
    """Nobody knows of the join before; a branch that does not answer has its own time-out (decision 24)."""
    arrow, more = FIRST[how]
    first: dict[str, Any] = {**step("first"), **more}
    held = Held()
    known = kinds(held=held)
    slow = [step("before", "held"), step("slow", "delay", config={"for": "PT1H"})]
    join = step("z", "merge", join={"deadline": "PT5M", "on_branch_failure": "finish"})
    raw = document([*slow, first, join], "before > first", arrow, "slow > z")
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke):
        run_id = house.start(house.publish(raw, kinds=known))
        held.enter()
        assert not Gate.objects.filter(run_id=run_id, node=3).exists()
        held.release.set()
        gate = wait_until_there(run_id)
        ended = StepLog.objects.get(run_id=run_id, node=2)
        cancel_run(run_id, house.actor)
        house.end_of(run_id)
    assert gate.deadline_at is not None
    assert ended.finished_at is not None
    assert timedelta(minutes=5) <= gate.deadline_at - ended.finished_at < timedelta(minutes=6)


def wait_until_there(run_id: Any) -> Gate:
    """The join's gate, once something has answered at it."""
    wait_until(Gate.objects.filter(run_id=run_id, node=3).exists, 10, "a branch to answer")
    return Gate.objects.get(run_id=run_id, node=3)
