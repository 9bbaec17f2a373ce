"""Beginning the next step before the commit of the one before it: only where nobody is harmed when it runs again.

While PostgreSQL flushes the end of step k, the slot already runs step k+1. A crash may then repeat k+1 on another
result of k; so k+1 must be a step without effects, and what it gave becomes visible only after k (decision 34).
"""

from orchestrator.core.kinds import Kinds
from orchestrator.core.plan import Plan, opens_more
from orchestrator.core.settle import Settlement, may_cancel
from orchestrator.engine.lease import Lease
from orchestrator.engine.perform import Prepared

#: Ends of one chain that may wait for their commit: what a crash makes run again.
MOST_AHEAD = 32


def next_ahead(kinds: Kinds, plan: Plan, lease: Lease, settled: Settlement) -> int | None:
    """The node to which this token will be carried, when its step may begin before that is committed."""
    node = next((start for start in settled.effects.starts if plan.steps[start].queue == lease.queue), None)
    # What is not in memory must be read from the rows, and this step's row is not there yet. What the step cancels
    # must be cancelled before others act on its end. A step that workers died with is judged by its own commit.
    if node is None or lease.lost or lease.node not in lease.seen or may_cancel(plan, settled):
        return None
    if lease.queue_limit_id is not None:  # it takes its turn, like others
        return None
    step = plan.steps[node]
    kind = kinds.get(step.kind)
    if kind is None or opens_more(kind) or kind.is_async(step.config) or kind.effects_of(step.config) != "none":
        return None
    return node


def is_repeatable(lease: Lease, ready: Prepared | None, settled: Settlement) -> bool:
    """Whether the end of a resumed step need not be flushed before the next step begins (decision 37).

    Were it lost in a crash of PostgreSQL, the step would be resumed again by the same signal, and end alike.
    """
    is_answered = lease.phase == 1 and lease.signal is not None and lease.node >= 0
    goes_on = settled.then == "go" and settled.run_ends is None and bool(settled.effects.starts)
    return is_answered and goes_on and ready is not None and ready.kind.resumes_alike
