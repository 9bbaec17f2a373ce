"""Retry above a sub-workflow that somebody stopped by itself: it goes on where it stood."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.repeat_preview import preview_retry
from orchestrator.services.skip import skip_step
from orchestrator.services.undo import cancel_with_undo
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers
from tests.engine.kinds import Told, kinds
from tests.engine.switched import Switch, again, at_work, told
from tests.engine.test_undo import undoable
from tests.waiting import wait_until

HOUR = step("wait", "delay", config={"for": "PT1H"})


@pytest.fixture
def acts() -> Switch:
    return Switch()


@pytest.fixture
def busy(house: House, sandbox: Sandbox, acts: Switch) -> Iterator[None]:
    house.kinds = kinds(told=Told(acts))  # type: ignore[attr-defined]
    with at_work(house, sandbox, house.kinds):  # type: ignore[attr-defined]
        yield


def waits(run_id: UUID) -> UUID:
    """The newest run of the sub-workflow, once it waits for its hour."""
    found = Token.objects.filter(run__parent_run=run_id, state="W")
    wait_until(found.exists, 20, "the child to wait")
    return found.get().run_id


def started(house: House, first: dict[str, Any], **of_sub: Any) -> tuple[UUID, UUID]:
    """A run, and that of its sub-workflow, which has done its first step and waits."""
    known = house.kinds  # type: ignore[attr-defined]
    house.publish(document([first, HOUR], f"{first['key']} > wait"), slug="child", kinds=known)
    sub = step("sub", "sub_workflow", config={"workflow": "child"}, **of_sub)
    run_id = house.start(house.publish(document([sub]), kinds=known))
    return run_id, waits(run_id)


def retry(house: House, run_id: UUID) -> UUID:
    """Retry what failed; the run of the sub-workflow that waits now, and ends with its run."""
    again(house, lambda: retry_run(run_id, house.actor))
    child = waits(run_id)
    again(house, lambda: skip_step(child, "wait", house.actor))
    assert house.end_of(run_id).state == "succeeded"
    assert (leftovers(run_id), leftovers(child), list(breaches(everything=True))) == ({}, {}, [])
    return child


@pytest.mark.usefixtures("busy")
def test_one_that_was_cancelled_goes_on(house: House, acts: Switch) -> None:
    run_id, child = started(house, told("a"))
    cancel_run(child, house.actor)
    assert house.end_of(run_id).state == "failed"
    foreseen = preview_retry(run_id, house.actor)
    assert [(one.key, one.new_key) for one in foreseen.first] == [("sub", False)]
    assert retry(house, run_id) == child
    assert (acts.attempts("a"), acts.keys("a")) == ([1], {f"{child}:0:0:0"})


@pytest.mark.usefixtures("busy")
def test_one_that_was_undone_begins_anew(house: House) -> None:
    run_id, child = started(house, undoable("a"))
    cancel_with_undo(child, house.actor)
    assert house.end_of(run_id).state == "failed"
    assert [(one.key, one.new_key) for one in preview_retry(run_id, house.actor).first] == [("sub", True)]
    assert retry(house, run_id) != child


@pytest.mark.usefixtures("busy")
def test_one_whose_step_ran_out_of_time_begins_anew(house: House, acts: Switch) -> None:
    run_id, child = started(house, told("a"), timeout="PT1S")
    assert house.end_of(run_id).state == "failed"
    wait_until(lambda: Run.objects.get(pk=child).state == "cancelled", 20, "the child to be cancelled")
    assert retry(house, run_id) != child
    assert StepLog.objects.filter(run__parent_run=run_id, node=0, outcome="S").count() == 2
