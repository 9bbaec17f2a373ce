"""What readers are told of a run while it is undone, stuck and undone: states, ledger, bars, history, changes."""

from typing import Any

import pytest

from orchestrator.core.errors import NotFound
from orchestrator.models import Run, StepLog, UndoItem
from orchestrator.queries.history import history
from orchestrator.queries.live import read_changes
from orchestrator.queries.runs import RunFilter, list_runs
from orchestrator.queries.step_detail import step_detail
from orchestrator.queries.step_runs import step_runs
from orchestrator.queries.timeline import spans_of
from orchestrator.queries.undo import UndoLine, foreseen_undo, undo_ledger_of
from orchestrator.services.control import cancel_run
from orchestrator.services.undo import cancel_with_undo, settle_undo
from tests.engine.drawings import document, step
from tests.engine.house import House, make_house
from tests.engine.test_undo import UNDO, ended, failing, undoable
from tests.waiting import wait_until


def states(run: Run) -> dict[str, str]:
    return {item.key: str(item.state) for item in step_runs(run).items}


def stuck_run(house: House) -> Run:
    steps = [undoable("a"), undoable("b", "1 // input.by"), step("plain"), failing()]
    return ended(house, document(steps, "a > b > plain > bad", **UNDO))


def lines(house: House, run: Run) -> dict[str, UndoLine]:
    return {line.key: line for line in undo_ledger_of(house.actor, run.pk, {}).items}


def settle(house: House, run: Run, how: Any, reason: str) -> Run:
    settle_undo(run.pk, UndoItem.objects.get(run=run, state="stuck").entry, how, house.actor, reason)
    return wait_for(run, "undone")


def wait_for(run: Run, state: str) -> Run:
    wait_until(lambda: Run.objects.get(pk=run.pk).state == state, 10, f"the run to be {state}")
    return Run.objects.get(pk=run.pk)


def test_steps_say_what_became_of_their_undo(house: House, at_work: None) -> None:
    run = stuck_run(house)
    assert states(run) == {"a": "succeeded", "b": "undo_failed", "plain": "succeeded", "bad": "failed"}
    b = next(item for item in step_runs(run).items if item.key == "b")
    assert (b.error_code, b.attempt, b.waiting) == ("expression_failed", 1, None)
    after = step_runs(run).seq
    run = settle(house, run, "by_hand", "called them")
    assert states(run) == {"a": "undone", "b": "undone", "plain": "succeeded", "bad": "failed"}
    frame: Any = read_changes(run, after)
    assert frame.state == "undone"
    assert {one["key"]: one["state"] for one in frame.changes} == states(run)


def test_a_change_of_the_ledger_is_told_as_a_change_of_its_step(house: House, at_work: None) -> None:
    run = stuck_run(house)
    Run.objects.filter(pk=run.pk).update(xid=0)  # nothing but the item changes
    after = step_runs(run).seq
    assert step_runs(run, after=after).items == ()
    UndoItem.objects.filter(run=run, state="stuck").update(state="skipped", xid=after)
    assert [(one.key, str(one.state)) for one in step_runs(run, after=after).items] == [("b", "succeeded")]


def test_the_ledger_names_what_is_stuck_and_who_waits_for_it(house: House, at_work: None) -> None:
    run = stuck_run(house)
    ledger = undo_ledger_of(house.actor, run.pk, {"limit": "1"})
    assert (ledger.run_state, ledger.written) == ("undo_stuck", True)
    assert {state: count for state, count in ledger.counts.items() if count} == {"stuck": 1, "waiting": 1}
    (stuck,) = ledger.stuck
    assert (stuck.key, stuck.attempts, stuck.undo) == ("b", 1, "transform")
    assert stuck.error is not None
    assert stuck.error["code"] == "expression_failed"
    rest = undo_ledger_of(house.actor, run.pk, {"limit": "1", "cursor": ledger.next or ""})
    assert [(line.key, line.awaits, line.waits_for) for line in rest.items] == [("a", 1, ("b",))]
    assert rest.stuck == ledger.stuck  # on every page


def test_the_ledger_keeps_who_settled_and_why(house: House, at_work: None) -> None:
    found = lines(house, settle(house, stuck_run(house), "skip", "no longer there"))
    assert (found["b"].state, found["b"].by, found["b"].reason) == ("skipped", "tester", "no longer there")
    assert (found["a"].state, found["a"].attempts, found["a"].by) == ("undone", 1, "")


def test_undo_attempts_are_bars_of_their_own(house: House, at_work: None) -> None:
    spans = spans_of(stuck_run(house)).items
    assert [(span.key, str(span.state)) for span in spans if span.kind == "undo"] == [("b", "undo_failed")]
    assert {span.key for span in spans if span.kind == "attempt"} == {"a", "b", "plain", "bad"}


