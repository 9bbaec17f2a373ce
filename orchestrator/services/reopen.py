"""An operator lets a run go on: retry what failed, or repeat a step and everything behind it.

Each is one transaction under the run's exclusive lock: rows, record and audit entry together, wake-ups after commit.
Of two operators at once one wins; the other finds nothing left to do and is told so.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from orchestrator import audit
from orchestrator.core.actor import Actor
from orchestrator.core.errors import Conflict, NotFound
from orchestrator.core.json_types import JsonObject
from orchestrator.core.plan import Plan
from orchestrator.core.replay import Replayed, unhandled
from orchestrator.core.states import FINAL_RUN, RunState, TokenState
from orchestrator.engine import dispatch, statements
from orchestrator.models import Run, RunRecord, Token, Version
from orchestrator.services.deadlines import database_time
from orchestrator.services.inside import open_inside
from orchestrator.services.parked import Turn, child_to_retry, is_child_step, turn_of, wait_for_turn
from orchestrator.services.patience import patiently
from orchestrator.services.plans import plan_of
from orchestrator.services.run_above import has_failed, require_own
from orchestrator.services.run_limit import NewerRunOpen, require_not_replaced
from orchestrator.services.runs import BusinessKeyOpen, settle_limit
from orchestrator.services.standing import XID, RunBusy, Scope


class RunNotFailed(Conflict):
    """Nothing in this run has failed, or somebody else has just retried it."""

    code = "run_not_failed"


class StepNotFailed(Conflict):
    """This step has not failed, or somebody else has just retried it."""

    code = "step_not_failed"


class StepInside(Conflict):
    """A step inside a container stands in several places, or what happened inside was undone."""

    code = "step_inside_container"


class RunNotRepeatable(Conflict):
    """A run in this state cannot go on."""

    code = "run_not_repeatable"


@dataclass(slots=True)
class Opened:
    """A run in our hands: locked, its plan, its root scope."""

    run: Run
    plan: Plan
    scope: Scope


def retry_run(run_id: UUID, actor: Actor, reason: str = "") -> RunState:
    """Try again what failed, under the same idempotency keys and with a fresh retry budget.

    Raises NotFound, RunNotFailed, RunNotRepeatable, RunOfSubWorkflow, BusinessKeyOpen, NewerRunOpen, RunBusy.
    """

    def change() -> RunState:
        with opened(run_id, actor) as it:
            return retry_locked(it, actor, roots_of_run(it), {"reason": reason} if reason else {})

    return patiently(change)


def roots_of_run(it: Opened) -> frozenset[int]:
    """The steps that a retry of the run begins with; none where only its end failed. Raises RunNotFailed."""
    roots = failed_steps(it.scope)
    if not roots and not has_failed(it.run):
        raise RunNotFailed(f'Run {it.run.pk} is "{it.run.state}" and no step of it has failed.')
    return roots


def root_of_step(it: Opened, key: str) -> frozenset[int]:
    """The one step that is retried alone. Raises NotFound, StepInside, StepNotFailed."""
    node = node_of(it.plan, it.run.pk, key)
    if node not in failed_steps(it.scope) and not cut_short(it.scope, node):
        title = it.plan.steps[node].title
        raise StepNotFailed(f"Step {title} has no failure that stands. Only a failed step can be retried.")
    return frozenset({node})


def standing_without(it: Opened, roots: frozenset[int]) -> Replayed:
    """Where control stands when these steps are forgotten. Raises RunNotFailed where that lets nothing go on."""
    standing = it.scope.replayed(without=roots)
    if not standing.holds:
        message = "No step of it failed: a join can no longer get the branches it needs. Re-run from a step before it."
        raise RunNotFailed(f"Run {it.run.pk} cannot be retried. {message}")
    return standing


def failed_steps(scope: Scope) -> frozenset[int]:
    """The steps whose failure nobody took and no join has swallowed."""
    return unhandled(scope.plan, scope.ports(), scope.replayed())


def cut_short(scope: Scope, node: int) -> bool:
    """Whether control stood at this step when its run was ended around it."""
    recorded = scope.recorded.get(node)
    return has_failed(scope.run) and recorded is not None and recorded.attempt > 0 and not recorded.counts


def retry_locked(
    it: Opened, actor: Actor, roots: frozenset[int], detail: JsonObject, turn: Turn | None = None
) -> RunState:
    """Try these steps again in a run that we hold. Raises RunNotFailed, BusinessKeyOpen, RunBusy."""
    scope, generation = it.scope, it.run.generation
    standing = standing_without(it, roots)
    # A path that only a failure had opened may be taken once more: what was done there gets a new key.
    forgotten = scope.forgotten(standing)
    if forgotten:
        generation += 1
        kept = standing.counted | standing.blocked | roots
        scope.renew(forgotten | {gate for gate in scope.drawn_gates() if gate not in kept})
    reopen(it, generation)
    made = _inside(it, actor, scope.rewrite(standing, generation, again=()), turn)
    retried = [it.plan.steps[token.node].key for token in made if token.node < it.plan.end]
    return finish(it, actor, "retried", {"steps": retried, **detail}, made)


def _inside(it: Opened, actor: Actor, made: Collection[Token], turn: Turn | None) -> list[Token]:
    """Containers and sub-workflows among the steps to retry go on where they stood inside.

    `turn`: of the item of a for-each that this run works for, when others come first: nothing may begin before that.
    """
    return go_on_below(it, actor, [token for one in made for token in open_inside(it.run, it.plan, one)], turn)


def go_on_below(
    it: Opened,
    actor: Actor,
    found: list[Token],
    turn: Turn | None = None,
    *,
    anew: Collection[int] = (),
    retries: bool = True,
) -> list[Token]:
    """The runs of sub-workflows among these tokens go on, too, but not where the step begins `anew`.

    `retries`: what failed in them is tried again; else only what was cut short goes on.
    """
    for token in found:
        if token.pk in anew:
            continue
        if is_child_step(it.plan, token) and token.phase == 0:
            _retry_child(it, actor, token, turn_of(token) or turn, retries=retries)
    # A run that its own limit has queued holds its tokens: that is let go by who ends there.
    ready = [token for token in found if token.state == TokenState.READY]
    if turn is not None:
        for token in ready:
            wait_for_turn(token, *turn)
    return found


def _retry_child(it: Opened, actor: Actor, token: Token, turn: Turn | None, *, retries: bool) -> None:
    child = child_to_retry(it.run, it.plan, token)
    if child is not None:
        with locked(child.pk, actor) as inner:
            roots = failed_steps(inner.scope) if retries else frozenset()
            if not inner.scope.replayed(without=roots).holds:
                roots = failed_steps(inner.scope)  # it had failed, and was stopped before it could say so
            retry_locked(inner, actor, roots, {"by_run": str(it.run.pk)}, turn)
    elif turn is not None and turn_of(token) is None and token.state != TokenState.HELD:
        wait_for_turn(token, *turn)  # its run has succeeded: it goes on with that


@contextmanager
def opened(run_id: UUID, actor: Actor) -> Iterator[Opened]:
    """The run that an operator changes, locked. Raises NotFound, RunNotRepeatable, RunOfSubWorkflow."""
    takes_up = partial(_takes_up, actor, run_id)
    # Before any lock, and again from here where it has ended since: to look takes the lock of the run at the top.
    for run in Run.objects.filter(pk=run_id, workspace_id=actor.workspace_id):
        require_own(run, takes_up)
    with locked(run_id, actor) as it:
        if it.run.parent_run_id is not None and it.run.state in FINAL_RUN:
            raise RunBusy("This run has ended at this very moment. Try again.")
        yield it


def _takes_up(actor: Actor, run_id: UUID, top: Run) -> bool:
    """Whether a retry of that run, which is tried and taken back, lets this one go on."""
    with transaction.atomic():
        try:
            with locked(top.pk, actor) as it:
                retry_locked(it, actor, roots_of_run(it), {})
        except RunNotFailed:
            found = False
        except (BusinessKeyOpen, NewerRunOpen):
            found = True  # later, as the refusal of the retry says
        else:
            found = not Run.objects.filter(pk=run_id, state__in=FINAL_RUN).exists()
        transaction.set_rollback(True)
    return found


@contextmanager
def locked(run_id: UUID, actor: Actor) -> Iterator[Opened]:
    """The run, locked against everything that moves tokens. Raises NotFound, RunNotRepeatable."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statements.LOCK_RUN, [run_id])
        run = Run.objects.select_for_update().filter(pk=run_id, workspace_id=actor.workspace_id).first()
        if run is None:
            raise NotFound("There is no such run.")
        if run.state in {RunState.CANCELLING, RunState.UNDOING, RunState.UNDONE, RunState.UNDO_STUCK}:
            raise RunNotRepeatable(f'Run {run_id} is "{run.state}": nothing in it can run again now.')
        plan = plan_of(Version.objects.get(pk=run.version_id))
        yield Opened(run, plan, Scope(run, plan))


