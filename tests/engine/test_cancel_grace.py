"""Each time that a run is stopped its steps have the grace, however long ago it was stopped before."""

import json
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.db.models import F
from django.db.models.functions import Now

from orchestrator.engine import statements
from orchestrator.models import Run, RunRecord, Token
from orchestrator.services.control import cancel_run, fail_overdue_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.rerun import rerun_step
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import beat, claim, rows
from tests.engine.test_undo import UNDO

A = 11


def cancelled(house: House, run_id: UUID) -> None:
    cancel_run(run_id, house.actor)


def overdue(house: House, run_id: UUID) -> None:
    Run.objects.filter(pk=run_id).update(deadline_at=Now())
    fail_overdue_run(run_id)


def sweep(grace: float) -> None:
    rows(statements.STOP_CANCELLED, grace, 100)


def retried(house: House, run_id: UUID) -> None:
    retry_run(run_id, house.actor)


def rerun(house: House, run_id: UUID) -> None:
    rerun_step(run_id, "a", house.actor)


@pytest.mark.parametrize(("first", "again"), [(cancelled, rerun), (overdue, retried), (overdue, rerun)])
def test_a_run_that_is_stopped_again(
    house: House, first: Callable[[House, UUID], None], again: Callable[[House, UUID], None]
) -> None:
    run_id = house.start(house.publish(document([step("a"), step("b")], "a > b")))
    beat(A)
    assert len(claim(A)) == 1
    first(house, run_id)
    sweep(0)
    assert Run.objects.get(pk=run_id).finished_at is not None
    RunRecord.objects.filter(run_id=run_id).update(at=F("at") - timedelta(hours=1))
    again(house, run_id)
    assert len(claim(A)) == 1
    cancelled(house, run_id)
    sweep(10)
    assert Token.objects.filter(run_id=run_id, state="L").count() == 1
    sweep(0)
    assert Run.objects.get(pk=run_id).state == "cancelled"


ENDS_ALL = {"then": "go", "o": "S", "end": {"state": "failed", "error": {"code": "broken", "message": "as told"}}}


def test_an_undo_that_begins_by_itself_waits_for_what_is_at_work_that_long_only(house: House) -> None:
    run_id = house.start(house.publish(document([step("a"), step("b")], **UNDO)))
    beat(A)
    _, other = claim(A, 2)
    rows(statements.ADVANCE, A, json.dumps([{"t": other["id"], "e": other["epoch"], **ENDS_ALL}]))
    assert Run.objects.get(pk=run_id).state == "undoing"
    sweep(10)
    assert Token.objects.filter(run_id=run_id, state="L").count() == 1
    sweep(0)
    assert not Token.objects.filter(run_id=run_id).exists()
