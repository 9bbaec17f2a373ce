"""What follows each answer to a human task, or the event that a step waits for, as far as it is known when it parks.

The decision or the event then ends the step in its own transaction, without a worker (docs/decisions/0052).
"""

from typing import Any

from orchestrator.core.document import DEFAULT_PORT
from orchestrator.core.json_text import check_json
from orchestrator.core.json_types import Json
from orchestrator.core.outcome import Awaited, Done, TaskForm
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
    return _follows(plan, lease, [str(outcome["key"]) for outcome in form.outcomes], config)


def follows_event(plan: Plan, lease: Lease, awaited: Awaited, config: Json) -> dict[str, Any]:
    """The same for a step that takes the first event that comes."""
    return _follows(plan, lease, [DEFAULT_PORT], config) if awaited.is_first else {}


def _follows(plan: Plan, lease: Lease, ports: list[str], config: Json) -> dict[str, Any]:
    if lease.node < 0:
        return {}
    shown = {"inp": config} if plan.step(lease.node).has_expressions else {}
    if shown and len(check_json(config)) > INLINE:
        return {}
    known = {port: _after(plan, lease.node, port) for port in ports}
    by_outcome = {key: shown | item for key, item in known.items() if item is not None}
    if not by_outcome:
        return {}
    return {"follows": {"version": lease.run.version_id, "node": lease.node, "by_outcome": by_outcome}}


def _after(plan: Plan, node: int, port: str) -> dict[str, Any] | None:
    settled = settle(plan, node, Done(None, ports=(port,)), FIRST)
    if settled.run_ends is not None or may_cancel(plan, settled):
        return None
    return {"ports": [port], **follow(plan, settled)}
