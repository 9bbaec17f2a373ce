"""What runs that are retried or resumed together do to each other, which a trial of each alone cannot see: they take
each other's slots under a limit of open runs, replace each other, and may have one business key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from django.db.models import Q

from orchestrator.core.states import FINAL_RUN
from orchestrator.models import Run
from orchestrator.services.run_limit import NewerRunOpen
from orchestrator.services.runs import BusinessKeyOpen

Limit = tuple[int, str]  #: workflow, and the value of the limit's key


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What the others do to one run: it waits in line, is replaced at once, or is refused (with a code)."""

    what: Literal["queued", "replaced", "refused"]
    code: str = ""
    message: str = ""


@dataclass(slots=True)
class Together:
    """The runs in the order in which they go on. `slots`: who holds one, now and after those before."""

    slots: dict[Limit, set[UUID]]
    business_keys: set[Limit] = field(default_factory=set)
    found: dict[UUID, Beside] = field(default_factory=dict)

    def add(self, run: Run) -> None:
        """The next run goes on."""
        reopened = run.state in FINAL_RUN
        if reopened and run.business_key is not None:
            if (run.workflow_id, run.business_key) in self.business_keys:
                message = f'A run before it has the same business key "{run.business_key}". Retry it after that one.'
                self.found[run.pk] = Beside(what="refused", code=BusinessKeyOpen.code, message=message)
                return
            self.business_keys.add((run.workflow_id, run.business_key))
        if run.concurrency_key is not None and (reopened or run.queued):
            held = self.slots.setdefault((run.workflow_id, run.concurrency_key), set())
            (self._replace if run.replaces else self._line_up)(run, held, run.concurrency_limit or 0)

    def _line_up(self, run: Run, held: set[UUID], limit: int) -> None:
        if len(held) < limit:
            held.add(run.pk)
            return
        message = f"It then waits in line: {limit} run{'s' if limit != 1 else ''} of its workflow may be open at once."
        self.found[run.pk] = Beside(what="queued", message=message)

    def _replace(self, run: Run, held: set[UUID], limit: int) -> None:
        if sum(other > run.pk for other in held) >= limit:
            message = "Newer runs of its workflow, open or retried before it, have its place. Wait for their end."
            self.found[run.pk] = Beside(what="refused", code=NewerRunOpen.code, message=message)
            return
        held.add(run.pk)
        while len(held) > limit:
            held.remove(oldest := min(held))
            self.found[oldest] = Beside(what="replaced", message="A newer one of these runs then takes its place.")


def beside_each_other(runs: Iterable[Run]) -> Mapping[UUID, Beside]:
    """What happens to some of these runs by the others when all of them go on in this order. One statement.

    Served by run_under_limit.
    """
    wanted = list(runs)
    limits = {(run.workflow_id, run.concurrency_key) for run in wanted if run.concurrency_key is not None}
    slots: dict[Limit, set[UUID]] = {}
    if limits:
        chosen = Q()
        for workflow, key in limits:
            chosen |= Q(workflow_id=workflow, concurrency_key=key)
        open_runs = Run.objects.filter(chosen, finished_at=None, queued=False)
        for run in open_runs.only("workflow_id", "concurrency_key"):
            slots.setdefault((run.workflow_id, run.concurrency_key or ""), set()).add(run.pk)
    together = Together(slots)
    for run in wanted:
        together.add(run)
    return together.found