def test_the_history_tells_undo_and_step_apart(house: House, at_work: None) -> None:
    run = settle(house, stuck_run(house), "skip", "no longer there")
    items = history(house.actor, run.pk, {}).items
    assert {(one.what, one.step) for one in items if one.undo} == {
        ("undo_failed", "b"),
        ("undo_skip", "b"),
        ("undone", "a"),
    }
    assert {(one.what, one.step) for one in items if one.kind == "attempt" and not one.undo} == {
        ("succeeded", "a"),
        ("succeeded", "b"),
        ("succeeded", "plain"),
        ("failed", "bad"),
    }
    assert "undo_started" in {one.what for one in items if one.kind == "run"}


def test_the_panel_of_a_step_shows_its_own_attempts_only(house: House, at_work: None) -> None:
    run = stuck_run(house)
    detail = step_detail(house.actor, run.pk, "b")
    assert [attempt.outcome for attempt in detail.attempts] == ["S"]
    assert detail.step is not None
    assert str(detail.step.state) == "undo_failed"


def test_it_says_beforehand_what_an_undo_would_come_to(house: House, at_work: None) -> None:
    run = ended(house, document([undoable("a"), undoable("b"), step("plain")], "a > b > plain"))
    foreseen = foreseen_undo(house.actor, run.pk)
    told = [(line.key, str(line.state), line.undo) for line in foreseen.items]
    assert told == [("b", "waiting", "transform"), ("a", "waiting", "transform")]
    assert foreseen.counts == {"waiting": 2}
    assert not UndoItem.objects.filter(run=run).exists()
    ledger = undo_ledger_of(house.actor, run.pk, {})
    assert (ledger.written, ledger.items, sum(ledger.counts.values())) == (False, (), 0)


def test_cancelling_with_undo_undoes_an_open_run(house: House, at_work: None) -> None:
    raw = document([undoable("a"), step("w", "delay", config={"for": "PT1H"})], "a > w")
    run_id = house.start(house.publish(raw))
    wait_until(lambda: StepLog.objects.filter(run_id=run_id, outcome="S").exists(), 10, "a to end")
    assert [line.key for line in foreseen_undo(house.actor, run_id).items] == ["a"]
    cancel_with_undo(run_id, house.actor, "asked twice")
    run = wait_for(Run.objects.get(pk=run_id), "undone")
    assert states(run) == {"a": "undone", "w": "cancelled"}


def test_items_of_a_for_each_are_told_one_by_one(house: House, at_work: None) -> None:
    steps = [step("each", "for_each", config={"items": [1, 2, 3]}), undoable("a", parent="each"), failing()]
    run = ended(house, document(steps, "each > bad", **UNDO))
    found = undo_ledger_of(house.actor, run.pk, {}).items
    assert [(line.key, line.state) for line in found] == [("a", "undone")] * 3
    assert len({line.scope for line in found}) == 3
    assert [str(item.state) for item in step_runs(run, key="a").items] == ["undone"] * 3


def test_the_history_says_which_item_a_person_has_settled(house: House, at_work: None) -> None:
    each = step("each", "for_each", config={"items": [1, 0, 2]})
    run = ended(house, document([each, undoable("a", "1 // item", parent="each"), failing()], "each > bad", **UNDO))
    item = UndoItem.objects.get(run=run, state="stuck")
    settle(house, run, "by_hand", "called them")
    (told,) = [one for one in history(house.actor, run.pk, {}).items if one.what == "undo_by_hand"]
    assert (told.step, told.scope, told.comment) == ("a", str(item.scope_id), "called them")


def test_runs_that_an_undo_ended_are_found_by_their_error(house: House, at_work: None) -> None:
    run = stuck_run(house)
    assert [one.pk for one in list_runs(house.actor, RunFilter(error="expression_failed"), {}).items] == [run.pk]


def test_the_ledger_of_another_workspace_is_not_there(house: House, at_work: None) -> None:
    run, stranger = stuck_run(house), make_house().actor
    with pytest.raises(NotFound):
        undo_ledger_of(stranger, run.pk, {})
    with pytest.raises(NotFound):
        foreseen_undo(stranger, run.pk)


def test_a_cancelled_run_has_no_ledger(house: House, at_work: None) -> None:
    run_id = house.start(house.publish(document([step("w", "delay", config={"for": "PT1H"})])))
    cancel_run(run_id, house.actor)
    ledger = undo_ledger_of(house.actor, house.end_of(run_id).pk, {})
    assert (ledger.written, ledger.items, ledger.stuck) == (False, (), ())
