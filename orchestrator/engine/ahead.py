"""Beginning the next step before the commit of the one before it: only where nobody is harmed when it runs again.

While PostgreSQL flushes the end of step k, the slot already runs step k+1. A crash may then repeat k+1 on another
result of k; so k+1 must be a step without effects, and what it gave becomes visible only after k (decision 0033).
"""

from orchestrator.core.kinds import Kinds
from orchestrator.core.plan import Plan, opens_more
from orchestrator.core.settle import Settlement, may_cancel
from orchestrator.engine.lease import Lease

#: Ends of one chain that may wait for their commit. More would stretch one transaction's updates of one row.
MOST_AHEAD = 12


def next_ahead(kinds: Kinds, plan: Plan, lease: Lease, settled: Settlement) -> int | None:
    """The node to which this token will be carried, when its step may begin before that is committed."""
    node = next((start for start in settled.effects.starts if plan.steps[start].queue == lease.queue), None)
    # What is not in memory must be read from the rows, and this step's row is not there yet. What the step cancels
    # must be cancelled before others act on its end. A step that workers died with is judged by its own commit.
    if node is None or lease.lost or lease.node not in lease.run.seen or may_cancel(plan, settled):
        return None
    if lease.queue_limit_id is not None:  # it takes its turn, like others
        return None
    step = plan.steps[node]
    kind = kinds.get(step.kind)
    if kind is None or opens_more(kind) or kind.is_async(step.config) or kind.effects_of(step.config) != "none":
        return None
    return node
