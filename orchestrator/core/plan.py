"""Compile a document to its immutable plan: numbered steps, gates, and what is known before any run."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Literal

from orchestrator.core.branches import branch_of
from orchestrator.core.document import (
    DEFAULT_PORT,
    END,
    ERROR_PORT,
    FAILURE_PORTS,
    SUB_WORKFLOW,
    TIMEOUT_PORT,
    Concurrency,
    Document,
    Edge,
    Join,
    Retry,
    Step,
    Undo,
)
from orchestrator.core.graph import successors, topological_order
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.json_walk import marked_nodes
from orchestrator.core.kinds import Kinds, StepKind
from orchestrator.core.marks import cancelled_keys, cancels_others
from orchestrator.core.references import References, references, script_references

PLAN_FORMAT = 1
#: For steps that draw no policy: a passing failure deserves a second look.
DEFAULT_RETRY = Retry(attempts=3, first=1.0, factor=2.0, cap=60.0)
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
    """

    owner: int
    end: int
    starts: tuple[int, ...]
    in_hand: bool


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


def compile_plan(document: Document, kinds: Kinds) -> Plan:
    """Compile a document without problems; the same document always gives the same plan."""
    ordered = _ordered_steps(document)
    node_of = {step.key: node for node, step in enumerate(ordered)}
    steps = tuple(_plan_step(step, node_of, kinds) for step in ordered)
    owners = sorted({step.parent for step in steps if step.parent is not None})
    ends: dict[int | None, int] = {None: len(steps)}
    ends |= {owner: len(steps) + 1 + place for place, owner in enumerate(owners)}
    arrows, gates = _connect(document, steps, node_of, ends)
    gates |= {mark.node: mark for mark in _marks(document, steps, node_of, max(ends.values()) + 1)}
    entered = {arrow.target for arrow in arrows}
    starts: dict[int | None, list[int]] = defaultdict(list)
    for step in steps:
        if step.node not in entered:
            starts[step.parent].append(step.node)
    output_reads = _reads(document.output, node_of).nodes
    return Plan(
        steps=steps,
        arrows=arrows,
        gates=gates,
        starts=tuple(starts[None]),
        bodies={
            owner: Body(
                owner=owner,
                end=ends[owner],
                starts=tuple(starts[owner]),
                in_hand=_in_hand(owner, steps, arrows, gates, kinds),
            )
            for owner in owners
        },
        undo={node_of[step.key]: undone for step in ordered if (undone := _undo_step(step, node_of, kinds))},
        output=document.output,
        has_output=document.has_output and document.output is not None,
        output_reads=output_reads,
        deadline=document.settings.deadline,
        on_failure=document.settings.on_failure,
        concurrency=document.settings.concurrency,
        regions=tuple(
            {"key": r.key, "name": r.name, "pattern": r.pattern, "steps": list(r.steps)} for r in document.regions
        ),
    )


def _ordered_steps(document: Document) -> list[Step]:
    """Level by level: a container's steps after everything around it, each level in topological order."""
    inside: dict[str | None, list[Step]] = defaultdict(list)
    for step in document.steps:
        inside[step.parent].append(step)
    pairs = [(edge.source, edge.target) for edge in document.edges]
    ordered: list[Step] = []
    levels: deque[str | None] = deque([None])
    while levels:
        members = {step.key: step for step in inside[levels.popleft()]}
        level = [members[key] for key in topological_order(successors(members, pairs))]
        ordered += level
        levels.extend(step.key for step in level if step.key in inside)
    return ordered


def _plan_step(step: Step, node_of: dict[str, int], kinds: Kinds) -> PlanStep:
    kind = kinds[step.kind]
    code = step.config.get("code") if step.kind == "script" else None
    reads = _reads(step.config, node_of, code if isinstance(code, str) else None)
    waits_inside = opens_more(kind)
    return PlanStep(
        node=node_of[step.key],
        key=step.key,
        name=step.name,
        kind=step.kind,
        config=step.config,
        queue=step.queue,
        timeout=step.timeout if step.timeout is not None and not waits_inside else kind.default_timeout,
        retry=step.retry or DEFAULT_RETRY,
        ports=tuple(kind.ports(step.config)),
        reads=reads.nodes,
        has_expressions=reads.has_expressions,
        roots=reads.roots,
        disabled=step.disabled,
        parent=None if step.parent is None else node_of[step.parent],
        limit=step.timeout if waits_inside else None,
        has_effects=kind.effects == "external",
    )


def _undo_step(step: Step, node_of: dict[str, int], kinds: Kinds) -> PlanStep | None:
    """The counter-action as a step of its own. A sub-workflow is undone by undoing its run."""
    if step.disabled or (step.undo is None and step.kind != SUB_WORKFLOW):
        return None
    undo = step.undo or Undo(kind=SUB_WORKFLOW, config={}, tolerant=True)
    drawn = replace(step, kind=undo.kind, config=undo.config, disabled=False, timeout=None, retry=None)
    node = node_of[step.key]
    return replace(_plan_step(drawn, node_of, kinds), node=-1 - node, tolerant=undo.tolerant)


