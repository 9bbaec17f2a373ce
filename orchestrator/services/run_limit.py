"""A run that is repeated with another input, or by another version, falls under the limit of that one."""

from typing import Any

from orchestrator.core.errors import Conflict
from orchestrator.core.json_types import Json
from orchestrator.core.plan import Plan
from orchestrator.core.states import FINAL_RUN, RunState
from orchestrator.engine.limits import limit_fields
from orchestrator.engine.sandbox import own_sandbox
from orchestrator.models import Payload, Run


class LimitDiffers(Conflict):
    """An open run would fall under another limit: it may be at work and cannot change the line it stands in."""

    code = "limit_differs"


class NewerRunOpen(Conflict):
    """Newer runs have replaced this one: they would replace it again as soon as it were open."""

    code = "newer_run_open"


def require_not_replaced(run: Run, key: str | None) -> None:
    """See that newer runs under this key of its limit leave room for it, where they replace. Raises NewerRunOpen."""
    if key is None or run.state not in FINAL_RUN:
        return
    newer = Run.objects.filter(
        workflow_id=run.workflow_id, concurrency_key=key, state__in=(RunState.RUNNING, RunState.PAUSED), pk__gt=run.pk
    ).order_by("-pk")
    newest = newer.first()
    if newest is not None and newest.replaces and newer.count() >= (newest.concurrency_limit or 0):
        message = f"Run {run.pk} has been replaced by a newer run of its workflow that is open, run {newest.pk}."
        raise NewerRunOpen(f"{message} Wait for its end or cancel it.", details={"run": str(newest.pk)})


def changed_limit(run: Run, plan: Plan, value: Json) -> dict[str, Any]:
    """The columns of the limit that this plan has for this input. Raises LimitDiffers, ExpressionFailed (its key)."""
    fields = limit_fields(plan.concurrency, value, own_sandbox())
    key = fields.get("concurrency_key")
    if run.state not in FINAL_RUN:
        if key != run.concurrency_key:
            message = f"Run {run.pk} is open, and would fall under another limit of open runs than it does now. "
            raise LimitDiffers(f"{message}Cancel it first, then re-run it, or start a new run.")
        return {}
    return {
        "concurrency_key": key,
        "concurrency_limit": fields.get("concurrency_limit"),
        "replaces": fields.get("on_limit") == "replace",
        # It may have ended in the line of its former limit. `reopen` puts it into that of the new one.
        "queued": False,
    }


def change_limit(run: Run, plan: Plan, value: Json) -> None:
    """The limit that this plan has for this input is the run's from now on. Raises as `changed_limit`."""
    changes = changed_limit(run, plan, value)
    if changes:
        Run.objects.filter(pk=run.pk).update(**changes)
        run.concurrency_key, run.queued = changes["concurrency_key"], False


def input_of(run: Run) -> Json:
    """The run's whole input, wherever it is kept."""
    if run.input_ref is None:
        return run.input
    body: Json = Payload.objects.values_list("body", flat=True).get(pk=run.input_ref)
    return body
