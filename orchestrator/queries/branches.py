"""How the branches that meet at a step had ended in a run, as the step was told by its root `join`."""

from collections.abc import Mapping

from orchestrator.core.join_result import Arrival, join_result
from orchestrator.core.json_types import Json
from orchestrator.models import Gate, GateArrival, Run, StepLog
from orchestrator.queries.drawing import drawing_of, plan_of


def branches_met(run: Run, key: str, outputs: Mapping[str, Json], errors: Mapping[str, Json]) -> Mapping[str, Json]:
    """Branch -> its state, output and error; empty where no join was decided. `outputs` and `errors`: by step key.

    Of a step inside a container nothing is told: it ran once in each scope.
    """
    node = drawing_of(run.version_id).nodes.get(key)
    here = {"run_id": run.pk, "gate": node, "scope_id": 0}
    if node is None or not Gate.objects.filter(**here, node=node).exclude(verdict="O").exists():
        return {}
    rows = GateArrival.objects.filter(**here, late=False)
    failed = [row.entry for row in rows if row.outcome == "f" and row.entry is not None]
    faults: dict[int | None, Json] = dict(
        StepLog.objects.filter(run_id=run.pk, entry__in=failed).values_list("entry", "error")
    )
    arrivals = {row.edge: Arrival(row.outcome, faults.get(row.entry)) for row in rows}
    plan = plan_of(run.version_id)
    keys = {plan.steps[arrow.source].key for arrow in plan.in_arrows[node]}
    gave, failed_by = ({key: told.get(key) for key in keys} for told in (outputs, errors))
    found = join_result(plan, node, arrivals, gave, failed_by)["branches"]
    assert isinstance(found, Mapping)  # what it is by its shape
    return found
