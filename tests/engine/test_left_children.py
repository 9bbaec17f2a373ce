"""A sub-workflow whose step has gone on without it is cancelled, also where the step's own token stays in the run."""

from typing import Any

import pytest

from orchestrator.models import HumanTask, Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import pause_run, resume_run
from orchestrator.services.skip import skip_step
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.test_closed_while_parking import sweep
from tests.waiting import wait_until

FORM = {"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}]}


def started(house: House, line: str, **of_sub: Any) -> tuple[Run, Run]:
    """A run whose sub-workflow waits for an hour before it acts; behind it somebody is asked."""
    house.publish(document([step("w", "delay", config={"for": "PT1H"}), step("x")], "w > x"), slug="child")
    sub = step("sub", "sub_workflow", config={"workflow": "child"}, **of_sub)
    run_id = house.start(house.publish(document([sub, step("ask", "human_task", config=FORM)], line)))
    wait_until(Token.objects.filter(run__parent_run=run_id, state="W").exists, 20, "the child to wait")
    return Run.objects.get(pk=run_id), Run.objects.get(parent_run=run_id)


def assert_goes_alone(run: Run, child: Run) -> None:
    """The run waits for a person, and its sub-workflow ends without having acted."""
    wait_until(HumanTask.objects.filter(run=run, state="open").exists, 20, "the task to open")
    wait_until(lambda: Run.objects.get(pk=child.pk).state == "cancelled", 10, "the child to be cancelled")
    assert Run.objects.get(pk=run.pk).state == "running"
    assert not StepLog.objects.filter(run=child, outcome="S").exists()
    assert list(breaches()) == []


def test_one_that_ran_out_of_its_time(house: House, at_work: None) -> None:
    assert_goes_alone(*started(house, "sub.timeout > ask", timeout="PT1S"))


def test_one_whose_step_was_skipped(house: House, at_work: None) -> None:
    run, child = started(house, "sub > ask")
    skip_step(run.pk, "sub", house.actor)
    assert_goes_alone(run, child)


@pytest.mark.usefixtures("at_work")
def test_one_that_is_waited_for_is_left(house: House) -> None:
    """Also over a pause: its parent's token stands where it stood."""
    run, child = started(house, "sub > ask")
    pause_run(run.pk, house.actor)
    resume_run(run.pk, house.actor)
    sweep()
    assert Run.objects.get(pk=child.pk).state == "running"
    assert list(breaches()) == []
