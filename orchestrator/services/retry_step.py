"""Retry of one failed step: on the top level, or where it failed inside containers, which are opened again for it."""

from uuid import UUID

from orchestrator.core.actor import Actor
from orchestrator.core.json_types import JsonObject
from orchestrator.core.states import RunState
from orchestrator.engine.lease import LANE
from orchestrator.models import Token
from orchestrator.services.inside import open_inside
from orchestrator.services.patience import patiently
from orchestrator.services.reopen import (
    Opened,
    StepNotFailed,
    any_node_of,
    finish,
    go_on_below,
    opened,
    retry_locked,
    root_of_step,
)
from orchestrator.services.skip_inside import FailedInside, StepNotOpen, failed_inside, go_on_inside


def retry_step(run_id: UUID, key: str, actor: Actor, reason: str = "", *, scope: int | None = None) -> RunState:
    """Try one failed step again, under its old key; others that failed stay as they are.

    Inside a container its item, turn or scope goes on from there; `scope` says which, where it failed in several.
    Raises as `retry_run`, and StepNotFailed, StepInside, StepRunning.
    """

    def change() -> RunState:
        with opened(run_id, actor) as it:
            failed = failed_step(it, any_node_of(it, key), scope)
            detail: JsonObject = {"step": key, **({"reason": reason} if reason else {})}
            if failed is None:
                return retry_locked(it, actor, root_of_step(it, key), detail)
            return _retry_inside(it, actor, failed, detail)

    return patiently(change)


def failed_step(it: Opened, node: int, scope: int | None) -> FailedInside | None:
    """Where it failed inside containers; None for a step of the top level.

    Raises StepNotFailed, StepInside, StepRunning.
    """
    step = it.plan.steps[node]
    if step.parent is None:
        if scope:
            raise StepNotFailed(f"Step {step.title} stands in no scope. Leave it out.")
        return None
    try:
        failed = failed_inside(it, node, scope)
    except StepNotOpen as refused:
        raise StepNotFailed(refused.message) from None
    if Token.objects.filter(run_id=it.run.pk, node=node, scope_id=failed.way[-1].inner).exclude(phase=LANE).exists():
        raise StepNotFailed(f"Step {step.title} has been let go on there: it waits, is ready or at work.")
    return failed


def _retry_inside(it: Opened, actor: Actor, failed: FailedInside, detail: JsonObject) -> RunState:
    tried: list[Token] = []

    def try_again(token: Token) -> list[Token]:
        tried.extend(open_inside(it.run, it.plan, token))
        return tried

    inner = failed.way[-1].inner
    try:
        made = go_on_inside(it, actor, failed, try_again)
    except StepNotOpen as refused:  # a container on the way has failed by another step, or its failure was taken
        raise StepNotFailed(refused.message) from None
    go_on_below(it, actor, tried)
    steps = [it.plan.steps[failed.node].key]
    return finish(it, actor, "retried", {"steps": steps, **detail, "scope": str(inner)}, made)
