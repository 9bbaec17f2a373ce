"""A sub-workflow whose limit lets newer runs replace older ones: the course of the run above one that was replaced."""

from typing import Any
from uuid import UUID

import pytest

from orchestrator.models import Run, StepLog
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.repeat_preview import preview_retry
from orchestrator.services.run_limit import NewerRunOpen
from orchestrator.services.skip import skip_step
from tests.engine.drawings import document, step
from tests.engine.house import House, error, leftovers, output
from tests.engine.limited import limited
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("at_work")
SUB = step("sub", "sub_workflow", config={"workflow": "child"})


def above(house: House, *steps: dict[str, Any], lines: tuple[str, ...] = ()) -> tuple[UUID, UUID, UUID, UUID]:
    """Two runs and those of their sub-workflows, the second of which has replaced the first."""
    house.publish(limited(1, "replace"), slug="child")
    version = house.publish(document([SUB, *steps], *lines))
    first = house.start(version)
    replaced = child_of(first)
    second = house.start(version)
    return first, replaced, second, child_of(second)


def child_of(run_id: UUID) -> UUID:
    children = Run.objects.filter(parent_run=run_id)
    wait_until(children.exists, 10, "the sub-workflow to start")
    return children.get().pk


def over(house: House, run_id: UUID, state: str) -> Run:
    run = house.end_of(run_id)
    assert run.state == state, run.error
    assert (leftovers(run_id), list(breaches(everything=True))) == ({}, [])
    return run


def let_go(house: House, child: UUID) -> None:
    skip_step(child, "a", house.actor, output=1)


def test_it_fails_and_says_what_happened(house: House) -> None:
    first, replaced, second, newer = above(house)
    told = error(over(house, first, "failed"))
    assert told["code"] == "replaced"
    assert 'Workflow "child"' in told["message"]
    assert str(newer) in told["message"]
    assert over(house, replaced, "cancelled").error is None
    let_go(house, newer)
    over(house, second, "succeeded")


def test_its_error_port_takes_it(house: House) -> None:
    rescue = step("rescue", config={"value": {"$": "errors.sub.code"}})
    first, _, second, newer = above(house, rescue, lines=("sub.error > rescue",))
    assert output(over(house, first, "succeeded"))["rescue"] == "replaced"
    cancel_run(second, house.actor)
    over(house, newer, "cancelled")


def test_it_is_not_tried_again_by_itself(house: House) -> None:
    """Else two runs would replace each other's sub-workflows for ever."""
    first, _, second, newer = above(house)
    over(house, first, "failed")
    assert StepLog.objects.filter(run_id=first).count() == 1
    assert Run.objects.filter(workflow__slug="child").count() == 2
    cancel_run(second, house.actor)
    over(house, newer, "cancelled")


def test_a_retry_waits_for_the_newer_one_to_end(house: House) -> None:
    first, replaced, second, newer = above(house)
    over(house, first, "failed")
    for again in (retry_run, preview_retry):
        with pytest.raises(NewerRunOpen, match=str(newer)):
            again(first, house.actor)
    let_go(house, newer)
    over(house, second, "succeeded")
    retry_run(first, house.actor)
    wait_until(lambda: Run.objects.get(pk=replaced).state == "running", 10, "the sub-workflow to go on")
    let_go(house, replaced)
    over(house, first, "succeeded")
    over(house, replaced, "succeeded")
