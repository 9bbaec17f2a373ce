"""Undo of a scope that is cut short: nothing hangs, nothing runs in a run that has ended, and a person is told."""

from typing import Any

import pytest

from orchestrator.core.errors import RunAlreadyClosed
from orchestrator.engine import undo
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token, UndoItem
from orchestrator.models.workspace import Role
from orchestrator.queries.actors import actor_in
from orchestrator.queries.dashboard import dashboard, stuck_runs
from orchestrator.queries.fsck import breaches
from orchestrator.queries.gauges import gauges
from orchestrator.queries.runs import RunFilter, list_runs, run_views
from orchestrator.services.control import cancel_run, pause_run
from orchestrator.services.skip import skip_step
from orchestrator.services.undo import settle_undo, undo_run
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, leftovers, make_tools, worker_at_work
from tests.engine.rows import claim, finish, own_connection
from tests.engine.test_undo import failing, ledger, undoable, undone_order
from tests.scenarios.conftest import person
from tests.waiting import wait_until


def boxed(undo_of_b: str, *, a: dict[str, Any] | None = None) -> dict[str, Any]:
    """A scope that undoes b, then a, when what it holds fails."""
    box = step("box", "scope", config={"on_failure": "undo"})
    inside = [a or undoable("a", parent="box"), undoable("b", undo_of_b, parent="box"), failing("bad", parent="box")]
    return document([undoable("first"), box, *inside, step("n")], "first > box > n", "a > b > bad")


def stuck(house: House, **more: Any) -> Run:
    """A run that is open because the undo of b in its scope is stuck."""
    run_id = house.start(house.publish(boxed("1 // input.by", **more)), {"by": 0})
    wait_until(UndoItem.objects.filter(run_id=run_id, state="stuck").exists, 20, "the undo to be stuck")
    return Run.objects.get(pk=run_id)


def line(run: Run) -> int:
    return UndoItem.objects.get(run=run, state="stuck").entry


def test_the_scope_says_that_a_person_is_needed(house: House, at_work: None) -> None:
    run = stuck(house)
    assert waits_for(run) == "What happened inside could not all be undone: a person is needed"
    pause_run(run.pk, house.actor)  # so that what is tried again stays under way
    settle_undo(run.pk, line(run), "retry", house.actor)
    assert waits_for(run) == "Undoing what happened inside"


def waits_for(run: Run) -> Any:
    waiting = Token.objects.get(run=run, node__gte=0).waiting
    return waiting and waiting["text"]


def test_it_is_counted_and_found_while_its_run_is_open(house: House, at_work: None) -> None:
    run = stuck(house)
    assert Run.objects.filter(pk=run.pk, state="running").exists()
    actor = actor_in(house.workspace.slug, person(house, "olga", Role.OPERATOR))
    assert actor is not None
    assert (dashboard(actor).undo_stuck, [view.id for view in stuck_runs(actor)]) == (1, [run.pk])
    found = run_views(list_runs(actor, RunFilter(states=("undo_stuck",)), {}).items)
    assert [(view.id, view.state, view.undo_stuck) for view in found] == [(run.pk, "running", True)]
    assert [(gauge.count) for gauge in gauges(15.0) if gauge.what == "undo_stuck"] == [1]
    settle_undo(run.pk, line(run), "skip", house.actor, "not needed")
    assert house.end_of(run.pk).state == "failed"
    assert (dashboard(actor).undo_stuck, stuck_runs(actor)) == (0, [])
    assert [(gauge.count) for gauge in gauges(15.0) if gauge.what == "undo_stuck"] == [0]


@pytest.fixture
def cancelled(house: House, at_work: None) -> Run:
    run = stuck(house)
    cancel_run(run.pk, house.actor)
    assert house.end_of(run.pk).state == "cancelled"
    return run


def test_nothing_is_tried_again_in_a_run_that_has_ended(house: House, cancelled: Run) -> None:
    with pytest.raises(RunAlreadyClosed, match="Undo the whole run"):
        settle_undo(cancelled.pk, line(cancelled), "retry", house.actor)
    assert ledger(cancelled) == {"b": "stuck", "a": "waiting"}
    assert leftovers(cancelled.pk) == {}
    assert list(breaches()) == []


