"""What a step's expressions may read: input, steps, errors, run; at a join its branches; what containers around give.

A step inside containers reads its neighbours in its own scope, and every step around in the scope that holds that one.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from orchestrator.core.document import FOR_EACH, REPEAT
from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.join_result import Arrival, join_result
from orchestrator.core.json_types import Json
from orchestrator.core.plan import Plan
from orchestrator.engine import statements
from orchestrator.engine.database import Row
from orchestrator.engine.lease import Lease
from orchestrator.engine.plans import VersionFacts
from orchestrator.engine.scopes import Scopes

#: Where `Lease.outer` keeps an input that had to be fetched.
INPUT = -1
ALL = ("input", "run")
ANY_GENERATION = 2**31 - 1


class Behind(Mapping[str, Json]):
    """The roots of a step behind a join. Its result, as large as it has branches, is read when somebody asks for it."""

    def __init__(self, roots: Mapping[str, Json], join: Callable[[], Json]) -> None:
        self._roots = {**roots}
        self._join = join

    def __getitem__(self, root: str) -> Json:
        if root == "join" and root not in self._roots:
            self._roots[root] = self._join()
        return self._roots[root]

    def __contains__(self, root: object) -> bool:
        return root == "join" or root in self._roots

    def __iter__(self) -> Iterator[str]:
        return iter({**self._roots, "join": None})

    def __len__(self) -> int:
        return len({*self._roots, "join"})


class Roots:
    """Reads values from this worker's memory, else from the rows."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.scopes = Scopes(pool)

    def of_step(self, facts: VersionFacts, lease: Lease, reads: tuple[str, ...]) -> Mapping[str, Json]:
        """The roots of the step that `lease` stands at, whose kind `reads` some of them itself.

        An undo has no `join`: signals are kept for the newest verdict only (decision 65).
        """
        plan = facts.plan
        step = plan.step(lease.node)
        roots = self._common(facts, lease, step.reads, step.roots)
        if lease.node < 0:
            roots |= self._forward(lease, step.roots)
        if lease.scope_id:
            roots |= self._around(plan, lease, step.roots)
        if step.kind == REPEAT:
            roots |= self._turn(plan, lease)
        if lease.node not in plan.gates:
            return roots
        behind = Behind(roots, partial(self._join, plan, lease))
        if "join" in reads or "join" in step.roots:
            _ = behind["join"]  # now, while nothing is lost if PostgreSQL is away
        return behind

    def _around(self, plan: Plan, lease: Lease, wanted: tuple[str, ...]) -> dict[str, Json]:
        """What the containers around give to the steps inside; the innermost wins."""
        found: dict[str, Json] = {}
        for scope_id, block in self.scopes.around(lease.scope_id):
            kind = plan.steps[block.node].kind
            if kind == FOR_EACH and not {"item", "index"}.isdisjoint(wanted) and "item" not in found:
                found["index"], found["item"] = self.scopes.item(scope_id, block)
            elif kind == REPEAT and not {"turn", "last"}.isdisjoint(wanted) and "turn" not in found:
                found["turn"] = scope_id - block.id
                found["last"] = self.body(plan, lease, block.node, scope_id - 1) if scope_id - 1 > block.id else None
        return found

    def _forward(self, lease: Lease, wanted: tuple[str, ...]) -> dict[str, Json]:
        """What the step that is being undone gave, and the input that its run had then if it has another by now."""
        node = -1 - lease.node
        output, error = self._read(lease, [(node, lease.scope_id)]).get(node, (None, None))
        found = {"output": output, "error": error}
        if "input" in wanted:
            place = {"node": node, "scope": lease.scope_id, "generation": lease.generation}
            with self._pool.connection() as connection:
                former = connection.execute(statements.FORMER_INPUT, {"run": lease.run.run_id, **place}).fetchone()
            found |= {} if former is None else {"input": former["body"]}
        return found

    def _turn(self, plan: Plan, lease: Lease) -> dict[str, Json]:
        """The turn that a repeat has just ended; 0 before the first."""
        scope_id = (lease.signal or {}).get("scope")
        if scope_id is None:
            return {"turn": 0, "last": None}
        block = self.scopes.block(scope_id)
        return {"turn": scope_id - block.id, "last": self.body(plan, lease, lease.node, scope_id)}

    def body(self, plan: Plan, lease: Lease, container: int, scope_id: int) -> Json:
        """What the steps in a container gave in that scope: the output of the only last step, else one by key."""
        exits = plan.exits_to(plan.bodies[container].end)
        found = self._read(lease, [(node, scope_id) for node in exits])
        outputs = {plan.steps[node].key: found.get(node, (None, None))[0] for node in exits}
        return outputs if len(exits) > 1 else next(iter(outputs.values()))

    def of_end(self, facts: VersionFacts, lease: Lease) -> dict[str, Json]:
        """The roots of the run's output: what it reads, or every step after which a path ended."""
        plan = facts.plan
        return self._common(facts, lease, plan.output_reads if plan.has_output else plan.exits, ALL)

    def _common(
        self, facts: VersionFacts, lease: Lease, nodes: tuple[int, ...], wanted: tuple[str, ...]
    ) -> dict[str, Json]:
        outputs, errors = self._outputs(facts.plan, lease, nodes)
        found: dict[str, Json] = {"steps": outputs, "errors": errors}
        if "input" in wanted or lease.run.input_ref is None:
            found["input"] = self._input(lease)
        if "run" in wanted:
            found["run"] = _run(facts, lease)
        return found

    def _outputs(self, plan: Plan, lease: Lease, nodes: tuple[int, ...]) -> tuple[dict[str, Json], dict[str, Json]]:
        if not nodes:
            return {}, {}
        found = lease.outer | lease.seen
        missing = [node for node in nodes if node not in found]
        if missing:
            read = self._read(lease, self._placed(plan, lease, missing))
            here = plan.step(lease.node).parent if lease.node < plan.end else None
            lease.outer.update({node: pair for node, pair in read.items() if plan.steps[node].parent != here})
            found |= read
        # A step that never ran (its path was not taken) reads as None, not as an error.
        pairs = {plan.steps[node].key: found.get(node, (None, None)) for node in nodes}
        return {key: pair[0] for key, pair in pairs.items()}, {key: pair[1] for key, pair in pairs.items()}

    def _placed(self, plan: Plan, lease: Lease, nodes: list[int]) -> list[tuple[int, int]]:
        """Each node with the scope in which it is read from here; a container that was resumed reads its own body."""
        if lease.scope_id == 0 and lease.node not in plan.bodies:
            return [(node, 0) for node in nodes]
        places = self.scopes.places(lease.scope_id)
        places[lease.node] = (lease.signal or {}).get("scope", -1)
        return [(node, places.get(plan.steps[node].parent, -1)) for node in nodes]

    def _read(self, lease: Lease, places: list[tuple[int, int]]) -> dict[int, tuple[Json, Json]]:
        nodes, scopes = [node for node, _ in places], [scope for _, scope in places]
        # A step that was done again since is undone once for each time, by what was there at that time.
        newest = lease.generation if lease.node < 0 else ANY_GENERATION
        with self._pool.connection() as connection:
            rows = connection.execute(statements.OUTPUTS, (lease.run.run_id, nodes, scopes, newest)).fetchall()
        return {row["node"]: (given(row), row["error"]) for row in rows}

    def _input(self, lease: Lease) -> Json:
        if lease.run.input_ref is None:
            return lease.run.input
        if INPUT not in lease.outer:
            with self._pool.connection() as connection:
                row = connection.execute(statements.PAYLOAD, (lease.run.input_ref,)).fetchone()
            lease.outer[INPUT] = (row["body"], None)
        return lease.outer[INPUT][0]

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


def given(row: Row) -> Json:
    """The output that a row leads to."""
    return ItemOutputs.from_json(row["output"]) if row["block"] is not None else row["output"]


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
