"""Undo of sub-workflows that were cut off: their runs are stopped and undone, and their parents wait for that."""

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.queries.undo import foreseen_undo
from orchestrator.services.control import cancel_run
from orchestrator.services.undo import cancel_with_undo, undo_run
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, leftovers, make_tools, worker_at_work
from tests.engine.kinds import Held, kinds
from tests.engine.switched import at_work as with_kinds
from tests.engine.test_undo import UNDO, failing, ledger, undoable, undone_order
from tests.waiting import wait_until

HOUR = {"for": "PT1H"}


def sub(**more: Any) -> dict[str, Any]:
    return step("sub", "sub_workflow", config={"workflow": "child"}, **more)


@pytest.fixture
def gate() -> Iterator[Held]:
    held = Held(listens=False)
    yield held
    held.release.set()


def publish_child(house: House) -> None:
    house.publish(document([undoable("x"), step("w", "delay", config=HOUR)], "x > w"), slug="child")


def started(house: House, raw: dict[str, Any], **own: Any) -> tuple[Run, Run]:
    """The run and that of its sub-workflow, which has done x and waits."""
    publish_child(house)
    run_id = house.start(house.publish(raw, **own), {"by": 0})
    waiting = Token.objects.filter(run__parent_run=run_id, state="W")
    wait_until(waiting.exists, 20, "the child to wait")
    return Run.objects.get(pk=run_id), Run.objects.get(parent_run=run_id)


def undone(house: House, run: Run, child: Run, **lines: str) -> None:
    """Both runs were undone, the child's before the parent's end."""
    run, child = house.end_of(run.pk), Run.objects.get(pk=child.pk)
    assert (run.state, child.state) == ("undone", "undone")
    assert (ledger(run), undone_order(child)) == (lines, ["x"])
    assert (leftovers(run.pk), leftovers(child.pk), list(breaches())) == ({}, {}, [])


def test_a_run_that_is_cancelled_with_undo_undoes_what_its_sub_workflow_did(house: House, at_work: None) -> None:
    run, child = started(house, document([undoable("a"), sub()], "a > sub"))
    cancel_with_undo(run.pk, house.actor)
    undone(house, run, child, sub="undone", a="undone")
    inner, outer = Run.objects.get(pk=child.pk).finished_at, Run.objects.get(pk=run.pk).finished_at
    assert inner is not None
    assert outer is not None
    assert inner < outer


def test_it_waits_for_what_is_at_work_there(house: House, sandbox: Sandbox, gate: Held) -> None:
    known = kinds(held=gate)
    work = {**undoable("work"), "kind": "held"}
    house.publish(document([undoable("x"), work], "x > work"), slug="child", kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke, grace=60):
        run_id = house.start(house.publish(document([undoable("a"), sub()], "a > sub")))
        gate.enter()
        cancel_with_undo(run_id, house.actor)
        child = Run.objects.filter(parent_run=run_id)
        wait_until(child.filter(state="undoing").exists, 20, "the undo to reach the child")
        assert not StepLog.objects.filter(node__lt=0, outcome="S").exists()
        gate.release.set()
        assert house.end_of(run_id).state == "undone"
    assert undone_order(child.get()) == ["work", "x"]
    assert undone_order(Run.objects.get(pk=run_id)) == ["sub", "a"]


def test_one_that_was_cancelled_before_does_so_too(house: House, at_work: None) -> None:
    run, child = started(house, document([undoable("a"), sub()], "a > sub"))
    cancel_run(run.pk, house.actor)
    assert house.end_of(run.pk).state == "cancelled"
    undo_run(run.pk, house.actor)
    undone(house, run, child, sub="undone", a="undone")


def test_the_undo_is_foreseen(house: House, at_work: None) -> None:
    run, _ = started(house, document([undoable("a"), sub()], "a > sub"))
    foreseen = foreseen_undo(house.actor, run.pk)
    assert [(line.key, str(line.state)) for line in foreseen.items] == [("sub", "waiting"), ("a", "waiting")]
    assert foreseen.counts == {"waiting": 2}


