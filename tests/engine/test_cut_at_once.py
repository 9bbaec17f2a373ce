"""Steps that a join, or their container's time-out, cuts at once while they act: a later undo takes them in."""

from typing import Any
from uuid import UUID

import pytest

from orchestrator.engine.plans import LonePlans
from orchestrator.engine.sandbox import Sandbox
from orchestrator.engine.undo import write_ledgers
from orchestrator.models import StepLog, Token, UndoItem
from orchestrator.queries.fsck import breaches
from orchestrator.services.undo import undo_run
from tests.engine.drawings import document, step
from tests.engine.holding import UNDO, held_at_work
from tests.engine.house import House, leftovers
from tests.engine.kinds import Held, kinds
from tests.engine.rows import beat, claim, own_connection, take_over
from tests.waiting import wait_until

A = 11


class Deaf(Held):
    """It acts on the world, and hears nothing."""

    effects = "external"

    def __init__(self) -> None:
        super().__init__(listens=False)


def by_a_join(*, undo: Any, around: list[dict[str, Any]]) -> dict[str, Any]:
    """A join that wants its first branch cancels the other."""
    more = {"parent": around[-1]["key"]} if around else {}
    quick = step("quick", "delay", config={"for": "PT0.5S"})
    drawn = [quick, *around, step("late", "deaf", **undo, **more)]
    meets = step("z", "merge", join={"mode": "any", "late": "cancel"})
    return document([*drawn, meets], "quick > z", f"{around[0]['key'] if around else 'late'} > z")


def by_its_container(*, undo: Any, around: list[dict[str, Any]]) -> dict[str, Any]:
    """A scope runs out of time, and its run goes on by that way."""
    box = step("box", "scope", timeout="PT0.5S")
    inner = [{**one, "parent": one.get("parent", "box")} for one in around]
    late = step("late", "deaf", parent=inner[-1]["key"] if inner else "box", **undo)
    return document([box, *inner, late, step("z")], "box.timeout > z")


EACH = step("each", "for_each", config={"items": [1], "parallel": 1})
DRAWN = [by_a_join, by_its_container]
AROUND: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "a step": ([], {"undo": UNDO}, "unknown"),
    "a step without an undo": ([], {}, "irreversible"),
    "a step in an item": ([EACH], {"undo": UNDO}, "unknown"),
    "what a lane has in hand": ([EACH], {}, "irreversible"),
}


@pytest.mark.parametrize("drawn", DRAWN)
@pytest.mark.parametrize("what", AROUND)
def test_an_undo_knows_that_it_may_have_acted(house: House, sandbox: Sandbox, drawn: Any, what: str) -> None:
    around, undo, state = AROUND[what]
    deaf = Deaf()
    with held_at_work(house, sandbox, deaf, kinds(deaf=deaf), drawn(undo=undo, around=around)) as (run_id, _):
        run = house.end_of(run_id)
        assert run.state == "succeeded", run.error
        node = run.version.plan["keys"].index("late")
        undo_run(run_id, house.actor)
        wait_until(lambda: bool(lines(run_id, node)), 10, "the ledger to be written")
        assert lines(run_id, node) == [state]
    assert StepLog.objects.filter(run_id=run_id, node=node, outcome__in=["K", "U"]).count() == 1
    assert (leftovers(run_id), list(breaches())) == ({}, [])


def lines(run_id: UUID, node: int) -> list[str]:
    return list(UndoItem.objects.filter(run_id=run_id, node=node).values_list("state", flat=True))


def test_a_step_whose_time_was_up_when_it_was_dropped_may_have_acted(house: House) -> None:
    """The keeper has seen it, not its worker, and the run is undone before anybody writes that down."""
    run_id = house.start(house.publish(document([step("a", undo=UNDO)])))
    beat(A)
    claim(A)
    Token.objects.filter(run_id=run_id).update(deadline_at="2026-01-01T00:00Z")
    assert [row["dead"] for row in take_over()] == [False]
    undo_run(run_id, house.actor)
    with own_connection() as database:
        write_ledgers(database, LonePlans(lambda: database).of)
    assert list(StepLog.objects.filter(run_id=run_id).order_by("entry").values_list("outcome", flat=True)) == ["T", "K"]
    assert lines(run_id, 0) == ["unknown"]
