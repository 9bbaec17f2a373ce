"""Whoever pauses a run expects nothing to act in it: its undo begins with the resume."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator.core.outcome import Done, Fail, Outcome, StepFault
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import HumanTask, Run, RunRecord, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import RunPaused, cancel_run, pause_run, resume_run
from orchestrator.services.reopen import RunNotRepeatable, retry_run
from orchestrator.services.skip import skip_step
from orchestrator.services.undo import undo_run
from tests.engine.drawings import document, step
from tests.engine.house import House, error, keeper_at_work, make_tools, worker_at_work
from tests.engine.kinds import Held, kinds
from tests.engine.test_undo import UNDO, ledger, undoable
from tests.waiting import wait_until

FORM = {"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}]}


class Failing(Held):
    """Fails once it is released; does well the next time."""

    def run(self, config: Any, context: Any) -> Outcome:
        super().run(config, context)
        return Done("well") if context.attempt > 1 else Fail(StepFault(code="bad", message="Bad."))


@contextmanager
def failed_while_paused(house: House, sandbox: Sandbox, raw: dict[str, Any] | None = None) -> Iterator[UUID]:
    """A run whose last step has failed after an operator had paused it; a worker and a keeper are at work."""
    bad = Failing(listens=False)
    own = kinds(bad=bad)
    raw = raw or document([undoable("a"), step("bad", "bad")], "a > bad", **UNDO)
    with worker_at_work(make_tools(sandbox, own)) as house.worker, keeper_at_work(house.worker.poke) as keeper:
        run_id = house.start(house.publish(raw, kinds=own))
        bad.enter()
        # It may have begun ahead of the commit that gives it its token.
        wait_until(Token.objects.filter(run_id=run_id, node=1, state="L").exists, 10, "the step to be at work")
        pause_run(run_id, house.actor)
        bad.release.set()
        wait_until(RunRecord.objects.filter(run_id=run_id, kind="undo_held").exists, 10, "the run to have failed")
        for _ in range(2):
            keeper.nudge()
            house.worker.poke()
        assert_holds(run_id)
        yield run_id


def assert_holds(run_id: UUID) -> None:
    assert Run.objects.get(pk=run_id).state == "paused"
    assert not Token.objects.filter(run_id=run_id, node__lt=0).exists()
    assert not StepLog.objects.filter(run_id=run_id, node__lt=0).exists()
    assert list(breaches()) == []


def test_a_pause_holds_the_undo_until_the_resume(house: House, sandbox: Sandbox) -> None:
    with failed_while_paused(house, sandbox) as run_id:
        with pytest.raises(RunPaused):
            pause_run(run_id, house.actor)
        assert_holds(run_id)
        assert resume_run(run_id, house.actor) == "undoing"
        run = house.end_of(run_id)
    assert (run.state, ledger(run), error(run)["code"]) == ("undone", {"a": "undone"}, "bad")
    told = list(RunRecord.objects.filter(run=run).order_by("id").values_list("kind", flat=True))
    assert told[-4:] == ["undo_held", "resumed", "undo_started", "undone"]


def test_a_person_may_have_it_undone_without_a_resume(house: House, sandbox: Sandbox) -> None:
    with failed_while_paused(house, sandbox) as run_id:
        assert undo_run(run_id, house.actor) == "undoing"
        run = house.end_of(run_id)
    assert (run.state, error(run)["code"]) == ("undone", "bad")


def test_one_that_is_cancelled_instead_is_not_undone(house: House, sandbox: Sandbox) -> None:
    with failed_while_paused(house, sandbox) as run_id:
        assert cancel_run(run_id, house.actor) == "cancelled"
    assert ledger(house.end_of(run_id)) == {}


def test_a_retry_takes_the_place_of_the_undo(house: House, sandbox: Sandbox) -> None:
    with failed_while_paused(house, sandbox) as run_id:
        assert retry_run(run_id, house.actor) == "paused"
        assert list(Token.objects.filter(run_id=run_id).values_list("state", flat=True)) == ["H"]
        assert resume_run(run_id, house.actor) == "running"
        run = house.end_of(run_id)
    assert (run.state, run.output, ledger(run)) == ("succeeded", "well", {})


def test_what_a_join_no_longer_wants_ends_meanwhile(house: House, sandbox: Sandbox) -> None:
    other = step("other", "human_task", config=FORM)
    join = step("join", join={"mode": "all", "on_branch_failure": "abort"})
    raw = document([undoable("a"), step("bad", "bad"), other, join], "a > bad > join", "a > other", **UNDO)
    raw["edges"] += [{"from": "other", "port": "yes", "to": "join"}]
    with failed_while_paused(house, sandbox, raw) as run_id:
        wait_until(lambda: not Token.objects.filter(run_id=run_id).exists(), 10, "the task to be taken back")
        assert not HumanTask.objects.waiting().filter(run_id=run_id).exists()
        assert_holds(run_id)
        resume_run(run_id, house.actor)
        run = house.end_of(run_id)
    assert (run.state, ledger(run)) == ("undone", {"a": "undone"})


def test_what_still_waits_in_it_is_not_skipped(house: House, sandbox: Sandbox) -> None:
    """Its join has failed the run, and the keeper has not taken the other branch back yet."""
    with worker_at_work(make_tools(sandbox)) as house.worker:
        run_id = house.start(house.publish(document([step("other", "delay", config={"for": "PT1H"})], **UNDO)))
        wait_until(Token.objects.filter(run_id=run_id, state="W").exists, 10, "the delay")
    pause_run(run_id, house.actor)
    with connection.cursor() as cursor:
        cursor.execute("SELECT branchline_fail_run(%s, '{}')", [run_id])
    with pytest.raises(RunNotRepeatable):
        skip_step(run_id, "other", house.actor)


@contextmanager
def overdue_while_paused(house: House, sandbox: Sandbox) -> Iterator[UUID]:
    """The same for a run whose deadline has passed."""
    raw = document(
        [undoable("a"), step("long", "delay", config={"for": "PT1H"})],
        "a > long",
        settings={"on_failure": "undo", "deadline": "PT1H"},
    )
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        run_id = house.start(house.publish(raw))
        wait_until(Token.objects.filter(run_id=run_id, state="W").exists, 10, "the delay")
        pause_run(run_id, house.actor)
        Run.objects.filter(pk=run_id).update(deadline_at=Now())
        wait_until(RunRecord.objects.filter(run_id=run_id, kind="undo_held").exists, 10, "the deadline")
        assert_holds(run_id)
        yield run_id


def test_a_deadline_that_passes_in_a_pause_is_undone_after_it(house: House, sandbox: Sandbox) -> None:
    with overdue_while_paused(house, sandbox) as run_id:
        assert resume_run(run_id, house.actor) == "undoing"
        run = house.end_of(run_id)
    assert (run.state, ledger(run), error(run)["code"]) == ("undone", {"a": "undone"}, "deadline")
    assert RunRecord.objects.filter(run=run, kind="deadline_passed").count() == 1


def test_what_the_deadline_stopped_in_a_pause_is_retried(house: House, sandbox: Sandbox) -> None:
    with overdue_while_paused(house, sandbox) as run_id:
        assert retry_run(run_id, house.actor) == "paused"
        assert list(Token.objects.filter(run_id=run_id).values_list("node", "state")) == [(1, "H")]
        run = Run.objects.get(pk=run_id)
    assert run.deadline_at is not None
    assert run.deadline_at > timezone.now()
    assert list(breaches()) == []


def test_a_sub_workflow_that_failed_in_the_pause_is_undone_with_the_resume_of_the_run_above(
    house: House, sandbox: Sandbox
) -> None:
    bad = Failing(listens=False)
    own = kinds(bad=bad)
    house.publish(document([undoable("a"), step("bad", "bad")], "a > bad", **UNDO), slug="child", kinds=own)
    with worker_at_work(make_tools(sandbox, own)) as house.worker, keeper_at_work(house.worker.poke):
        run_id = house.start(house.publish(document([step("sub", "sub_workflow", config={"workflow": "child"})])))
        bad.enter()
        child = Run.objects.get(parent_run_id=run_id)
        wait_until(Token.objects.filter(run=child, node=1, state="L").exists, 10, "the step to be at work")
        pause_run(run_id, house.actor)
        bad.release.set()
        wait_until(RunRecord.objects.filter(run=child, kind="undo_held").exists, 10, "the child to have failed")
        assert_holds(child.pk)
        assert resume_run(run_id, house.actor) == "running"
        run, child = house.end_of(run_id), house.end_of(child.pk)
    assert (run.state, child.state, ledger(child)) == ("failed", "undone", {"a": "undone"})
    assert list(breaches()) == []
