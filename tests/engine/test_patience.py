"""A change of a run that ends in a deadlock is made again, and in the end refused by a code of its own."""

import json
import threading
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from psycopg.errors import DeadlockDetected

from orchestrator.engine import statements
from orchestrator.models import Run
from orchestrator.services import control, repeat_preview, skip
from orchestrator.services.bulk import change_runs
from orchestrator.services.control import fail_overdue_run, pause_run
from orchestrator.services.standing import RunBusy
from orchestrator.services.undo import undo_run
from tests.engine.drawings import step
from tests.engine.house import House
from tests.engine.limited import limited, state
from tests.engine.rows import claim, own_connection, rows
from tests.harness.mutants import mutated
from tests.waiting import wait_until

LOCKED = "PERFORM branchline_lock_run(p_run);"


def has_looked() -> bool:
    """Whether somebody waits and has looked for a deadlock in vain: that is done once, a second after the wait began.
    So it is not the one that loses.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND waitstart < clock_timestamp() - interval '3 seconds')"
        )
        return bool(cursor.fetchone()[0])


def test_a_change_that_loses_a_deadlock_is_made_again(house: House) -> None:
    run_id = house.start(house.publish(limited(5)))
    has_row, met = threading.Event(), threading.Barrier(2)
    calls: list[UUID] = []
    controllable = control._controllable

    def other() -> None:
        with own_connection("other") as database, database.transaction():
            database.execute("SELECT 1 FROM orchestrator_run WHERE id = %s FOR UPDATE", (run_id,))
            has_row.set()
            met.wait(10)
            database.execute(statements.LOCK_RUN, (run_id,))

    def between(*args: Any, **kwargs: Any) -> Run:
        """The change has the run's lock now, and will ask for its row."""
        calls.append(run_id)
        if len(calls) == 1:
            met.wait(10)
            wait_until(has_looked, 20, "the other to wait for the run's lock, and to have looked for a deadlock")
        return controllable(*args, **kwargs)

    thread = threading.Thread(target=other)
    thread.start()
    assert has_row.wait(10)
    with patch.object(control, "_controllable", between):
        assert pause_run(run_id, house.actor) == "paused"
    thread.join(10)
    assert len(calls) == 2


def deadlocks(run_id: UUID, function: str = "branchline_set_control") -> Any:
    """Every call for this run loses a deadlock."""
    loses = f"IF p_run = '{run_id}' THEN RAISE deadlock_detected; END IF; "
    return mutated(function, (LOCKED, loses + LOCKED))


@pytest.mark.parametrize("dry_run", [True, False])
def test_one_run_that_stays_busy_loses_no_answer_of_the_others(house: House, *, dry_run: bool) -> None:
    version = house.publish(limited(5))
    runs = [house.start(version) for _ in range(3)]
    with deadlocks(runs[1]):
        results = change_runs("pause", runs, house.actor, dry_run=dry_run)
    assert [result.code for result in results] == ["", "run_busy", ""]
    assert "try again" in results[1].message
    assert [state(run) for run in runs] == (["running"] * 3 if dry_run else ["paused", "running", "paused"])


def test_an_undo_that_stays_busy_is_refused(house: House) -> None:
    run_id = house.start(house.publish(limited(5)))
    with deadlocks(run_id, "branchline_begin_undo"), pytest.raises(RunBusy):
        undo_run(run_id, house.actor)
    assert state(run_id) == "running"


def test_a_deadline_that_stays_busy_is_left_to_the_next_sweep(house: House) -> None:
    run_id = house.start(house.publish(limited(5)))
    Run.objects.filter(pk=run_id).update(deadline_at="2020-01-01T00:00:00Z")
    with deadlocks(run_id, "branchline_fail_overdue"), pytest.raises(RunBusy):
        fail_overdue_run(run_id)
    assert state(run_id) == "running"
    fail_overdue_run(run_id)
    assert state(run_id) == "failed"


@pytest.mark.parametrize(("module", "look"), [(repeat_preview, "preview_rerun"), (skip, "preview_skip")])
def test_a_preview_that_loses_a_deadlock_looks_again(house: House, module: Any, look: str) -> None:
    run_id = house.start(house.publish(limited(5, "queue", step("a", "delay", config={"for": "PT10M"}))))
    (lease,) = claim(1)
    waiting = {"then": "wait", "waiting": {"kind": "time", "text": "-"}, "delay": 600}
    rows(statements.ADVANCE, 1, json.dumps([{"t": lease["id"], "e": lease["epoch"], **waiting}]))
    opened, calls = module.opened, []

    def once_in_a_deadlock(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            raise OperationalError from DeadlockDetected()
        return opened(*args)

    with patch.object(module, "opened", once_in_a_deadlock):
        getattr(module, look)(run_id, "a", house.actor)
    assert len(calls) == 2


def test_what_is_no_deadlock_is_not_tried_again(house: House) -> None:
    run_id = house.start(house.publish(limited(5)))
    fails = mutated("branchline_set_control", (LOCKED, "RAISE query_canceled;"))
    looked = patch.object(control, "_controllable", wraps=control._controllable)
    with fails, looked as calls, pytest.raises(OperationalError):
        pause_run(run_id, house.actor)
    assert calls.call_count == 1
