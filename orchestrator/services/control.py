"""Control of whole runs: each change is one transaction under the run's exclusive lock."""

import json
from functools import partial
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from orchestrator import audit
from orchestrator.core.actor import Actor
from orchestrator.core.errors import Conflict, NotFound, RunAlreadyClosed
from orchestrator.core.json_types import JsonObject
from orchestrator.core.states import FINAL_RUN, RunState
from orchestrator.engine import dispatch, statements
from orchestrator.models import Run, RunRecord
from orchestrator.services.patience import patient
from orchestrator.services.standing import XID


class RunEnding(Conflict):
    """The run is being cancelled or undone: that goes on to its end."""

    code = "run_ending"


class RunPaused(Conflict):
    """The run is paused already, perhaps by somebody else just now."""

    code = "run_paused"


class RunNotPaused(Conflict):
    """The run is not paused, or somebody else has just resumed it."""

    code = "run_not_paused"


@patient
def cancel_run(run_id: UUID, actor: Actor, reason: str = "", *, hard: bool = False) -> RunState:
    """Let nothing more start; what runs hears of it and has ten seconds. The state reached so far is returned.

    `hard`: take the steps that run away at once, whatever they are doing, those of sub-workflows too.
    Raises NotFound, RunAlreadyClosed, RunEnding, RunBusy.
    """
    with transaction.atomic():
        state = _change(
            run_id, actor, control="C", closing={"state": RunState.CANCELLED}, kind="cancel_requested", reason=reason
        )
        if not hard or state != RunState.CANCELLING:
            return state
        detail = {"reason": reason} if reason else {}
        # Its own line: the first call may have been somebody else's, who would have waited.
        RunRecord.objects.create(run_id=run_id, kind="stopped_hard", actor=actor.username, detail=detail, xid=XID)
        with connection.cursor() as cursor:
            cursor.execute(statements.STOP_NOW, [run_id])
        _tell_released(run_id)
        audit.record(actor, "run.cancelled_hard", target=f"run {run_id}", detail=detail or None)
        return RunState(_state_now(run_id))


@patient
def pause_run(run_id: UUID, actor: Actor, reason: str = "") -> RunState:
    """Let steps that run end, and hold what follows.

    Raises NotFound, RunAlreadyClosed, RunEnding, RunPaused, RunBusy.
    """
    return _change(run_id, actor, control="P", closing=None, kind="paused", reason=reason)


@patient
def resume_run(run_id: UUID, actor: Actor, reason: str = "") -> RunState:
    """Go on where the run was paused. Raises NotFound, RunAlreadyClosed, RunEnding, RunNotPaused, RunBusy."""
    return _change(run_id, actor, control="-", closing=None, kind="resumed", reason=reason)


@patient
def fail_overdue_run(run_id: UUID) -> None:
    """Fail a run whose deadline has passed: it stops like a cancelled one, or is undone. Nothing when it is closed, or
    when an operator has just let it go on with a new deadline.
    """
    error = {"code": "deadline", "message": "The run's deadline passed before its end."}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statements.FAIL_OVERDUE, [run_id, json.dumps(error)])


def _change(
    run_id: UUID, actor: Actor, *, control: str, closing: JsonObject | None, kind: str, reason: str
) -> RunState:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statements.LOCK_RUN, [run_id])
        run = _controllable(run_id, actor, control)
        state = _set_control(run_id, control, closing, actor.username, kind, {"reason": reason} if reason else {})
        assert state is not None, "the run is locked and was open just now"
        audit.record(actor, f"run.{kind}", target=f"run {run_id}", detail={"reason": reason} if reason else None)
        queues = _resumed(run_id) if control == "-" else _released(run)
        transaction.on_commit(lambda: _tell(run, queues))
    return RunState(state)


def _controllable(run_id: UUID, actor: Actor, control: str) -> Run:
    """A run that can be cancelled (C), paused (P) or resumed (-).

    Raises NotFound, RunAlreadyClosed, RunEnding, RunPaused, RunNotPaused.
    """
    run = Run.objects.filter(pk=run_id, workspace_id=actor.workspace_id).first()
    if run is None:
        raise NotFound("There is no such run.")
    if run.state in FINAL_RUN:
        raise RunAlreadyClosed(f'Run {run_id} has already ended as "{run.state}".')
    if run.state == RunState.UNDOING:
        raise RunEnding(f"Run {run_id} is being undone, and that goes on. Settle what is stuck in its undo ledger.")
    if run.state == RunState.CANCELLING and control != "C":
        raise RunEnding(f"Run {run_id} is being cancelled, so it is neither paused nor resumed. Wait for its end.")
    if run.state == RunState.PAUSED and control == "P":
        raise RunPaused(f"Run {run_id} is paused already. Resume it, or cancel it.")
    if run.state != RunState.PAUSED and control == "-":
        raise RunNotPaused(f'Run {run_id} is "{run.state}", not paused: there is nothing to resume.')
    return run


def _resumed(run_id: UUID) -> list[str]:
    """Give free slots to who is in line with this run or its sub-workflows; the queues where something is ready."""
    with connection.cursor() as cursor:
        cursor.execute(statements.RESUMED, [run_id])
        return sorted(set(cursor.fetchone()[0]))


def _released(run: Run) -> list[str]:
    """The queues of a run that gets the slot of one that has ended right now."""
    if run.concurrency_key is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(statements.RELEASED, [run.workflow_id, run.concurrency_key])
        return list(cursor.fetchone()[0])


def _tell_released(run_id: UUID) -> None:
    """Wake whoever gets a slot of this run, or of one of its sub-workflows, that has ended right now."""
    family = Run.objects.filter(Q(pk=run_id) | Q(root_run_id=run_id) | Q(parent_run_id=run_id), xid=XID)
    for run in family.exclude(finished_at=None).exclude(concurrency_key=None):
        transaction.on_commit(partial(_tell, run, _released(run)))


def _state_now(run_id: UUID) -> str:
    return Run.objects.values_list("state", flat=True).get(pk=run_id)


def _set_control(
    run_id: UUID, control: str, closing: JsonObject | None, actor: str, kind: str, detail: JsonObject
) -> str | None:
    closing_text = None if closing is None else json.dumps(closing)
    with connection.cursor() as cursor:
        cursor.execute(statements.SET_CONTROL, [run_id, control, closing_text, actor, kind, json.dumps(detail)])
        row = cursor.fetchone()
    return None if row is None else row[0]


def _tell(run: Run, queues: list[str]) -> None:
    for queue in queues:
        dispatch.wake(queue)
    dispatch.announce(run.workspace_id, run.pk, tasks=True)
