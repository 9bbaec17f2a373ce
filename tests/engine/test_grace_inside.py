"""A run that is cancelled or undone gives what is at work in its containers the same grace as everything else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from orchestrator.engine.keeper import Keeper
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token, UndoItem
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run
from orchestrator.services.undo import undo_run
from tests.engine.drawings import document, step
from tests.engine.holding import UNDO, held_at_work
from tests.engine.house import House, leftovers
from tests.engine.kinds import Held, kinds
from tests.waiting import wait_until

#: containers around the step at work
AROUND: dict[str, list[dict[str, Any]]] = {
    "in a scope": [step("box", "scope")],
    "in a turn": [step("box", "repeat", config={"until": {"$": "True"}, "turns": 1})],
    "in an item": [step("box", "for_each", config={"items": [1, 2], "parallel": 1})],
    "deeper down": [step("outer", "for_each", config={"items": [1]}), step("box", "scope", parent="outer")],
}


@contextmanager
def at_work(
    house: House, sandbox: Sandbox, held: Held, around: str, grace: float = 60.0, **more: Any
) -> Iterator[tuple[UUID, Keeper]]:
    """A run in whose container `held` is at work."""
    containers = AROUND[around]
    raw = document([step("a", undo=UNDO), *containers, step("charge", "held", parent="box", **more)])
    raw["edges"] = [{"from": "a", "to": containers[0]["key"]}]
    with held_at_work(house, sandbox, held, kinds(held=held), raw, grace) as found:
        yield found


def cancelled(run_id: UUID, house: House) -> None:
    cancel_run(run_id, house.actor)


def undone(run_id: UUID, house: House) -> None:
    undo_run(run_id, house.actor)


def attempts(run_id: UUID) -> list[str]:
    """How the attempts of the step inside ended, the first first."""
    node = Run.objects.get(pk=run_id).version.plan["keys"].index("charge")
    return list(StepLog.objects.filter(run_id=run_id, node=node).order_by("entry").values_list("outcome", flat=True))


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize(("stop", "state"), [(cancelled, "cancelled"), (undone, "undone")])
def test_what_a_deaf_step_did_is_known(
    house: House, sandbox: Sandbox, around: str, stop: Callable[[UUID, House], None], state: str
) -> None:
    with at_work(house, sandbox, held := Held(listens=False), around, undo=UNDO) as (run_id, keeper):
        stop(run_id, house)
        keeper.nudge()
        assert Token.objects.filter(run_id=run_id, state="L").count() == 1
        assert not UndoItem.objects.filter(run_id=run_id).exists()
        held.release.set()
        assert house.end_of(run_id).state == state
        assert attempts(run_id) == ["S"]
        assert set(UndoItem.objects.filter(run_id=run_id).values_list("state", flat=True)) <= {"undone"}
        assert leftovers(run_id) == {}
        assert list(breaches()) == []


def test_items_that_a_worker_does_in_one_go_are_told_as_well(house: House, sandbox: Sandbox) -> None:
    """They have no undo, so a lane does them; what it has done and not stored yet would be nowhere."""
    with at_work(house, sandbox, held := Held(), "in an item") as (run_id, _):
        undone(run_id, house)
        assert house.end_of(run_id).state == "undone"
        assert attempts(run_id) == ["S"]
        assert not held.release.is_set()


def test_one_that_stays_longer_is_cut_off(house: House, sandbox: Sandbox) -> None:
    with at_work(house, sandbox, Held(listens=False), "deeper down", grace=0.0, undo=UNDO) as (run_id, keeper):
        undone(run_id, house)
        keeper.nudge()
        wait_until(lambda: Run.objects.get(pk=run_id).state == "undo_stuck", 10, "the ledger to be stuck")
        assert attempts(run_id) == ["K"]
        assert UndoItem.objects.filter(run_id=run_id, state="unknown").count() == 1
