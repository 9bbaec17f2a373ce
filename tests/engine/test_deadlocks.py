"""Whoever is a deadlock's victim calls again, or leaves the rest to the keeper: nothing is lost or done twice."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from orchestrator.core.outcome import Done
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import StepLog
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers
from tests.engine.kinds import Held, Told, kinds
from tests.engine.test_lanes import at_work, drawing, place
from tests.engine.test_undo import UNDO, failing, ledger, undoable
from tests.harness.mutants import mutated


@contextmanager
def broken_once(function: str, after: str) -> Iterator[None]:
    """The function's first call is broken off by PostgreSQL. A sequence tells it: it is not rolled back."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE deadlocks")
    breaks = f"{after}\n    IF nextval('deadlocks') = 1 THEN RAISE deadlock_detected; END IF;\n"
    try:
        with mutated(function, (after, breaks)):
            yield
            with connection.cursor() as cursor:
                cursor.execute("SELECT is_called FROM deadlocks")
                assert cursor.fetchone()[0], f"{function} was not called"
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP SEQUENCE deadlocks")


def test_a_lane_stores_its_items_again(house: House, sandbox: Sandbox) -> None:
    done: Counter[int] = Counter()

    def count(context: object) -> Done:
        done[place(context)] += 1
        return Done(1)

    known = kinds(count=Told(count))
    with broken_once("branchline_flush", "\nBEGIN"), at_work(house, sandbox, known):
        run = house.end_of(house.start(house.publish(drawing(3, step("s", "count")), kinds=known)), 30)
    assert (run.state, done) == ("succeeded", Counter([0, 1, 2]))
    assert list(breaches()) == []


@pytest.mark.parametrize("function", ["branchline_cancel_branches", "branchline_write_ledger", "branchline_drain"])
def test_what_follows_a_commit_is_left_to_the_keeper(house: House, sandbox: Sandbox, function: str) -> None:
    gate = Held(listens=True)
    known = kinds(held=gate)
    join = {"mode": "any", "late": "cancel"}
    drawn = {
        "branchline_cancel_branches": document(
            [step("a"), step("late", "delay", config={"for": "PT1H"}), step("z", "merge", join=join)],
            *("a > z", "late > z"),
        ),
        "branchline_write_ledger": document([undoable("a"), failing()], "a > bad", **UNDO),
        "branchline_drain": document([step("h", "held"), step("a")], "h > a"),
    }
    with broken_once(function, "\nBEGIN"), at_work(house, sandbox, known):
        run_id = house.start(house.publish(drawn[function], kinds=known))
        if function == "branchline_drain":
            gate.enter()
            cancel_run(run_id, house.actor)
        run = house.end_of(run_id)
    ends = {"branchline_cancel_branches": "succeeded", "branchline_write_ledger": "undone"}
    assert run.state == ends.get(function, "cancelled")
    assert leftovers(run_id) == {}
    assert list(breaches()) == []
    assert StepLog.objects.filter(run=run).exists()
    assert function != "branchline_write_ledger" or ledger(run) == {"a": "undone"}