def _in_hand(
    owner: int, steps: tuple[PlanStep, ...], arrows: tuple[Arrow, ...], gates: dict[int, PlanGate], kinds: Kinds
) -> bool:
    """True when an item can be done in one go: no fork, join or wait, no other queue, nothing for the event loop."""
    inside = [step for step in steps if step.parent == owner]
    nodes = {step.node for step in inside}
    ways = Counter((arrow.source, arrow.port) for arrow in arrows if arrow.source in nodes and arrow.target in nodes)
    may_fork = any(count > 1 for count in ways.values()) or any(
        step.config.get("mode") == "inclusive" for step in inside
    )
    starts = len(nodes - {arrow.target for arrow in arrows})
    return (
        starts == 1
        and not may_fork
        and nodes.isdisjoint(gates)
        and all(_is_quick(step, steps[owner], kinds[step.kind]) for step in inside)
    )


def opens_more(kind: StepKind) -> bool:
    """True for a kind that waits for steps of its own: a container, or a sub-workflow."""
    return kind.inside is not None or kind.kind == SUB_WORKFLOW


def _is_quick(step: PlanStep, container: PlanStep, kind: StepKind) -> bool:
    holds_up = kind.group == "wait" or opens_more(kind) or kind.is_async(step.config)
    stops = cancels_others(step.kind, step.config)
    return not holds_up and not stops and step.queue == container.queue


@dataclass(frozen=True, slots=True)
class _Reads:
    nodes: tuple[int, ...]
    has_expressions: bool
    roots: tuple[str, ...]


def _reads(value: Json, node_of: dict[str, int], script: str | None = None) -> _Reads:
    found = [references(node.text) for node in marked_nodes(value) if node.kind == "expression"]
    has_expressions = bool(found)
    if script is not None:
        found.append(script_references(script))
    keys = {key for one in found for key in _keys_read(one, node_of)}
    nodes = tuple(sorted(node_of[key] for key in keys if key in node_of))
    return _Reads(nodes, has_expressions, tuple(sorted({root for one in found for root in one.roots})))


def _keys_read(found: References, node_of: dict[str, int]) -> Iterable[str]:
    return node_of if found.whole_steps else [*found.steps, *found.errors]


def _connect(
    document: Document, steps: tuple[PlanStep, ...], node_of: dict[str, int], ends: dict[int | None, int]
) -> tuple[tuple[Arrow, ...], dict[int, PlanGate]]:
    joins = {node_of[step.key]: step.join for step in document.steps}
    incoming: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for edge in _in_node_order(document.edges, node_of):
        incoming[node_of[edge.target]].append((node_of[edge.source], edge.port))
    gates: dict[int, PlanGate] = {}
    pairs = [(node_of[edge.source], node_of[edge.target]) for edge in document.edges]
    for node, sources in incoming.items():
        if len(sources) > 1:
            gate = _gate(node, len(sources), joins[node] or Join())
            gates[node] = replace(gate, branch=branch_of(pairs, node)) if gate.cancels else gate
    drawn: dict[str, set[str]] = defaultdict(set)
    for edge in document.edges:
        drawn[edge.source].add(edge.port)
    early = [steps[node] for node, gate in sorted(gates.items()) if gate.is_early]
    for owner, end in ends.items():
        exits = [(step.node, EXIT_PORT) for step in steps if step.parent == owner and _may_end(step, drawn[step.key])]
        exits += [(step.node, CLOSED_PORT) for step in early if step.parent == owner]
        incoming[end] = exits
        gates[end] = PlanGate(node=end, mode="A", size=len(exits), need=0)
    arrows = tuple(
        Arrow(source=source, port=port, target=target, slot=slot if target in gates else None)
        for target, sources in sorted(incoming.items())
        for slot, (source, port) in enumerate(sources)
    )
    return arrows, gates


def _marks(document: Document, steps: tuple[PlanStep, ...], node_of: dict[str, int], first: int) -> Iterator[PlanGate]:
    """One mark for each step that cancels others."""
    regions = {region.key: region.steps for region in document.regions}
    stopping = (step for step in steps if cancels_others(step.kind, step.config) and not step.disabled)
    for number, step in enumerate(stopping, first):
        if step.kind == END:
            wanted = [other.node for other in steps if other.parent is None]
        else:
            keys = cancelled_keys(step.config, regions)
            wanted = [node_of[key] for key in keys if key in node_of and steps[node_of[key]].parent == step.parent]
        branch = tuple(sorted(set(wanted) - {step.node}))
        completes = step.config.get("as") == "complete"
        yield PlanGate(node=number, mode="C", size=0, need=0, branch=branch, by=step.node, completes=completes)


def _in_node_order(edges: tuple[Edge, ...], node_of: dict[str, int]) -> list[Edge]:
    return sorted(edges, key=lambda edge: (node_of[edge.target], node_of[edge.source], edge.port))


def _gate(node: int, size: int, join: Join) -> PlanGate:
    need = {"all": 0, "any": 1, "quorum": join.quorum or 0}[join.mode]
    tolerate = join.tolerate.of(size) if join.tolerate else 0
    return PlanGate(
        node=node,
        mode="A" if join.mode == "all" else "N",
        size=size,
        need=need,
        tolerate=size if join.on_branch_failure == "continue" else tolerate,
        on_branch_failure=join.on_branch_failure,
        deadline=join.deadline,
        on_deadline=join.on_deadline,
        late=join.late,
    )


def _may_end(step: PlanStep, drawn: set[str]) -> bool:
    """Can success leave this step by a port that nothing is drawn from? Then a path may end here."""
    return not step.normal_ports or any(port not in drawn for port in step.normal_ports)


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
    "compile_plan",
    "failure_port",
    "opens_more",
]