def test_a_sub_workflow_deep_down_is_undone(house: House, at_work: None) -> None:
    house.publish(document([step("inner", "sub_workflow", config={"workflow": "child"})]), slug="middle")
    publish_child(house)
    raw = document([step("sub", "sub_workflow", config={"workflow": "middle"})])
    run_id = house.start(house.publish(raw))
    wait_until(Token.objects.filter(run__depth=2, state="W").exists, 20, "the child to wait")
    middle, child = Run.objects.get(parent_run=run_id), Run.objects.get(depth=2)
    cancel_with_undo(run_id, house.actor)
    assert house.end_of(run_id).state == "undone"
    undone(house, middle, child, inner="undone")


BRANCHES = "gate > bad > z", "sub > z"
JOINS = {
    "a join that gives up": {"mode": "all", "on_branch_failure": "abort"},
    "a join that lets go of the late": {"mode": "any", "late": "cancel"},
}


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
def test_a_branch_that_a_join_cut_off_is_undone(
    house: House, sandbox: Sandbox, gate: Held, join: dict[str, Any]
) -> None:
    """Either the failed branch ends the run, or the run fails behind the join that wanted the sub-workflow no more."""
    known = kinds(held=gate)
    first = failing() if join["mode"] == "all" else step("bad")
    steps = [step("gate", "held"), first, sub(), step("z", "merge", join=join), failing("last")]
    with with_kinds(house, sandbox, known):
        run, child = started(house, document(steps, *BRANCHES, "z > last", **UNDO), kinds=known)
        gate.release.set()
        undone(house, run, child, sub="undone")


def test_an_item_that_a_failed_for_each_cut_off_is_undone(house: House, sandbox: Sandbox, gate: Held) -> None:
    known = kinds(held=gate)
    each = step("each", "for_each", config={"items": [0, 1], "parallel": 2})
    pick = {"mode": "exclusive", "cases": [{"port": "bad", "when": {"$": "index == 0"}}]}
    inside = [step("pick", "choose", parent="each", config=pick), step("gate", "held", parent="each")]
    inside += [failing("broken", parent="each"), sub(parent="each")]
    lines = "pick.bad > gate > broken", "pick.otherwise > sub"
    with with_kinds(house, sandbox, known):
        run, child = started(house, document([each, *inside], *lines, **UNDO), kinds=known)
        gate.release.set()
        undone(house, run, child, sub="undone")


@pytest.mark.parametrize("of", ["sub", "box"])
def test_what_a_time_out_cut_off_is_undone(house: House, at_work: None, of: str) -> None:
    inner = sub(parent="box", **({"timeout": "PT1S"} if of == "sub" else {}))
    box = step("box", "scope", **({"timeout": "PT1S"} if of == "box" else {}))
    run, child = started(house, document([box, inner], **UNDO))
    undone(house, run, child, sub="undone")


def test_a_sub_workflow_that_had_just_succeeded_is_undone(house: House, sandbox: Sandbox, gate: Held) -> None:
    """Nobody has taken its parent further yet."""
    known = kinds(held=gate)
    house.publish(document([undoable("x"), step("w", "held")], "x > w"), slug="child", kinds=known)
    version = house.publish(document([sub(queue="elsewhere")]), kinds=known)
    with with_kinds(house, sandbox, known):
        with worker_at_work(make_tools(sandbox, known), queues=("elsewhere",)):
            run_id = house.start(version)
            gate.enter(20)
        gate.release.set()
        wait_until(Token.objects.filter(run=run_id, state="R").exists, 20, "the step to be ready to go on")
        run, child = Run.objects.get(pk=run_id), Run.objects.get(parent_run=run_id)
        assert child.state == "succeeded"
        cancel_with_undo(run_id, house.actor)
        with worker_at_work(make_tools(sandbox, known), queues=("elsewhere",)):
            undone(house, run, child, sub="undone")


def test_one_that_never_began_is_not_needed(house: House, at_work: None) -> None:
    raw = document([step("sub", "sub_workflow", config={"workflow": "nowhere"})], **UNDO)
    run = house.end_of(house.start(house.publish(raw)))
    assert (run.state, ledger(run)) == ("undone", {"sub": "not_needed"})
