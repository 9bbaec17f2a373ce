"""How a run ends: its state, its output, or why it failed."""

from collections.abc import Mapping

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.item_outputs import refuse_inside
from orchestrator.core.json_types import Json
from orchestrator.core.kinds import Evaluator
from orchestrator.core.outcome import StepFault
from orchestrator.core.plan import Plan
from orchestrator.core.settle import Settlement
from orchestrator.engine.lease import Lease
from orchestrator.engine.plans import VersionFacts
from orchestrator.engine.roots import Roots
from orchestrator.engine.sandbox import evaluate_value

#: A run's end has no retry policy; on an overloaded machine an evaluation may run out of its time.
OUTPUT_TRIES = 3
End = tuple[str, Json, StepFault | None]


def run_end(sandbox: Evaluator, roots: Roots, facts: VersionFacts, lease: Lease, last: Settlement | None = None) -> End:
    """The state, output and failure of a run that has come to its end.

    Without a declared output: what the only last step gave, or the outputs of the last steps by key. `last` is the
    step that ends right now, when the run has one way to its end.
    """
    if last is not None and last.run_ends == "failed":
        return "failed", None, None  # the rows know which step failed first
    plan = facts.plan
    if not plan.has_output and last is not None:
        return "succeeded", last.output, None
    values = roots.of_end(facts, lease)
    if last is not None and lease.node not in lease.seen:
        # Too large to be remembered, and not committed yet.
        values["steps"] = {**values["steps"], plan.steps[lease.node].key: last.output}  # type: ignore[dict-item]
    try:
        return (
            "succeeded",
            _evaluated(sandbox, plan.output, values) if plan.has_output else _of_exits(plan, values),
            None,
        )
    except ExpressionFailed as error:
        fault = StepFault(code="output_failed", message=f"The run's output cannot be computed: {error.message}")
        return "failed", None, fault


def _of_exits(plan: Plan, values: Mapping[str, Json]) -> Json:
    outputs = values["steps"]
    assert isinstance(outputs, Mapping)
    if len(plan.exits) == 1:
        return next(iter(outputs.values()))
    refuse_inside(outputs)
    return outputs


def _evaluated(sandbox: Evaluator, output: Json, values: Mapping[str, Json]) -> Json:
    for _ in range(OUTPUT_TRIES - 1):
        try:
            return evaluate_value(output, values, sandbox, streamed=("output",), path="output")
        except ExpressionFailed as error:
            if not error.is_passing:
                raise
    return evaluate_value(output, values, sandbox, streamed=("output",), path="output")
