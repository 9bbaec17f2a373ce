"""The undo of a container waits for what is at work in it, which has the grace of a cancelled run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, Scope, StepLog, Token, UndoItem
from orchestrator.queries.fsck import breaches
from tests.engine.drawings import document, step
from tests.engine.holding import UNDO, held_at_work
from tests.engine.house import House, leftovers
from tests.engine.kinds import Held, kinds
from tests.waiting import wait_until

BOX = step("box", "scope", config={"on_failure": "undo"}, timeout="PT0.3S")
#: containers between the box and the step at work
BETWEEN: dict[str, list[dict[str, Any]]] = {
    "in the box": [],
    "in a scope in it": [step("inner", "scope", parent="box")],
    "in a for-each in it": [step("inner", "for_each", parent="box", config={"items": [1]})],
}


@contextmanager
def at_work(house: House, sandbox: Sandbox, held: Held, between: str, grace: float = 10.0) -> Iterator[UUID]:
    """The run of a box that has run out of time while `held` was at work in it."""
    parent = "inner" if BETWEEN[between] else "box"
    raw = document(
        [BOX, *BETWEEN[between], step("charge", "held", parent=parent, undo=UNDO), step("late")], "box.timeout > late"
    )
    with held_at_work(house, sandbox, held, kinds(held=held), raw, grace) as (run_id, keeper):
        wait_until(lambda: Token.objects.filter(run_id=run_id, waiting__kind="undo").exists(), 10, "the undo to begin")
        keeper.nudge()
        yield run_id


def ended(house: House, run_id: UUID) -> tuple[str, str, list[str]]:
    """How the run, the step and its undo ended."""
    run = house.end_of(run_id)
    assert leftovers(run_id) == {}
    draining = Scope.objects.filter(run_id=run_id, draining_since__isnull=False)
    wait_until(lambda: not draining.exists(), 10, "a sweep to find nothing left in the box")
    assert list(breaches()) == []
    node = run.version.plan["keys"].index("charge")
    log = StepLog.objects.get(run_id=run_id, node=node, final=True)
    return run.state, log.outcome, list(UndoItem.objects.filter(run_id=run_id).values_list("state", flat=True))


@pytest.mark.parametrize("between", BETWEEN)
def test_the_undo_waits_for_a_deaf_step_and_undoes_what_it_did(house: House, sandbox: Sandbox, between: str) -> None:
    with at_work(house, sandbox, held := Held(listens=False), between) as run_id:
        assert not UndoItem.objects.filter(run_id=run_id).exists()
        held.release.set()
        assert ended(house, run_id) == ("succeeded", "S", ["undone"])


@pytest.mark.parametrize("between", BETWEEN)
def test_a_step_that_listens_hears_that_its_container_is_over(house: House, sandbox: Sandbox, between: str) -> None:
    with at_work(house, sandbox, Held(), between) as run_id:
        assert ended(house, run_id) == ("succeeded", "S", ["undone"])


def test_a_step_that_stays_longer_is_cut_off(house: House, sandbox: Sandbox) -> None:
    with at_work(house, sandbox, Held(listens=False), "in the box", grace=0.0) as run_id:
        wait_until(lambda: UndoItem.objects.filter(run_id=run_id).exists(), 10, "the ledger to be written")
        assert StepLog.objects.get(run_id=run_id).outcome == "K"
        assert UndoItem.objects.get(run_id=run_id).state == "unknown"
        assert Run.objects.get(pk=run_id).state == "running"
