"""Every step kind, one line each."""

from types import MappingProxyType

from orchestrator.core.json_types import Json
from orchestrator.core.kinds import Kinds, StepKind
from orchestrator.steps.call import Call
from orchestrator.steps.cancel import Cancel
from orchestrator.steps.choose import Choose
from orchestrator.steps.delay import Delay
from orchestrator.steps.email import Email
from orchestrator.steps.end import End
from orchestrator.steps.for_each import ForEach
from orchestrator.steps.http import Http
from orchestrator.steps.human_task import HumanTask
from orchestrator.steps.merge import Merge
from orchestrator.steps.registered import functions
from orchestrator.steps.repeat import Repeat
from orchestrator.steps.scope import Scope
from orchestrator.steps.script import Script
from orchestrator.steps.sub_workflow import SubWorkflow
from orchestrator.steps.transform import Transform
from orchestrator.steps.wait_event import WaitEvent

# In the order of the palette.
_ALL: tuple[StepKind, ...] = (
    Call(),
    Script(),
    Http(),
    Email(),
    Transform(),
    Choose(),
    Merge(),
    ForEach(),
    Repeat(),
    Scope(),
    SubWorkflow(),
    Cancel(),
    End(),
    Delay(),
    WaitEvent(),
    HumanTask(),
)
KINDS: Kinds = MappingProxyType({kind.kind: kind for kind in _ALL})


def step_kinds_json() -> dict[str, Json]:
    """What the canvas needs to know: kinds with their forms, functions with theirs."""
    return {
        "kinds": [_kind_json(kind) for kind in KINDS.values()],
        "functions": [function.as_json() for function in functions().values()],
    }


def _kind_json(kind: StepKind) -> dict[str, Json]:
    return {
        "kind": kind.kind,
        "group": kind.group,
        "name": kind.name,
        "description": kind.description,
        "icon": kind.icon,
        "ports": list(kind.ports({})),
        "ports_from": kind.ports_from,
        "timeout_from": kind.timeout_from,
        "config_schema": kind.schema(),
        "effects": kind.effects,
        "inside": None if kind.inside is None else list(kind.inside),
    }
