"""Compile a document to its immutable plan."""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from orchestrator.core.branches import branch_of
from orchestrator.core.document import (
    END,
    SUB_WORKFLOW,
    Document,
    Edge,
    Join,
    Retry,
    Step,
    Undo,
)
from orchestrator.core.graph import successors, topological_order
from orchestrator.core.json_types import Json
from orchestrator.core.json_walk import marked_nodes
from orchestrator.core.kinds import Kinds, StepKind
from orchestrator.core.marks import cancelled_keys, cancels_others
from orchestrator.core.plan import CLOSED_PORT, EXIT_PORT, Arrow, Body, Plan, PlanGate, PlanStep, opens_more
from orchestrator.core.references import References, references, script_references

#: For steps that draw no policy: a passing failure deserves a second look.
DEFAULT_RETRY = Retry(attempts=3, first=1.0, factor=2.0, cap=60.0)


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
    undo = {node_of[step.key]: undone for step in ordered if (undone := _undo_step(step, node_of, kinds))}
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
                in_hand=_in_hand(owner, steps, arrows, gates, kinds, undo.keys()),
                patience=_patience(owner, steps, arrows),
            )
            for owner in owners
        },
        undo=undo,
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
    owner: int,
    steps: tuple[PlanStep, ...],
    arrows: tuple[Arrow, ...],
    gates: dict[int, PlanGate],
    kinds: Kinds,
    undoable: Collection[int],
) -> bool:
    """True when an item can be done in one go: no fork, join or wait, no other queue, nothing for the event loop.

    And nothing to undo: of what was in hand when its worker died nobody knows how far it came.
    """
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
        and nodes.isdisjoint(undoable)
        and all(_is_quick(step, steps[owner], kinds[step.kind]) for step in inside)
    )


def _patience(owner: int, steps: tuple[PlanStep, ...], arrows: tuple[Arrow, ...]) -> float:
    """The time-outs on the longest way through a body together."""
    spent = {step.node: 0.0 for step in steps if step.parent == owner}
    after: dict[int, list[int]] = defaultdict(list)
    for arrow in arrows:
        after[arrow.source].append(arrow.target)
    for node in spent:  # in topological order: all ways to it are known
        spent[node] += steps[node].timeout
        for target in after[node]:
            if target in spent:
                spent[target] = max(spent[target], spent[node])
    return max(spent.values())


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
