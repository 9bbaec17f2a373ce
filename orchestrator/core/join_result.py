"""What a join gives to its step: how each branch had ended when the join was decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.plan import Arrow, Plan

State = Literal["succeeded", "failed", "skipped", "cancelled", "missing"]
_STATES: dict[str, State] = {"o": "succeeded", "f": "failed", "s": "skipped"}
#: Which state speaks for a branch that leads here by several ports: the one that says most.
_RANK: tuple[State, ...] = ("skipped", "missing", "cancelled", "failed", "succeeded")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One arrow's signal that the verdict has counted: o ok, s skip, f fail; `fault` is why it failed."""

    outcome: str
    fault: Json = None


def join_result(
    plan: Plan,
    node: int,
    arrivals: Mapping[int, Arrival],
    outputs: Mapping[str, Json],
    errors: Mapping[str, Json],
) -> JsonObject:
    """The one result of the join at `node`: `{branches: {key: {state, output, error}}, arrived, missing}`.

    `arrivals` are by slot; `outputs` and `errors` by the key of the step that leads here. A branch is named after that
    step. `missing` are those that had not answered, whether they run on (missing) or are cancelled for it. Outputs that
    are too large to be one value are null, with `outputs_of` beside them.
    """
    branches: dict[str, dict[str, Json]] = {}
    for arrow in plan.in_arrows[node]:
        key = plan.steps[arrow.source].key
        arrival = arrivals.get(-1 if arrow.slot is None else arrow.slot)
        state = _unanswered(plan, node, arrow) if arrival is None else _STATES[arrival.outcome]
        if key in branches and _RANK.index(state) <= _RANK.index(branches[key]["state"]):
            continue
        # What came after the verdict is not part of it, even if it can be read by now.
        late = state in {"missing", "cancelled"}
        error = None if late else errors[key] or (arrival.fault if arrival else None)
        branches[key] = {"state": state, **_given(None if late else outputs[key]), "error": error}
    return {
        "branches": branches,
        "arrived": [key for key, branch in branches.items() if branch["state"] == "succeeded"],
        "missing": [key for key, branch in branches.items() if branch["state"] in {"missing", "cancelled"}],
    }


def _given(output: Json) -> dict[str, Json]:
    if isinstance(output, ItemOutputs):
        return {"output": None, "outputs_of": output.shown()}
    return {"output": output}


def _unanswered(plan: Plan, node: int, arrow: Arrow) -> State:
    gate = plan.gates[node]
    return "cancelled" if gate.late == "cancel" and arrow.source in gate.branch else "missing"
