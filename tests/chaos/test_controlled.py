"""Tests of the tests: each fault of cancelling and of locks is planted in rows and journals, and must be seen."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.db.models import F
from django.utils import timezone

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, RunRecord, Scope, StepLog
from orchestrator.models.scope import BLOCK
from orchestrator.services.control import cancel_run
from tests.chaos import journal
from tests.chaos.controlled import travelled, wrong_cancel, wrong_locks
from tests.chaos.families import families, members
from tests.chaos.journal import ACTED, CALLED
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, make_house, make_tools, worker_at_work
from tests.engine.rows import beat
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cancelled() -> UUID:
    """A run that was cancelled while the run of its sub-workflow waited."""
    house = make_house()
    with Sandbox() as sandbox, worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        return cancel_one(house)


def cancel_one(house: House) -> UUID:
    house.publish(document([step("wait", "delay", config={"for": "PT1H"})]), slug="child")
    run_id = house.start(house.publish(document([step("sub", "sub_workflow", config={"workflow": "child"})])))
    wait_until(lambda: Run.objects.filter(root_run=run_id).exists(), 20, "the run below to start")
    cancel_run(run_id, house.actor)
    wait_until(lambda: not Run.objects.open().exists(), 20, "both runs to end")
    return run_id


def seen(run_id: UUID) -> list[str]:
    return [text.split(":")[0] for text in wrong_cancel({run_id}, families(members()))]


def test_a_cancellation_that_travelled_is_no_fault(cancelled: UUID) -> None:
    assert (seen(cancelled), travelled({cancelled})) == ([], 1)


def test_a_run_that_was_started_below_a_cancelled_one_is_doubled(cancelled: UUID) -> None:
    later = RunRecord.objects.order_by("-pk").values_list("pk", flat=True)[0] + 1
    RunRecord.objects.filter(run__root_run=cancelled, kind="started").update(id=later)
    assert seen(cancelled) == ["doubled"]


def test_what_began_before_the_cancellation_came_down_to_it_is_no_fault(cancelled: UUID) -> None:
    """As if the run below had a child of its own: one record after the top's request is not yet after its own."""
    child = Run.objects.get(root_run=cancelled)
    RunRecord.objects.update(id=F("id") * 100)
    top = RunRecord.objects.get(run_id=cancelled, kind="cancel_requested").pk
    own = RunRecord.objects.get(run=child, kind="cancel_requested").pk
    deeper = Run.objects.get(pk=child.pk)
    deeper.pk, deeper.parent_run_id = uuid4(), child.pk
    deeper.save(force_insert=True)
    RunRecord.objects.create(id=own + 2, run=deeper, kind="cancelled")
    started = RunRecord.objects.create(id=top + 1, run=deeper, kind="started")
    assert seen(cancelled) == []
    RunRecord.objects.filter(pk=started.pk).update(id=own + 1)
    assert seen(cancelled) == ["doubled"]


def test_a_run_that_outlives_the_cancelled_one_above_is_lost(cancelled: UUID) -> None:
    later = RunRecord.objects.order_by("-pk").values_list("pk", flat=True)[0] + 1
    RunRecord.objects.filter(run__root_run=cancelled, kind="cancelled").update(id=later)
    assert seen(cancelled) == ["lost"]


def test_a_cancelled_run_that_succeeds_is_lost(cancelled: UUID) -> None:
    Run.objects.filter(pk=cancelled).update(state="succeeded")
    assert seen(cancelled) == ["lost"]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UUID]:
    """Two scopes of one lock, each with a step that succeeded in it."""
    monkeypatch.setenv(journal.FOLDER, str(tmp_path))
    journal._file.cache_clear()
    house = make_house()
    beat(1)
    run_id = house.start(house.publish(document([step("a")])))
    for block in (BLOCK, 2 * BLOCK):
        Scope.objects.create(id=block, run_id=run_id, parent=0, node=0, token_id=0, lock="bench")
        StepLog.objects.create(
            entry=block, run_id=run_id, node=1, scope_id=block + 1, attempt=1, outcome="S", finished_at=timezone.now()
        )
    yield run_id
    journal._file.cache_clear()


def say(run_id: UUID, event: str, block: int) -> None:
    journal.write(event, f"{run_id}:1:{block * BLOCK + 1}:0", 1)


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        ([(CALLED, 1), (ACTED, 1), (CALLED, 2), (ACTED, 2)], []),  # one after the other
        ([(CALLED, 2), (ACTED, 2), (CALLED, 1), (ACTED, 1)], []),  # whoever is first
        ([(CALLED, 1), (CALLED, 2), (ACTED, 1), (ACTED, 2)], ["doubled"]),
        # The first one's dead worker had called it, too; it may go on as long as it likes.
        ([(CALLED, 1), (CALLED, 1), (ACTED, 1), (CALLED, 2), (ACTED, 1), (ACTED, 2)], []),
    ],
)
def test_scopes_of_one_lock_that_overlap_are_doubled(
    scene: UUID, tmp_path: Path, lines: list[tuple[str, int]], faults: list[str]
) -> None:
    for event, block in lines:
        say(scene, event, block)
    found = wrong_locks(members(), journal.read(tmp_path))
    assert [text.split(":")[0] for text in found] == faults