def test_what_a_settled_line_releases_there_waits_for_a_person_too(house: House, cancelled: Run) -> None:
    settle_undo(cancelled.pk, line(cancelled), "by_hand", house.actor, "by phone")
    assert ledger(cancelled) == {"b": "by_hand", "a": "stuck"}
    settle_undo(cancelled.pk, line(cancelled), "skip", house.actor, "not needed")
    assert ledger(cancelled) == {"b": "by_hand", "a": "skipped"}
    assert leftovers(cancelled.pk) == {}
    assert list(breaches()) == []


def test_the_undo_of_the_run_goes_on_with_it(house: House, cancelled: Run) -> None:
    settle_undo(cancelled.pk, line(cancelled), "by_hand", house.actor, "by phone")
    undo_run(cancelled.pk, house.actor)
    run = house.end_of(cancelled.pk)
    assert (run.state, undone_order(run)) == ("undone", ["a", "first"])
    assert list(breaches()) == []


def test_an_undo_whose_turn_has_come_is_nobodys_once_its_run_is_cancelled(house: House, at_work: None) -> None:
    run = stuck(house)
    pause_run(run.pk, house.actor)
    settle_undo(run.pk, line(run), "retry", house.actor)
    assert ledger(run) == {"b": "running", "a": "waiting"}
    cancel_run(run.pk, house.actor)
    assert house.end_of(run.pk).state == "cancelled"
    assert ledger(run) == {"b": "stuck", "a": "waiting"}
    assert list(breaches()) == []


def test_what_is_undone_while_its_run_is_cancelled_counts(house: House, sandbox: Sandbox) -> None:
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        run = stuck(house)
    settle_undo(run.pk, line(run), "retry", house.actor)
    (lease,) = claim(1)
    with own_connection() as other, other.transaction():
        # Somebody holds the scope's token at this moment: the cancellation leaves it, and what is inside, for later.
        other.execute("SELECT 1 FROM orchestrator_token WHERE run_id = %s AND node >= 0 FOR UPDATE", (run.pk,))
        cancel_run(run.pk, house.actor)
    assert finish(1, lease) == "cancelled"
    assert ledger(run) == {"b": "undone", "a": "running"}
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        assert house.end_of(run.pk).state == "cancelled"
    assert ledger(run) == {"b": "undone", "a": "stuck"}
    assert list(breaches()) == []


def test_skipping_the_scope_leaves_the_line_to_a_person(house: House, at_work: None) -> None:
    run = stuck(house)
    skip_step(run.pk, "box", house.actor, "enough")
    assert house.end_of(run.pk).state == "succeeded"
    assert ledger(run) == {"b": "stuck", "a": "waiting"}
    with pytest.raises(RunAlreadyClosed):
        settle_undo(run.pk, line(run), "retry", house.actor)
    assert not StepLog.objects.filter(run=run, node__lt=0, outcome="S").exists()
    assert list(breaches()) == []


def test_the_undo_of_the_run_waits_for_a_scopes_line_that_is_stuck(house: House, at_work: None) -> None:
    run = stuck(house)
    undo_run(run.pk, house.actor)
    assert house.end_of(run.pk).state == "undo_stuck"
    assert ledger(run) == {"b": "stuck", "a": "waiting", "first": "waiting"}
    settle_undo(run.pk, line(run), "skip", house.actor, "not needed")
    wait_until(Run.objects.filter(pk=run.pk, state="undone").exists, 20, "the rest to be undone")
    assert undone_order(run) == ["a", "first"]
    assert list(breaches()) == []


def test_a_line_that_is_settled_while_the_ledger_is_written_holds_up_nobody(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        run = stuck(house, a=step("a", parent="box"))
        told = undo._items

        def settled_meanwhile(*arguments: Any) -> Any:
            found = told(*arguments)
            settle_undo(run.pk, line(run), "by_hand", house.actor, "by phone")
            return found

        monkeypatch.setattr(undo, "_items", settled_meanwhile)
        undo_run(run.pk, house.actor)
        wait_until(Run.objects.filter(pk=run.pk, state="undone").exists, 20, "the rest to be undone")
    assert undone_order(run) == ["first"]
    assert list(breaches()) == []
