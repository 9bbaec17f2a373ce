"""What follows each answer to a human task, as far as that is known when it is opened.

A decision then ends the step in its own transaction, without a worker (docs/decisions/0052).
"""

from typing import Any

from orchestrator.core.json_text import check_json
from orchestrator.core.json_types import Json
from orchestrator.core.outcome import Done, TaskForm
from orchestrator.core.plan import Plan
from orchestrator.core.settle import Tries, may_cancel, settle
from orchestrator.engine.items import follow
from orchestrator.engine.lease import Lease
from orchestrator.engine.values import INLINE

FIRST = Tries(attempt=1, spent=0.0, draw=0.0)  # a step that succeeds is not tried again


def follows_of(plan: Plan, lease: Lease, form: TaskForm, config: Json) -> dict[str, Any]:
    """What `branchline_open_task` keeps: by outcome, the part of an item of `branchline_advance` no answer changes.

    Nothing, or not all outcomes, where a worker is needed: this is the run's only end, others may be cancelled, or the
    evaluated config is too large to be kept with the task.
    """
    if lease.node < 0:
        return {}
    shown = {"inp": config} if plan.step(lease.node).has_expressions else {}
    if shown and len(check_json(config)) > INLINE:
        return {}
    known = {str(outcome["key"]): _after(plan, lease.node, str(outcome["key"])) for outcome in form.outcomes}
    by_outcome = {key: shown | item for key, item in known.items() if item is not None}
    if not by_outcome:
        return {}
    return {"follows": {"version": lease.run.version_id, "node": lease.node, "by_outcome": by_outcome}}


def _after(plan: Plan, node: int, outcome: str) -> dict[str, Any] | None:
    settled = settle(plan, node, Done(None, ports=(outcome,)), FIRST)
    if settled.run_ends is not None or may_cancel(plan, settled):
        return None
    return {"ports": [outcome], **follow(plan, settled)}
