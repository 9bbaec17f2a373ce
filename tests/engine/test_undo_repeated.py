"""Undo of steps that were done more than once: each time with what it gave and could read then, the latest first."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from orchestrator.core.outcome import Done
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token, UndoItem
from orchestrator.queries.fsck import breaches
from orchestrator.services.reopen import retry_run
from orchestrator.services.rerun import rerun_step
from orchestrator.services.skip import skip_step
from orchestrator.services.undo import settle_undo, undo_run
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers, make_tools, worker_at_work
from tests.engine.kinds import Held, Told, kinds
from tests.engine.switched import Switch, again, at_work, ended, fails, told
from tests.engine.test_undo import undoable, undone_order
from tests.waiting import wait_until


def one_after_another(*given: Any) -> Callable[[Any], Done]:
    """Each attempt gives the next of these."""
    rest = iter(given)
    return lambda context: Done(next(rest))


def with_undo(key: str, expression: str = "output", **more: Any) -> dict[str, Any]:
    return {**undoable(key, expression, **more), "kind": "told", "config": {}}


def sub(**more: Any) -> dict[str, Any]:
    return step("sub", "sub_workflow", config={"workflow": "child"}, **more)


def undone(house: House, run_id: UUID) -> Run:
    again(house, lambda: undo_run(run_id, house.actor))
    run = house.end_of(run_id)
    assert (run.state, leftovers(run_id), list(breaches())) == ("undone", {}, [])
    return run


def given_back(run: Run, node: int) -> list[Any]:
    """What the undo of a step was told, in the order in which it ended."""
    rows = StepLog.objects.filter(run=run, node=-1 - node, outcome="S").order_by("entry")
    return list(rows.values_list("output", flat=True))


def test_each_time_is_undone_with_what_it_gave(house: House, sandbox: Sandbox) -> None:
    switch = Switch(reserve=one_after_another("A", "B", "C"))
    known = kinds(told=Told(switch))
    version = house.publish(document([with_undo("reserve"), step("last")], "reserve > last"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        for _ in range(2):
            ended(house, run_id, "succeeded")
            again(house, lambda: rerun_step(run_id, "reserve", house.actor))
        ended(house, run_id, "succeeded")
        assert given_back(undone(house, run_id), 0) == ["C", "B", "A"]


def test_what_was_to_be_done_again_and_was_not_takes_nothing_from_it(house: House, sandbox: Sandbox) -> None:
    switch = Switch(reserve=one_after_another("A"))
    known = kinds(told=Told(switch))
    version = house.publish(document([told("first"), with_undo("reserve")], "first > reserve"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "succeeded")
        switch.answers["first"] = fails
        again(house, lambda: rerun_step(run_id, "first", house.actor))
        ended(house, run_id, "failed")
        assert given_back(undone(house, run_id), 1) == ["A"]


def test_an_undo_reads_what_its_step_could_read(house: House, sandbox: Sandbox) -> None:
    switch = Switch(price=one_after_another(10, 20))
    known = kinds(told=Told(switch))
    reserve = with_undo("reserve", "[steps.price, input.by]")
    version = house.publish(document([told("price"), reserve], "price > reserve"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version, {"by": "me"})
        ended(house, run_id, "succeeded")
        again(house, lambda: rerun_step(run_id, "price", house.actor, input={"by": "you"}))
        ended(house, run_id, "succeeded")
        assert given_back(undone(house, run_id), 1) == [[20, "you"], [10, "me"]]


def children(run_id: UUID) -> list[Run]:
    return list(Run.objects.filter(parent_run=run_id).order_by("id"))


def children_undone(run_id: UUID) -> list[tuple[str, list[str]]]:
    return [(child.state, undone_order(child)) for child in children(run_id)]


def test_the_runs_of_a_repeated_sub_workflow_are_all_undone(house: House, sandbox: Sandbox) -> None:
    house.publish(document([undoable("x")]), slug="child")
    with at_work(house, sandbox, kinds()):
        run_id = house.start(house.publish(document([sub()])))
        ended(house, run_id, "succeeded")
        again(house, lambda: rerun_step(run_id, "sub", house.actor))
        ended(house, run_id, "succeeded")
        undone(house, run_id)
    assert children_undone(run_id) == [("undone", ["x"])] * 2
    first, second = (child.finished_at for child in children(run_id))
    assert first is not None
    assert second is not None
    assert second < first
    assert UndoItem.objects.filter(run=run_id, state="undone").count() == 2


def timed_out_twice(house: House, undo: str = "output") -> UUID:
    """A run whose sub-workflow step was retried after a time-out: it has had two runs, both cut off."""
    child = [undoable("x", undo), step("w", "delay", config={"for": "PT1H"})]
    house.publish(document(child, "x > w"), slug="child")
    run_id = house.start(house.publish(document([sub(timeout="PT1S")]), kinds=kinds()))
    ended(house, run_id, "failed")
    again(house, lambda: retry_run(run_id, house.actor))
    ended(house, run_id, "failed")
    for cut in children(run_id):
        assert house.end_of(cut.pk).state == "cancelled"
    return run_id


def test_the_runs_of_a_retried_sub_workflow_are_all_undone(house: House, sandbox: Sandbox) -> None:
    with at_work(house, sandbox, kinds()):
        run_id = timed_out_twice(house)
        undone(house, run_id)
    assert children_undone(run_id) == [("undone", ["x"])] * 2
    assert UndoItem.objects.get(run=run_id).state == "undone"


def test_one_of_them_that_is_stuck_keeps_the_line_stuck(house: House, sandbox: Sandbox) -> None:
    with at_work(house, sandbox, kinds()):
        run_id = timed_out_twice(house, "1 // 0")
        again(house, lambda: undo_run(run_id, house.actor))
        for child in reversed(children(run_id)):
            assert house.end_of(run_id).state == "undo_stuck"
            line = UndoItem.objects.get(run=run_id)
            assert line.error is not None
            assert line.error["details"] == {"run": str(child.pk)}
            settle_undo(child.pk, UndoItem.objects.get(run=child).entry, "by_hand", house.actor, "by phone")
            assert house.end_of(child.pk).state == "undone"
            again(house, lambda: settle_undo(run_id, line.entry, "retry", house.actor))  # noqa: B023
        wait_until(Run.objects.filter(pk=run_id, state="undone").exists, 20, "the run to be undone")
    assert list(breaches()) == []


def test_a_retry_does_not_take_the_run_of_an_earlier_time_for_its_own(house: House, sandbox: Sandbox) -> None:
    """The sub-workflow was to run again, and had not begun to when the run failed beside it."""
    gate, switch = Held(listens=False), Switch(bad=fails)
    known = kinds(held=gate, told=Told(switch))
    house.publish(document([undoable("x")]), slug="child")
    join = {"mode": "all", "on_branch_failure": "abort"}
    steps = [step("gate", "held"), told("bad"), sub(queue="elsewhere"), step("z", "merge", join=join)]
    version = house.publish(document(steps, "gate > bad > z", "sub > z"), kinds=known)
    with at_work(house, sandbox, known):
        with worker_at_work(make_tools(sandbox, known), queues=("elsewhere",)):
            run_id = house.start(version)
            gate.enter()
            wait_until(StepLog.objects.filter(run=run_id, outcome="S").exists, 20, "the sub-workflow to end")
        again(house, lambda: rerun_step(run_id, "sub", house.actor))
        gate.release.set()
        ended(house, run_id, "failed")
        switch.answers.clear()
        again(house, lambda: retry_run(run_id, house.actor))
        with worker_at_work(make_tools(sandbox, known), queues=("elsewhere",)):
            ended(house, run_id, "succeeded")
    assert [child.state for child in children(run_id)] == ["succeeded"] * 2


def test_a_run_that_was_cut_off_goes_on_in_a_newer_generation_of_its_step(house: House, sandbox: Sandbox) -> None:
    """A path that only the failure had opened makes the generation a newer one; the run below goes on all the same."""
    gate, switch = Held(listens=False), Switch(bad=fails)
    known = kinds(held=gate, told=Told(switch))
    slow = step("w", "delay", config={"for": {"$": "input.wait"}})
    house.publish(document([undoable("x"), slow], "x > w"), slug="child")
    both, abort = {"mode": "all", "on_branch_failure": "finish"}, {"mode": "all", "on_branch_failure": "abort"}
    called = step("sub", "sub_workflow", config={"workflow": "child", "input": {"wait": "PT10M"}}, join={"mode": "all"})
    steps = [told("a"), told("b"), called, step("gate", "held"), told("bad"), told("meet", join=both), told("tidy")]
    lines = "a > sub", "b > sub", "gate > bad > meet", "a > meet", "meet.error > tidy", "bad > z", "sub > z"
    version = house.publish(document([*steps, told("z", join=abort)], *lines), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        wait_until(Token.objects.filter(run__parent_run=run_id, state="W").exists, 20, "the child to wait")
        gate.release.set()
        ended(house, run_id, "failed")
        (child,) = children(run_id)
        assert house.end_of(child.pk).state == "cancelled"
        Run.objects.filter(pk=child.pk).update(input={"wait": "PT0.1S"})
        switch.answers.clear()
        again(house, lambda: retry_run(run_id, house.actor))
        assert ended(house, run_id, "succeeded").generation == 1
        undone(house, run_id)
    assert children_undone(run_id) == [("undone", ["x"])]


def test_turns_are_undone_one_after_the_other(house: House, sandbox: Sandbox) -> None:
    known = kinds(told=Told(Switch()))
    loop = step("loop", "repeat", config={"turns": 3, "until": {"$": "turn == 3"}})
    steps = [loop, undoable("a", parent="loop"), undoable("b", parent="loop")]
    version = house.publish(document([undoable("first"), *steps], "first > loop"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "succeeded")
        run = undone(house, run_id)
    rows = StepLog.objects.filter(run=run, node__lt=0, scope_id__gt=0, outcome="S").order_by("entry")
    assert [row.scope_id % 131_072 for row in rows] == [3, 3, 2, 2, 1, 1]
    assert undone_order(run)[-1] == "first"


def test_what_lay_behind_is_undone_after_what_was_done_again(house: House, sandbox: Sandbox) -> None:
    """The second time ends at its first step: what the first time had reached is undone next, not beside it."""
    switch = Switch(b=one_after_another("old"))
    known = kinds(told=Told(switch))
    version = house.publish(document([with_undo("a"), with_undo("b")], "a > b"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "succeeded")
        switch.answers["b"] = fails
        again(house, lambda: rerun_step(run_id, "a", house.actor))
        ended(house, run_id, "failed")
        assert undone_order(undone(house, run_id)) == ["a", "b", "a"]


def test_what_was_done_again_in_an_item_is_undone_first_and_each_time_once(house: House, sandbox: Sandbox) -> None:
    """first > each(a > b) > last: a of the second item is done again; all of before is undone after that."""
    switch = Switch()
    known = kinds(told=Told(switch))
    each = step("each", "for_each", config={"items": [0, 1]})
    inside = [with_undo(key, parent="each") for key in ("a", "b")]
    steps = [with_undo("first"), each, with_undo("last"), *inside]
    version = house.publish(document(steps, "first > each > last", "a > b"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "succeeded")
        place = StepLog.objects.filter(run_id=run_id, node=3).order_by("scope_id")[1].scope_id
        again(house, lambda: rerun_step(run_id, "a", house.actor, scope=place))
        ended(house, run_id, "succeeded")
        run = undone(house, run_id)
    rows = StepLog.objects.filter(run=run, node__lt=0, outcome="S").order_by("entry")
    order = [
        (-1 - node, scope == place, generation)
        for node, scope, generation in rows.values_list("node", "scope_id", "generation")
    ]
    assert order[:4] == [(2, False, 1), (4, True, 1), (3, True, 1), (2, False, 0)]
    assert order[-1] == (0, False, 0)
    assert sorted(order[4:-1]) == [(3, False, 0), (3, True, 0), (4, False, 0), (4, True, 0)]


def test_a_skip_inside_leaves_an_order_to_undo_in(house: House, sandbox: Sandbox) -> None:
    """Nobody did what was skipped; what follows in the item is undone before what was there before."""
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    steps = [with_undo("first"), step("box", "scope"), with_undo("last")]
    steps += [with_undo(key, parent="box") for key in "abc"]
    version = house.publish(document(steps, "first > box > last", "a > b > c"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
        again(house, lambda: skip_step(run_id, "b", house.actor, output=1))
        ended(house, run_id, "succeeded")
        assert undone_order(undone(house, run_id)) == ["last", "c", "a", "first"]
