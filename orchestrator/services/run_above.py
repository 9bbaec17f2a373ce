"""The run of a sub-workflow that has ended goes on with the run above it, never alone (docs/decisions/0047)."""

from collections.abc import Callable

from orchestrator.core.errors import Conflict
from orchestrator.core.plan import Plan
from orchestrator.core.states import FINAL_RUN, RunState
from orchestrator.models import Run, Version
from orchestrator.services.plans import plan_of


class RunOfSubWorkflow(Conflict):
    """An ended run that a step of another run had started: nobody waits for it. `details.top`: which one goes on."""

    code = "run_of_sub_workflow"


def require_own(run: Run, takes_up: Callable[[Run], bool]) -> None:
    """Nothing for a run that no other has started, or that is still open. Raises RunOfSubWorkflow.

    `takes_up`: whether a retry of the run at the top would let this one go on.
    """
    if run.parent_run_id is None or run.state not in FINAL_RUN:
        return
    top, below = _top_of(run)
    message = f"Run {run.pk} was started by run {top.pk} and has ended: it does not go on alone. "
    raise RunOfSubWorkflow(message + _way_out(run, top, below, takes_up), details={"top": str(top.pk)})


def _way_out(run: Run, top: Run, below: Run, takes_up: Callable[[Run], bool]) -> str:
    if top.state in UNDOING:
        return f'Run {top.pk} is "{top.state}", so nothing in it is done again: start a new run.'
    anew = f"e-run step {_step_at(top, below)} of run {top.pk}; it starts this workflow anew."
    if top.state == RunState.CANCELLING:
        return f"Wait until run {top.pk} is cancelled, then r{anew}"
    if has_failed(top) and run.state != RunState.SUCCEEDED and takes_up(top):
        return f"Retry run {top.pk}; it goes on from where this one failed."
    return f"R{anew}"


UNDOING = {RunState.UNDOING, RunState.UNDONE, RunState.UNDO_STUCK}


def has_failed(run: Run) -> bool:
    """Whether the run itself has failed, perhaps while it was paused: then its undo is held."""
    return run.state == RunState.FAILED or (run.state == RunState.PAUSED and run.control == "C")


def _top_of(run: Run) -> tuple[Run, Run]:
    """The run at the top, and the one that it started itself on the way down to this one."""
    above, below = run, run
    while above.parent_run_id is not None:
        above, below = Run.objects.get(pk=above.parent_run_id), above
    return above, below


def _step_at(top: Run, below: Run) -> str:
    """The step on the top level of the drawing that holds the sub-workflow."""
    plan = plan_of(Version.objects.get(pk=top.version_id))
    assert below.parent_node is not None, "it was started by a step"
    return plan.steps[outermost(plan, below.parent_node)].title


def outermost(plan: Plan, node: int) -> int:
    """The step of the top level that holds this one; itself when it stands there."""
    parent = plan.steps[node].parent
    return node if parent is None else outermost(plan, parent)
