"""Undo: what happened is undone, latest first, branches at once; what is stuck is shown and settled."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.db.models.functions import Now

from orchestrator.core.outcome import Done, Outcome, Retry, StepFault
from orchestrator.core.plan_json import plan_from_json
from orchestrator.core.settle import Tries, settle
from orchestrator.core.states import FINAL_RUN
from orchestrator.engine import statements, undo
from orchestrator.engine.items import build_item
from orchestrator.engine.lease import Lease
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, RunRecord, StepLog, Token, UndoItem
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run, fail_overdue_run
from orchestrator.services.skip import skip_step
from orchestrator.services.undo import NotUndoable, UndoItemNotStuck, settle_undo, undo_run
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, leftovers, make_tools, worker_at_work
from tests.engine.kinds import Told, kinds
from tests.engine.rows import beat, claim, rows, take_over
from tests.waiting import wait_until


def undoable(key: str, expression: str = "output", **more: Any) -> dict[str, Any]:
    return step(key, undo={"kind": "transform", "config": {"value": {"$": expression}}}, **more)


def failing(key: str = "bad", **more: Any) -> dict[str, Any]:
    return step(key, config={"value": {"$": "1 // input.by"}}, **more)


UNDO = {"settings": {"on_failure": "undo"}}


def ledger(run: Run) -> dict[str, str]:
    keys = run.version.plan["keys"]
    return {keys[item.node]: item.state for item in UndoItem.objects.filter(run=run).order_by("position")}


def undone_order(run: Run) -> list[str]:
    """Keys in the order in which their undo ended."""
    keys = run.version.plan["keys"]
    rows = StepLog.objects.filter(run=run, node__lt=0, outcome="S").order_by("entry").values_list("node", flat=True)
    return [keys[-1 - node] for node in rows]


def ended(house: House, raw: dict[str, Any], value: Any = None) -> Run:
    run = house.end_of(house.start(house.publish(raw), {"by": 0} if value is None else value))
    assert leftovers(run.pk) == {}
    return run


def test_a_failed_run_is_undone_in_reverse_order(house: House, at_work: None) -> None:
    raw = document([undoable("a"), undoable("b"), undoable("c"), failing()], "a > b > c > bad", **UNDO)
    run = ended(house, raw)
    assert run.state == "undone"
    assert run.error is not None
    assert run.error["code"] == "expression_failed"
    assert undone_order(run) == ["c", "b", "a"]
    assert ledger(run) == {"c": "undone", "b": "undone", "a": "undone"}


def test_an_undo_reads_what_its_step_gave(house: House, at_work: None) -> None:
    a = undoable("a", "f'{output}-{input.by}-{steps.first}'", config={"value": {"$": "'x'"}})
    run = ended(house, document([step("first"), a, failing()], "first > a > bad", **UNDO))
    assert StepLog.objects.get(run=run, node=-2).output == "x-0-first"


def test_a_run_without_the_setting_only_fails(house: House, at_work: None) -> None:
    run = ended(house, document([undoable("a"), failing()], "a > bad"))
    assert run.state == "failed"
    assert ledger(run) == {}


def test_branches_are_undone_before_what_they_came_from(house: House, at_work: None) -> None:
    raw = document(
        [undoable("a"), undoable("b"), undoable("c"), undoable("d"), failing()],
        "a > b > d",
        "a > c > d",
        "d > bad",
        **UNDO,
    )
    run = ended(house, raw)
    order = undone_order(run)
    assert (order[0], order[-1], set(order)) == ("d", "a", {"a", "b", "c", "d"})


def test_what_did_not_happen_is_not_undone(house: House, at_work: None) -> None:
    choose = {"cases": [{"port": "left", "when": {"$": "True"}}]}
    raw = document(
        [step("pick", "choose", config=choose), undoable("a"), undoable("b"), failing()],
        "pick.left > a > bad",
        "pick.otherwise > b",
        **UNDO,
    )
    assert ledger(ended(house, raw)) == {"a": "undone"}


def test_a_finished_run_is_undone_on_demand(house: House, at_work: None) -> None:
    run = ended(house, document([undoable("a"), undoable("b")], "a > b"))
    assert run.state == "succeeded"
    assert undo_run(run.pk, house.actor, "a mistake") == "undoing"
    run = house.end_of(run.pk)
    assert (run.state, undone_order(run), run.output) == ("undone", ["b", "a"], "b")
    with pytest.raises(NotUndoable, match="nothing is left to take back"):
        undo_run(run.pk, house.actor)


def test_an_open_run_is_stopped_and_undone(house: House, at_work: None) -> None:
    raw = document([undoable("a"), step("w", "delay", config={"for": "PT1H"}), undoable("never")], "a > w > never")
    run_id = house.start(house.publish(raw))
    wait_until(lambda: StepLog.objects.filter(run_id=run_id, outcome="S").exists(), 10, "a to end")
    undo_run(run_id, house.actor)
    run = house.end_of(run_id)
    assert (run.state, ledger(run)) == ("undone", {"a": "undone"})
    assert leftovers(run_id) == {}


def test_a_cancelled_run_can_be_undone_afterwards(house: House, at_work: None) -> None:
    raw = document([undoable("a"), step("w", "delay", config={"for": "PT1H"})], "a > w")
    run_id = house.start(house.publish(raw))
    wait_until(lambda: StepLog.objects.filter(run_id=run_id, outcome="S").exists(), 10, "a to end")
    cancel_run(run_id, house.actor)
    assert house.end_of(run_id).state == "cancelled"
    undo_run(run_id, house.actor)
    assert house.end_of(run_id).state == "undone"


@pytest.mark.parametrize(
    ("how", "reason", "state"), [("skip", "no longer there", "skipped"), ("by_hand", "called them", "by_hand")]
)
def test_a_stuck_undo_is_settled_by_a_person(house: House, at_work: None, how: Any, reason: str, state: str) -> None:
    raw = document([undoable("a"), undoable("b", "1 // input.by"), failing()], "a > b > bad", **UNDO)
    run = ended(house, raw)
    assert run.state == "undo_stuck"
    assert ledger(run) == {"b": "stuck", "a": "waiting"}
    item = UndoItem.objects.get(run=run, state="stuck")
    assert item.error is not None
    assert item.error["code"] == "expression_failed"
    settle_undo(run.pk, item.entry, how, house.actor, reason)
    wait_until(lambda: Run.objects.get(pk=run.pk).state == "undone", 10, "the rest to be undone")
    assert ledger(run) == {"b": state, "a": "undone"}
    with pytest.raises(UndoItemNotStuck):
        settle_undo(run.pk, item.entry, how, house.actor, reason)
    assert RunRecord.objects.filter(run=run, kind=f"undo_{how}", actor="tester").count() == 1


@pytest.mark.parametrize(("tolerant", "state", "line"), [(False, "undo_stuck", "unknown"), (True, "undone", "undone")])
def test_an_attempt_that_nobody_knows_the_end_of_is_undone_if_its_undo_bears_that(
    house: House, sandbox: Sandbox, tolerant: bool, state: str, line: str
) -> None:
    a = undoable("a", "1")
    a["undo"]["tolerant"] = tolerant
    run_id = house.start(house.publish(document([a])))
    assert len(claim(99)) == 1  # by a session without a row: it is dead
    take_over()
    assert StepLog.objects.get(run_id=run_id).outcome == "U"
    undo_run(run_id, house.actor)
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        run = house.end_of(run_id)
    assert (run.state, ledger(run)) == (state, {"a": line})


def test_a_run_whose_worker_died_while_ending_it_can_be_undone(house: House, sandbox: Sandbox) -> None:
    """Ending the run is nobody's step: its loss leaves no row that an undo could stumble over."""
    version = house.publish(document([undoable("a"), undoable("b")]))
    run_id = house.start(version)
    plan = plan_from_json(version.plan)
    for row in claim(1, 2):
        lease = Lease.from_row(row)
        settled = settle(plan, lease.node, Done(None), Tries(attempt=1, spent=0.0, draw=0.5))
        rows(statements.ADVANCE, 1, json.dumps([build_item(plan, lease, settled, config=None, log=[])]))
    (last,) = [*Token.objects.filter(run_id=run_id, state="L"), *claim(1)][:1]
    take_over()
    assert not StepLog.objects.filter(run_id=run_id, outcome="U").exists(), last
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        assert house.end_of(run_id).state == "succeeded"
        undo_run(run_id, house.actor)
        wait_until(Run.objects.filter(pk=run_id, state="undone").exists, 20, "the run to be undone")


