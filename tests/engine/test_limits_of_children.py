"""Limits of open runs where the runs are sub-workflows."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest

from orchestrator.core.states import FINAL_RUN
from orchestrator.engine import dispatch
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run, pause_run, resume_run
from tests.engine.drawings import document, step
from tests.engine.house import House, error, make_tools, worker_at_work
from tests.engine.kinds import Held, kinds
from tests.engine.limited import limited, queued, states
from tests.waiting import wait_until


@pytest.fixture
def parent(house: House) -> Iterator[Any]:
    def publish(child: dict[str, Any]) -> Any:
        house.publish(child, "child").workflow.refresh_from_db()
        call = step("call", "sub_workflow", config={"workflow": "child", "input": {}})
        return house.publish(document([call]))

    return iter([publish])


def test_sub_workflows_queue_for_a_slot(house: House, at_work: None, parent: Iterator[Any]) -> None:
    version = next(parent)(limited(1, "queue", step("a", "delay", config={"for": "PT0.05S"})))
    runs = [house.start(version) for _ in range(5)]
    assert {house.end_of(run, 60).state for run in runs} == {"succeeded"}
    children = list(Run.objects.filter(parent_run__in=runs).order_by("finished_at"))
    assert len(children) == 5
    assert {child.state for child in children} <= set(FINAL_RUN)
    assert list(breaches()) == []


def test_a_sub_workflow_above_a_refusing_limit_fails_its_step(
    house: House, at_work: None, parent: Iterator[Any]
) -> None:
    version = next(parent)(limited(1, "refuse", key={"$": "'card-17'"}))
    first = house.start(version)
    wait_until(Run.objects.filter(parent_run=first).exists, 10, "the first child")
    run = house.end_of(house.start(version))
    assert (run.state, error(run)["code"]) == ("failed", "concurrency_limit")
    assert '1 of 1 runs of "child" with the same key are open' in error(run)["message"]
    assert "card-17" not in error(run)["message"], "viewers read why a run failed, but not what it carries"
    assert error(run)["details"].items() >= {"workflow": "child", "limit": 1, "key": '"card-17"'}.items()
    assert not Run.objects.filter(parent_run=run.pk).exists()


@pytest.mark.parametrize("as_child", [False, True])
def test_a_hard_cancellation_wakes_at_once_who_gets_the_slot(house: House, sandbox: Sandbox, *, as_child: bool) -> None:
    """Though only taking away what was at work has ended the run, or that of its sub-workflow."""
    gate = Held(listens=False)
    known = kinds(held=gate)
    version = house.publish(limited(1, "queue", step("a", "held")), slug="child", kinds=known)
    top = house.publish(document([step("sub", "sub_workflow", config={"workflow": "child"})]))
    with worker_at_work(make_tools(sandbox, known)) as house.worker:
        first = house.start(top if as_child else version)
        gate.enter()
        second = house.start(version)
        assert queued(second) == [True]
        told: list[str] = []
        with patch.object(dispatch, "wake", lambda queue, count=1: told.append(queue)):
            assert cancel_run(first, house.actor, hard=True) == "cancelled"
        assert (queued(second), told) == ([False], ["default"])
        gate.release.set()
        assert house.end_of(second).state == "succeeded"


def test_a_queued_sub_workflow_goes_at_once_when_its_run_is_resumed(
    house: House, sandbox: Sandbox, parent: Iterator[Any]
) -> None:
    version = next(parent)(limited(1, "queue", step("a", "delay", config={"for": "PT10M"}, queue="slow")))
    with worker_at_work(make_tools(sandbox)) as house.worker:
        first, second = (child_of(house.start(version)) for _ in range(2))
    house.worker = None
    assert queued(first.pk, second.pk) == [False, True]
    above = second.parent_run_id
    assert above is not None
    pause_run(above, house.actor)
    cancel_run(first.pk, house.actor)
    assert queued(second.pk) == [True], "a paused run is passed over"
    assert told_of_resume(house, above) == {"slow"}
    assert (queued(second.pk), states(second.pk)) == ([False], ["R"])
    pause_run(above, house.actor)
    assert told_of_resume(house, above) == {"slow"}, "it has its slot, and goes on"
    assert list(breaches()) == []


def child_of(top: UUID) -> Run:
    """The run of its sub-workflow, once its worker has started it."""
    wait_until(Run.objects.filter(parent_run=top).exists, 10, "the sub-workflow")
    return Run.objects.get(parent_run=top)


def told_of_resume(house: House, run: UUID) -> set[str]:
    """The queues of which workers hear when the run is resumed."""
    told: set[str] = set()
    with patch.object(dispatch, "wake", lambda queue, count=1: told.add(queue)):
        resume_run(run, house.actor)
    return told
