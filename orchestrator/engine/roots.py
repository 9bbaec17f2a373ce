"""What a step's expressions may read: input, steps, errors, run, and at a join its branches."""

from typing import Any

from orchestrator.core.join_result import Arrival, join_result
from orchestrator.core.json_types import Json
from orchestrator.core.plan import Plan
from orchestrator.engine import statements
from orchestrator.engine.lease import Lease, RunFacts
from orchestrator.engine.plans import VersionFacts

#: Where `RunFacts.seen` keeps an input that had to be fetched.
INPUT = -1


class Roots:
    """Reads values from this worker's memory, else from the rows."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def of_step(self, facts: VersionFacts, lease: Lease) -> dict[str, Json]:
        """The roots of the step that `lease` stands at."""
        step = facts.plan.steps[lease.node]
        roots = self._common(facts, lease, step.reads)
        if lease.node in facts.plan.gates:
            roots["join"] = self._join(facts.plan, lease)
        return roots

    def of_end(self, facts: VersionFacts, lease: Lease) -> dict[str, Json]:
        """The roots of the run's output: what it reads, or every step after which a path ended."""
        plan = facts.plan
        return self._common(facts, lease, plan.output_reads if plan.has_output else plan.exits)

    def _common(self, facts: VersionFacts, lease: Lease, nodes: tuple[int, ...]) -> dict[str, Json]:
        outputs, errors = self._outputs(facts.plan, lease, nodes)
        return {"input": self._input(lease.run), "steps": outputs, "errors": errors, "run": _run(facts, lease)}

    def _outputs(self, plan: Plan, lease: Lease, nodes: tuple[int, ...]) -> tuple[dict[str, Json], dict[str, Json]]:
        seen = lease.run.seen
        missing = [node for node in nodes if node not in seen]
        found = dict(seen)
        if missing:
            with self._pool.connection() as connection:
                rows = connection.execute(statements.OUTPUTS, (lease.run.run_id, missing, lease.scope_id)).fetchall()
            found |= {row["node"]: (row["output"], row["error"]) for row in rows}
        # A step that never ran (its path was not taken) reads as None, not as an error.
        pairs = {plan.steps[node].key: found.get(node, (None, None)) for node in nodes}
        return {key: pair[0] for key, pair in pairs.items()}, {key: pair[1] for key, pair in pairs.items()}

    def _input(self, run: RunFacts) -> Json:
        if run.input_ref is None:
            return run.input
        if INPUT not in run.seen:
            with self._pool.connection() as connection:
                row = connection.execute(statements.PAYLOAD, (run.input_ref,)).fetchone()
            run.seen[INPUT] = (row["body"], None)
        return run.seen[INPUT][0]

    def _join(self, plan: Plan, lease: Lease) -> Json:
        with self._pool.connection() as connection:
            arguments = (lease.run.run_id, lease.node, lease.scope_id)
            rows = connection.execute(statements.ARRIVALS, arguments).fetchall()
            failed = [row["entry"] for row in rows if row["outcome"] == "f"]
            found = connection.execute(statements.FAILURES, (lease.run.run_id, failed)).fetchall() if failed else []
        faults = {row["entry"]: row["error"] for row in found}
        arrivals = {row["edge"]: Arrival(row["outcome"], faults.get(row["entry"])) for row in rows}
        sources = tuple(sorted({arrow.source for arrow in plan.in_arrows[lease.node]}))
        outputs, errors = self._outputs(plan, lease, sources)
        return join_result(plan, lease.node, arrivals, outputs, errors)


def _run(facts: VersionFacts, lease: Lease) -> Json:
    run = lease.run
    return {
        "id": str(run.run_id),
        "workflow": facts.workflow,
        "version": facts.number,
        "workspace": facts.workspace,
        "started_at": run.started_at.isoformat(),
        "correlation_id": run.correlation_id,
        "business_key": run.business_key,
        "trigger": run.trigger,
    }
