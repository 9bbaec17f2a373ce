"""A compiled document: numbered steps, gates, and what is known before any run. `compile` makes it."""

from collections import defaultdict
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Literal

from orchestrator.core.document import (
    DEFAULT_PORT,
    ERROR_PORT,
    FAILURE_PORTS,
    SUB_WORKFLOW,
    TIMEOUT_PORT,
    Concurrency,
    Retry,
)
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.kinds import StepKind
from orchestrator.core.titles import titled

PLAN_FORMAT = 1
Mode = Literal["A", "N", "C"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """One edge between numbered steps. `slot` is its place at the target's gate; None when the target has no gate."""

    source: int
    port: str
    target: int
    slot: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """One step as the engine runs it. `reads` are the nodes whose outputs or errors its expressions name."""

    node: int
    key: str
    name: str
    kind: str
    config: JsonObject
    queue: str
    timeout: float
    retry: Retry
    ports: tuple[str, ...]
    reads: tuple[int, ...]
    has_expressions: bool
    #: The roots that its expressions read ("input", "item", ...).
    roots: tuple[str, ...] = ()
    disabled: bool = False
    #: The container that holds this step; None on the top level.
    parent: int | None = None
    #: Seconds that a container's body, or a child run, may take in all.
    limit: float | None = None
    has_effects: bool = False
    #: Of an undo step: it may run although nobody knows whether the step acted.
    tolerant: bool = False

    @property
    def title(self) -> str:
        """How messages name the step, quotes included."""
        return titled(self.key, self.name)

    @property
    def normal_ports(self) -> tuple[str, ...]:
        """The ports by which success leaves."""
        return tuple(port for port in self.ports if port not in FAILURE_PORTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanGate:
    """A join: A = all branches that were not skipped, N = `need` of them. Its number is its step's node.

    `tolerate` failures do not count against an A gate. `branch` are the steps whose live tokens end when the others are
    cancelled; empty where nothing ever cancels them.

    C is no join but a mark, which the step `by` sets: it cancels the steps in `branch`, or `completes` them. No signal
    ever reaches it; its number comes after all others.
    """

    node: int
    mode: Mode
    size: int
    need: int
    tolerate: int = 0
    on_branch_failure: Literal["abort", "finish", "continue"] = "finish"
    #: Seconds from its first signal.
    deadline: float | None = None
    on_deadline: Literal["proceed", "fail"] = "fail"
    late: Literal["ignore", "cancel"] = "ignore"
    branch: tuple[int, ...] = ()
    by: int | None = None
    completes: bool = False

    @property
    def is_early(self) -> bool:
        """Whether it may be decided before all its branches have answered."""
        return self.mode == "N" or self.on_branch_failure == "abort" or self.deadline is not None

    @property
    def cancels(self) -> bool:
        """Whether its verdict may cancel the branches that have not answered."""
        return self.is_early and (self.on_branch_failure == "abort" or self.late == "cancel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a container holds. `end` is the number of its own last gate, where all paths inside meet.

    `in_hand`: a line of quick steps, which a worker may do itself, item after item, without a token for each step.
    `patience` is how long such an item may take, in seconds: what its steps may on its longest way.
    """

    owner: int
    end: int
    starts: tuple[int, ...]
    in_hand: bool
    patience: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A compiled document. Nodes are numbered in topological order, so a gate only ever signals higher gates.

    Steps inside a container follow after all steps around it; they have their own tokens and gates in each scope.
    `end` is the number of the run's own last gate: one more than the last step. Every path that stops somewhere
    leads there by an arrow, so the end of a run is an ordinary join of known size. The last gates of bodies follow.
    """

    steps: tuple[PlanStep, ...]
    arrows: tuple[Arrow, ...]
    gates: dict[int, PlanGate]
    starts: tuple[int, ...]
    bodies: dict[int, Body] = field(default_factory=dict)
    #: The counter-action of each step that has one. Its node is -1 minus the step's, so its log rows stand apart.
    undo: dict[int, PlanStep] = field(default_factory=dict)
    output: Json = None
    has_output: bool = False
    output_reads: tuple[int, ...] = ()
    deadline: float | None = None
    on_failure: str = "fail"
    concurrency: Concurrency | None = None
    regions: tuple[JsonObject, ...] = field(default=())

    @property
    def end(self) -> int:
        """The number of the end gate."""
        return len(self.steps)

    @property
    def holder(self) -> int | None:
        """The container whose steps this plan is about; None for the run itself."""
        return None

    def step(self, node: int) -> PlanStep:
        """The step, or for a negative node the undo step, of this number."""
        return self.steps[node] if node >= 0 else self.undo[-1 - node]

    @cached_property
    def node_of(self) -> dict[str, int]:
        """Key to node."""
        return {step.key: step.node for step in self.steps}

    @cached_property
    def out_arrows(self) -> dict[int, tuple[Arrow, ...]]:
        """The arrows that leave each node."""
        found: dict[int, list[Arrow]] = defaultdict(list)
        for arrow in self.arrows:
            found[arrow.source].append(arrow)
        return {node: tuple(arrows) for node, arrows in found.items()}

    @cached_property
    def in_arrows(self) -> dict[int, tuple[Arrow, ...]]:
        """The arrows that reach each node, in slot order."""
        found: dict[int, list[Arrow]] = defaultdict(list)
        for arrow in self.arrows:
            found[arrow.target].append(arrow)
        return {node: tuple(sorted(arrows, key=lambda a: a.slot or 0)) for node, arrows in found.items()}

    @cached_property
    def last_cancelling(self) -> int:
        """The highest gate that may cancel branches; -1 when none does."""
        return max((node for node, gate in self.gates.items() if gate.cancels), default=-1)

    @cached_property
    def marks(self) -> dict[int, PlanGate]:
        """The steps that cancel others, each with its mark."""
        return {gate.by: gate for gate in self.gates.values() if gate.by is not None}

    @cached_property
    def marks_on(self) -> dict[int, list[int]]:
        """The marks that keep a step from beginning, by node."""
        found: dict[int, list[int]] = defaultdict(list)
        for gate in self.marks.values():
            for node in () if gate.completes else gate.branch:
                found[node].append(gate.node)
        return found

    @cached_property
    def exits(self) -> tuple[int, ...]:
        """Steps after which a path of the run ends, in order."""
        return self.exits_to(self.end)

    def exits_to(self, end: int) -> tuple[int, ...]:
        """Steps after which a path ends at this last gate, in order."""
        return tuple(arrow.source for arrow in self.in_arrows.get(end, ()) if arrow.port != CLOSED_PORT)

    @cached_property
    def owner_of(self) -> dict[int, int]:
        """The last gate of a body to its container."""
        return {body.end: node for node, body in self.bodies.items()}


@dataclass(frozen=True, kw_only=True)
class BodyPlan(Plan):
    """The same plan, seen from inside one container: its body starts and ends it."""

    container: int

    @property
    def holder(self) -> int | None:
        """The container."""
        return self.container

    @property
    def end(self) -> int:
        """The number of the body's last gate."""
        return self.bodies[self.container].end


def plan_of_body(plan: Plan, container: int) -> BodyPlan:
    """The plan of what happens in one scope of a container."""
    body = plan.bodies[container]
    inside = {step.node for step in plan.steps if step.parent == container} | {body.end}
    values = {one.name: getattr(plan, one.name) for one in fields(Plan)}
    values["gates"] = {node: gate for node, gate in plan.gates.items() if node in inside or gate.by in inside}
    return BodyPlan(**{**values, "starts": body.starts}, container=container)


#: The arrow from a gate that may fire early to the end gate: the run is not over before its late branches are.
CLOSED_PORT = "\N{BULLET}closed"
#: The arrow from a step to the end gate when success may leave it by a port that nothing is drawn from.
EXIT_PORT = "\N{BULLET}exit"


def opens_more(kind: StepKind) -> bool:
    """True for a kind that waits for steps of its own: a container, or a sub-workflow."""
    return kind.inside is not None or kind.kind == SUB_WORKFLOW


def failure_port(plan: Plan, node: int, *, timed_out: bool) -> str | None:
    """The drawn port that takes a failure of this step; None when nobody handles it."""
    drawn = {arrow.port for arrow in plan.out_arrows.get(node, ())}
    if timed_out and TIMEOUT_PORT in drawn:
        return TIMEOUT_PORT
    return ERROR_PORT if ERROR_PORT in drawn else None


__all__ = [
    "CLOSED_PORT",
    "DEFAULT_PORT",
    "EXIT_PORT",
    "Arrow",
    "Body",
    "Plan",
    "PlanGate",
    "PlanStep",
    "failure_port",
    "opens_more",
]