def node_of(plan: Plan, run_id: UUID, key: str) -> int:
    """The number of a step on the run's top level. Raises NotFound, StepInside."""
    if key not in plan.node_of:
        raise NotFound(f'Run {run_id} has no step "{key[:63]}".')
    parent = plan.steps[plan.node_of[key]].parent
    if parent is not None:
        step, around = plan.steps[plan.node_of[key]], plan.steps[parent].title
        raise StepInside(f"Step {step.title} stands inside {around} and has no run of its own. Choose {around}.")
    return plan.node_of[key]


def any_node_of(it: Opened, key: str) -> int:
    """The number of a step at any depth. Raises NotFound."""
    if key not in it.plan.node_of:
        raise NotFound(f'Run {it.run.pk} has no step "{key[:63]}".')
    return it.plan.node_of[key]


def reopen(it: Opened, generation: int) -> None:
    """Take a closed run back into the open ones; an open one keeps its state. Raises BusinessKeyOpen, NewerRunOpen."""
    run = it.run
    require_not_replaced(run, run.concurrency_key)
    changes: dict[str, Any] = {"generation": generation}
    if run.state in FINAL_RUN:
        run.state, run.control = RunState.RUNNING, "-"
        changes |= {"state": run.state, "control": "-", "closing": None, "finished_at": None, "error": None}
        changes |= {"output": None, "output_ref": None}
        if run.concurrency_key is not None:
            # It had given its slot away: it waits for one like a new run.
            run.queued = changes["queued"] = True
            settle = partial(settle_limit, run.workflow_id, run.concurrency_key)
            transaction.on_commit(settle, robust=True)  # what fails there the keeper does
    elif run.control == "C":
        run.control = "P"
        changes |= {"control": run.control, "closing": None}
    if run.deadline_at is not None and run.deadline_at <= (now := database_time()):
        # One that was given at the start has been used up.
        own = it.plan.deadline
        changes["deadline_at"] = None if own is None else now + timedelta(seconds=own)
    try:
        with transaction.atomic():
            Run.objects.filter(pk=run.pk).update(**changes, xid=XID)
    except IntegrityError:
        message = f'Another run with business key "{run.business_key}" is open. Wait for its end or cancel it.'
        raise BusinessKeyOpen(message) from None
    run.generation = generation


def finish(it: Opened, actor: Actor, kind: str, detail: JsonObject, made: Collection[Token]) -> RunState:
    """Write the record and the audit entry; tell workers and sockets after commit."""
    run = it.run
    RunRecord.objects.create(run_id=run.pk, kind=kind, actor=actor.username, detail=dict(detail), xid=XID)
    audit.record(actor, f"run.{kind}", target=f"run {run.pk}", detail=detail)
    queues = {token.queue for token in made if token.state == "R"}

    def tell() -> None:
        for queue in queues:
            dispatch.wake(queue, len(made))
        dispatch.announce(run.workspace_id, run.pk, tasks=True)

    transaction.on_commit(tell)
    return RunState(run.state)