def test_a_ledger_that_cannot_be_told_keeps_no_other_waiting(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = house.publish(document([undoable("a")]))
    with worker_at_work(make_tools(sandbox)) as house.worker:
        broken, sound = [house.end_of(house.start(version)).pk for _ in range(2)]
    tell = undo._items

    def told(connection: Any, plan_of: Any, run_id: UUID, boundary: int) -> Any:
        if run_id == broken:
            raise IndexError("a row of no step")
        return tell(connection, plan_of, run_id, boundary)

    monkeypatch.setattr(undo, "_items", told)
    for run_id in (broken, sound):
        undo_run(run_id, house.actor)
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        wait_until(Run.objects.filter(pk=sound, state="undone").exists, 20, "the other run to be undone")
    assert Run.objects.get(pk=broken).state == "undoing"


def test_a_stuck_undo_is_tried_again(house: House, at_work: None) -> None:
    raw = document([undoable("a"), undoable("b", "1 // input.by"), failing()], "a > b > bad", **UNDO)
    run = ended(house, raw)
    Run.objects.filter(pk=run.pk).update(input={"by": 1})
    settle_undo(run.pk, UndoItem.objects.get(run=run, state="stuck").entry, "retry", house.actor)
    wait_until(lambda: Run.objects.get(pk=run.pk).state == "undone", 10, "the rest to be undone")
    assert undone_order(run) == ["b", "a"]


def test_a_scope_is_undone_alone(house: House, at_work: None) -> None:
    raw = document(
        [
            undoable("before"),
            step("box", "scope", config={"on_failure": "undo"}),
            undoable("a", parent="box"),
            failing("bad", parent="box"),
            step("rescue", config={"value": {"$": "errors.box.code"}}),
        ],
        "before > box",
        "a > bad",
        "box.error > rescue",
    )
    run = ended(house, raw)
    assert run.state == "succeeded"
    assert ledger(run) == {"a": "undone"}


def test_items_and_turns_are_undone_one_by_one(house: House, at_work: None) -> None:
    raw = document(
        [
            undoable("first"),
            step("each", "for_each", config={"items": [1, 2, 3]}),
            undoable("a", parent="each", config={"value": {"$": "item"}}),
            undoable("b", parent="each"),
            failing(),
        ],
        "first > each > bad",
        "a > b",
        **UNDO,
    )
    run = ended(house, raw)
    order = undone_order(run)
    assert order[-1] == "first"
    assert sorted(order[:-1]) == ["a"] * 3 + ["b"] * 3
    outputs = StepLog.objects.filter(run=run, node=-1 - run.version.plan["keys"].index("a")).values_list(
        "output", flat=True
    )
    assert set(outputs) == {1, 2, 3}


def test_a_sub_workflow_is_undone_with_its_parent(house: House, at_work: None) -> None:
    house.publish(document([undoable("x"), undoable("y")], "x > y"), slug="child")
    raw = document(
        [undoable("a"), step("sub", "sub_workflow", config={"workflow": "child"}), failing()], "a > sub > bad", **UNDO
    )
    run = ended(house, raw)
    assert (run.state, ledger(run)) == ("undone", {"sub": "undone", "a": "undone"})
    child = Run.objects.get(parent_run=run)
    assert (child.state, undone_order(child)) == ("undone", ["y", "x"])


def test_a_step_that_an_operator_skipped_is_not_undone(house: House, at_work: None) -> None:
    charge = undoable("charge", config={"value": {"$": "1 // input.by"}})
    run = ended(house, document([undoable("a"), charge, undoable("b")], "a > charge > b"), {"by": 0})
    skip_step(run.pk, "charge", house.actor, output={"paid": True})
    assert house.end_of(run.pk).state == "succeeded"
    undo_run(run.pk, house.actor)
    run = house.end_of(run.pk)
    assert (run.state, ledger(run)) == ("undone", {"b": "undone", "charge": "not_needed", "a": "undone"})


def test_a_skipped_step_that_may_have_acted_before_is_undone_if_its_undo_bears_that(
    house: House, sandbox: Sandbox
) -> None:
    careful, bold = undoable("careful", "1"), undoable("bold", "1")
    bold["undo"]["tolerant"] = True
    run_id = house.start(house.publish(document([careful, bold])))
    assert len(claim(99, 2)) == 2  # by a session without a row: it is dead
    take_over()
    for key in ("careful", "bold"):
        skip_step(run_id, key, house.actor)
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        assert house.end_of(run_id).state == "succeeded"
        undo_run(run_id, house.actor)
        run = house.end_of(run_id)
    assert (run.state, ledger(run)) == ("undo_stuck", {"careful": "unknown", "bold": "undone"})


def test_a_scope_that_ran_out_of_time_is_undone_and_goes_on_by_its_timeout(house: House, at_work: None) -> None:
    box = step("box", "scope", config={"on_failure": "undo"}, timeout="PT0.3S")
    inside = [undoable("a", parent="box"), step("long", "delay", config={"for": "PT1H"}, parent="box")]
    raw = document([box, *inside, step("late")], "a > long", "box.timeout > late")
    run = ended(house, raw)
    keys = run.version.plan["keys"]
    outcomes = {keys[row.node]: row.outcome for row in StepLog.objects.filter(run=run, node__gte=0, final=True)}
    assert run.state == "succeeded", run.error
    assert outcomes == {"a": "S", "long": "K", "box": "T", "late": "S"}
    assert ledger(run) == {"a": "undone"}


def test_an_undo_that_a_person_tries_again_has_a_fresh_budget(house: House, sandbox: Sandbox) -> None:
    """Three attempts fail in passing; of the next three one fails so, too."""
    seen: list[str] = []

    def answer(context: Any) -> Outcome:
        seen.append(context.idempotency_key)
        return Done(None) if len(seen) == 5 else Retry(StepFault(code="busy", message="Busy."), after=0.0)

    own = kinds(told=Told(answer))
    a = step("a", undo={"kind": "told", "config": {}})
    with worker_at_work(make_tools(sandbox, own)) as house.worker, keeper_at_work(house.worker.poke):
        run = house.end_of(
            house.start(house.publish(document([a, failing()], "a > bad", **UNDO), kinds=own), {"by": 0})
        )
        assert (run.state, len(seen)) == ("undo_stuck", 3)
        settle_undo(run.pk, UndoItem.objects.get(run=run).entry, "retry", house.actor)
        wait_until(lambda: Run.objects.get(pk=run.pk).state in FINAL_RUN, 20, "the undo to end")
    assert (Run.objects.get(pk=run.pk).state, len(seen)) == ("undone", 5)
    assert seen[0].startswith("undo:")
    assert len({*seen}) == 1


def test_a_skipped_step_that_was_cut_off_before_may_have_acted(house: House, sandbox: Sandbox) -> None:
    careful, last = undoable("careful"), undoable("last")
    run_id = house.start(house.publish(document([careful, last], "careful > last", settings={"deadline": "PT1H"})))
    beat(99)
    assert len(claim(99)) == 1
    Run.objects.filter(pk=run_id).update(deadline_at=Now())
    fail_overdue_run(run_id)
    rows("SELECT branchline_stop_cancelled(0, 100)")
    assert (Run.objects.get(pk=run_id).state, StepLog.objects.get(run_id=run_id).outcome) == ("failed", "K")
    skip_step(run_id, "careful", house.actor)
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        assert house.end_of(run_id).state == "succeeded"
        undo_run(run_id, house.actor)
        run = house.end_of(run_id)
    assert (run.state, ledger(run)) == ("undo_stuck", {"last": "undone", "careful": "unknown"})


def test_a_run_that_its_deadline_fails_is_undone(house: House, at_work: None) -> None:
    settings = {"on_failure": "undo", "deadline": "PT0.3S"}
    form = {"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}]}
    asked = step("asked", "human_task", config=form)
    raw = document([undoable("a"), step("long", "delay", config={"for": "PT1H"}), asked], "a > long", settings=settings)
    run = ended(house, raw)
    assert (run.state, ledger(run)) == ("undone", {"a": "undone"})
    assert run.error == {"code": "deadline", "message": "The run's deadline passed before its end."}
    kinds = list(RunRecord.objects.filter(run=run).order_by("id").values_list("kind", flat=True))
    assert kinds == ["started", "deadline_passed", "undo_started", "undone"]
    assert list(breaches()) == []
