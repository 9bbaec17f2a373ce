"""How the token that a retry made for a container, or a sub-workflow step, stands where the old one stood."""

from datetime import UTC, datetime

from django.db.models.functions import Now

from orchestrator.core.document import SUB_WORKFLOW
from orchestrator.core.json_types import JsonObject
from orchestrator.core.plan import Plan
from orchestrator.core.states import AttemptOutcome, RunState, TokenState
from orchestrator.models import Run, StepLog, Token
from orchestrator.services.standing import XID, RunBusy, in_seconds, is_in_line
from orchestrator.services.time_limits import hold_time_limits


def park(run: Run, plan: Plan, token: Token, inner_scope: int | None, waiting: JsonObject) -> None:
    """Let a token wait as if its step had opened what it waits for: from now on, so also its time-out counts."""
    limit = plan.steps[token.node].limit
    clock: dict[str, object] = {}
    if limit is not None:
        waiting = {**waiting, "limit": limit}
        # One that is queued by a limit of runs begins to count once it is let go: `branchline_count_time`.
        clock = {} if is_in_line(run) else {"wake_at": in_seconds(limit), "first_started_at": Now()}
    _stand(token, inner_scope, waiting, state=TokenState.WAITING, **clock)
    token.state = TokenState.WAITING


#: The block of a for-each and the number of one of its items, which waits until another one ends.
#: Of a scope with a lock: its block and 0, until it is open.
Turn = tuple[int, int]


def wait_for_turn(
    token: Token, block: int, turn: int, *, kind: str = "limit", text: str = "Waiting for another item to end"
) -> None:
    """Let a token of a for-each's item, or a lane, wait until a lane before it has ended.

    `branchline_next_turn` lets it go on then, with what it had waited for before. The token may stand in the run of a
    sub-workflow that the item has started.
    """
    waiting = {
        "kind": kind,
        "text": text,
        "block": block,
        "turn": turn,
        "then": token.waiting,
        "since": datetime.now(UTC).isoformat(),
        "limits": hold_time_limits(token, block),
    }
    Token.objects.filter(pk=token.pk).update(state=TokenState.WAITING, waiting=waiting, xid=XID)
    token.state, token.waiting = TokenState.WAITING, waiting


def turn_of(token: Token) -> Turn | None:
    """Which turn a token waits for, if it does."""
    waiting = token.waiting or {}
    return (waiting["block"], waiting["turn"]) if "turn" in waiting else None


def go_on(token: Token, inner_scope: int | None, waiting: JsonObject, signal: JsonObject) -> None:
    """Let a ready token go on as if what it waited for had just ended so."""
    _stand(token, inner_scope, waiting, signal=signal)


def _stand(token: Token, inner_scope: int | None, waiting: JsonObject, **more: object) -> None:
    waiting = {**waiting, "since": datetime.now(UTC).isoformat()}
    Token.objects.filter(pk=token.pk).update(phase=1, inner_scope=inner_scope, waiting=waiting, xid=XID, **more)
    token.phase, token.waiting = 1, waiting


#: How a step ended that was taken away before its end.
CUT = (None, AttemptOutcome.CANCELLED)


def was_cut(token: Token) -> bool:
    """Whether the step was taken away before it ended: by what failed around it, not by itself."""
    return _last_outcome(token, token.generation) in CUT


def _last_outcome(token: Token, generation: int) -> str | None:
    rows = StepLog.objects.filter(
        run_id=token.run_id, node=token.node, scope_id=token.scope_id, generation=generation, final=True
    ).exclude(outcome=AttemptOutcome.REPEATED)
    return rows.order_by("-attempt").values_list("outcome", flat=True).first()


def _is_of(token: Token, child: Run) -> bool:
    """Whether a run of the step belongs to this time: it does not when the step was to be done again since."""
    if child.parent_generation == token.generation:
        return True
    before = child.parent_generation
    cut_before = before is not None and _last_outcome(token, before) == AttemptOutcome.CANCELLED
    return cut_before and _last_outcome(token, token.generation) is None


def is_child_step(plan: Plan, token: Token) -> bool:
    """Whether this token stands at a sub-workflow step."""
    return 0 <= token.node < len(plan.steps) and plan.steps[token.node].kind == SUB_WORKFLOW


def child_to_retry(run: Run, plan: Plan, token: Token) -> Run | None:
    """The run of a sub-workflow step that is to go on, and for which the step's new token now waits.

    None when there is none: it is begun anew, or it has succeeded and the token goes on with that. Raises RunBusy.
    """
    child = Run.objects.filter(parent_run_id=run.pk, parent_node=token.node, parent_scope=token.scope_id).last()
    if child is None or not _is_of(token, child):
        return None
    before = _last_outcome(token, token.generation)
    cut = before in CUT
    waiting: JsonObject = {
        "kind": "child",
        "text": f'Waiting for the run of "{plan.steps[token.node].name}"',
        "memo": None,
    }
    if cut and child.state == RunState.CANCELLING:
        raise RunBusy("A step of a sub-workflow is moving at this very moment. Try again.")
    if cut and child.state == RunState.SUCCEEDED:
        go_on(token, None, waiting, {"state": child.state, "run": str(child.pk)})
        Run.objects.filter(pk=child.pk).update(parent_generation=token.generation)
        return None
    # A step that ran out of its time failed by itself, and its run was cancelled for that.
    is_stopped = child.state == RunState.CANCELLED and before != AttemptOutcome.TIMEOUT
    if child.state != RunState.FAILED and not is_stopped:
        return None
    park(run, plan, token, None, waiting)
    place = {"parent_token": token.pk, "parent_epoch": token.epoch, "parent_generation": token.generation}
    Run.objects.filter(pk=child.pk).update(**place)
    return child
