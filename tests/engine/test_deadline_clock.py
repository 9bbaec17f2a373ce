"""A run's deadline counts by the database's clock, which ends it, however far a web host's own is off."""

import json
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.utils import timezone

from orchestrator.engine import statements
from orchestrator.models import Run
from orchestrator.services.deadlines import DeadlinePast
from orchestrator.services.reopen import retry_run
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import beat, claim, rows

A = 11


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_deadline_is_by_the_clock_that_ends_it(house: House, minutes: int) -> None:
    version = house.publish(document([step("a", "delay", config={"for": "PT1H"})]))
    elsewhere = timezone.now() + timedelta(minutes=minutes)
    with patch("django.utils.timezone.now", return_value=elsewhere):
        run = Run.objects.get(pk=house.start(version, deadline="PT5M"))
        soon = (run.started_at + timedelta(minutes=7)).isoformat()
        house.start(version, deadline=soon)
        with pytest.raises(DeadlinePast):
            house.start(version, deadline=(run.started_at - timedelta(minutes=1)).isoformat())
    assert run.deadline_at is not None
    assert timedelta(minutes=4) < run.deadline_at - run.started_at < timedelta(minutes=6)


def test_so_is_one_that_a_retry_gives(house: House) -> None:
    version = house.publish(document([step("a", config={"value": {"$": "1 / 0"}})], settings={"deadline": "PT5M"}))
    run_id = house.start(version)
    Run.objects.filter(pk=run_id).update(deadline_at=timezone.now() - timedelta(minutes=1))
    beat(A)
    (lease,) = claim(A)
    end = {"t": lease["id"], "e": lease["epoch"], "then": "go", "o": "F", "end": {"state": "failed"}}
    rows(statements.ADVANCE, A, json.dumps([end]))
    before = timezone.now()
    with patch("django.utils.timezone.now", return_value=before - timedelta(minutes=10)):
        retry_run(run_id, house.actor)
    run = Run.objects.get(pk=run_id)
    assert run.deadline_at is not None
    assert timedelta(minutes=4) < run.deadline_at - before < timedelta(minutes=6)
