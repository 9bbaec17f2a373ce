"""Undo by people: begin it for a run, and settle items of its ledger that are stuck."""

import json
from typing import Literal
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from orchestrator import audit
from orchestrator.core.actor import Actor
from orchestrator.core.errors import Conflict, InputInvalid, NotFound, RunAlreadyClosed
from orchestrator.core.states import FINAL_RUN, RunState
from orchestrator.core.undo import NEEDS_PERSON
from orchestrator.engine import dispatch, metrics, statements
from orchestrator.models import Run, UndoItem
from orchestrator.services.patience import patient

How = Literal["retry", "skip", "by_hand"]


_UNDONE_BEFORE: dict[str, str] = {
    RunState.UNDOING: "is being undone already. Its undo ledger says how far that is.",
    RunState.UNDONE: "is undone already: nothing is left to take back.",
    RunState.UNDO_STUCK: "is undone already but for what is stuck. Settle that in its undo ledger.",
}


class NotUndoable(Conflict):
    """In this state there is nothing to undo, or it is being undone already."""

    code = "not_undoable"


class UndoItemNotStuck(Conflict):
    """Only items that are stuck or unknown are settled by hand."""

    code = "undo_item_not_stuck"


@patient
def undo_run(run_id: UUID, actor: Actor, reason: str = "") -> RunState:
    """Undo what happened in a run, in reverse causal order. An open run is stopped first. The state reached so far.

    Raises NotFound, NotUndoable.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statements.LOCK_RUN, [run_id])
        run = _run(run_id, actor)
        if run.state in (RunState.UNDOING, RunState.UNDONE, RunState.UNDO_STUCK):
            raise NotUndoable(f"Run {run_id} {_UNDONE_BEFORE[run.state]}")
        detail = {"reason": reason} if reason else {}
        state = _begin(run, actor, json.dumps(detail))
        if state is None:
            raise NotUndoable(f'Run {run_id} is "{run.state}": there is nothing to undo.')
        audit.record(actor, "run.undo", target=f"run {run_id}", detail=detail or None)
        transaction.on_commit(lambda: _tell(run, []))
    return RunState(state)


def cancel_with_undo(run_id: UUID, actor: Actor, reason: str = "") -> RunState:
    """Stop an open run and undo what happened in it. Raises NotFound, NotUndoable, RunAlreadyClosed."""
    run = _run(run_id, actor)
    if run.state in FINAL_RUN:
        raise RunAlreadyClosed(f'Run {run_id} has already ended as "{run.state}". Undo it instead of cancelling it.')
    return undo_run(run_id, actor, reason)


def _begin(run: Run, actor: Actor, detail: str) -> str | None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statements.BEGIN_UNDO, [run.pk, "{}", actor.username, "undo_requested", detail])
            state: str | None = cursor.fetchone()[0]
    except IntegrityError as error:
        message = (
            f'Another run with the business key "{run.business_key}" is open. Wait for its end, then undo this one.'
        )
        raise NotUndoable(message) from error
    return state


@patient
def settle_undo(run_id: UUID, entry: int, how: How, actor: Actor, reason: str = "") -> None:
    """Try a stuck item of the ledger again, skip it, or note that it was done by hand. Others go on from there.

    Raises NotFound, InputInvalid (no reason given), UndoItemNotStuck, RunAlreadyClosed (to try again what belongs to a
    scope of a run that has ended).
    """
    if how != "retry" and not reason.strip():
        raise InputInvalid("Say why: the reason stays in the ledger.", code="reason_missing")
    with transaction.atomic():
        run = _run(run_id, actor)
        with connection.cursor() as cursor:
            cursor.execute(statements.SETTLE_UNDO, [run_id, entry, how, reason, actor.username])
            queues = cursor.fetchone()[0]
        if queues is None:
            _require_open(run, entry)
            raise UndoItemNotStuck("This item of the ledger is not stuck (any more). Read the ledger again.")
        audit.record(actor, f"run.undo_{how}", target=f"run {run_id}", detail={"entry": entry, "reason": reason})
        transaction.on_commit(lambda: _tell(run, queues))
    if how != "retry":
        metrics.UNDO_ITEMS.labels("skipped" if how == "skip" else how).inc()


def _require_open(run: Run, entry: int) -> None:
    """Nothing runs in a run that has ended: not even the undo of a scope that was stuck when it ended."""
    ended = run.state in FINAL_RUN and run.state != RunState.UNDO_STUCK
    if ended and UndoItem.objects.filter(run_id=run.pk, entry=entry, state__in=NEEDS_PERSON).exists():
        message = f'Run {run.pk} has ended as "{run.state}", so nothing is tried again in it.'
        raise RunAlreadyClosed(f"{message} Undo the whole run, or settle this step as skipped or done by hand.")


def _run(run_id: UUID, actor: Actor) -> Run:
    run = Run.objects.filter(pk=run_id, workspace_id=actor.workspace_id).first()
    if run is None:
        raise NotFound("There is no such run.")
    return run


def _tell(run: Run, queues: list[str]) -> None:
    for queue in queues:
        dispatch.wake(queue)
    dispatch.announce(run.workspace_id, run.pk, tasks=True)
