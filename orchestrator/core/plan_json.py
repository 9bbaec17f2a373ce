"""The plan as JSON, the way a version keeps it: a run goes on with its own plan whatever the code does later."""

from dataclasses import asdict
from typing import Any, cast

from orchestrator.core.document import Concurrency, Retry
from orchestrator.core.json_types import Json
from orchestrator.core.plan import PLAN_FORMAT, Arrow, Body, Plan, PlanGate, PlanStep


def plan_as_json(plan: Plan) -> dict[str, Json]:
    """Write a plan; `plan_from_json` gives it back."""
    return {
        "format": PLAN_FORMAT,
        "keys": [step.key for step in plan.steps],
        "steps": [asdict(step) for step in plan.steps],
        "arrows": [[arrow.source, arrow.port, arrow.target, arrow.slot] for arrow in plan.arrows],
        "gates": [asdict(gate) for gate in plan.gates.values()],
        "starts": list(plan.starts),
        "undo": [asdict(step) for step in plan.undo.values()],
        "bodies": [asdict(body) for body in plan.bodies.values()],
        "output": plan.output,
        "has_output": plan.has_output,
        "output_reads": list(plan.output_reads),
        "deadline": plan.deadline,
        "on_failure": plan.on_failure,
        "concurrency": None if plan.concurrency is None else asdict(plan.concurrency),
        "regions": list(plan.regions),
    }


def plan_from_json(raw: dict[str, Any]) -> Plan:
    """Read what `plan_as_json` wrote."""
    return Plan(
        steps=tuple(_step(step) for step in raw["steps"]),
        arrows=tuple(Arrow(source=s, port=p, target=t, slot=slot) for s, p, t, slot in raw["arrows"]),
        gates={gate["node"]: PlanGate(**{**gate, "branch": tuple(gate["branch"])}) for gate in raw["gates"]},
        starts=tuple(raw["starts"]),
        bodies={body["owner"]: Body(**{**body, "starts": tuple(body["starts"])}) for body in raw["bodies"]},
        undo={-1 - step["node"]: _step(step) for step in raw["undo"]},
        output=raw["output"],
        has_output=raw["has_output"],
        output_reads=tuple(raw["output_reads"]),
        deadline=raw["deadline"],
        on_failure=raw["on_failure"],
        concurrency=None if raw["concurrency"] is None else Concurrency(**raw["concurrency"]),
        regions=tuple(raw["regions"]),
    )


def _step(raw: dict[str, Any]) -> PlanStep:
    values = dict(raw)
    values["retry"] = Retry(**cast("dict[str, Any]", raw["retry"]))
    for name in ("ports", "reads", "roots"):
        values[name] = tuple(raw[name])
    return PlanStep(**values)
