"""What must have happened, and what may have, when a step of a plan has run: told from the drawing alone.

Everything here errs on the side of "may": a step is called certain only if every way to the other one passes its
success.
"""

from collections import defaultdict
from collections.abc import Mapping
from heapq import heappop, heappush

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT, FAILURE_PORTS, FOR_EACH, REPEAT, SCOPE
from orchestrator.core.plan import CLOSED_PORT, Arrow, Plan, PlanGate, PlanStep

#: A step and the port by which control has left it.
Leave = tuple[int, str]
_NONE: frozenset[Leave] = frozenset()


class Foregone:
    """Looks at one plan; what it has found about a step it keeps."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[int, frozenset[Leave]] = {}
        self._cancellable = {node for gate in plan.gates.values() if gate.cancels for node in gate.branch}
        self._cancellable |= {node for mark in plan.marks.values() for node in mark.branch}

    def certain(self, node: int) -> frozenset[int]:
        """The steps of the same level that have succeeded when this step (or a last gate, all paths to it) has run."""
        return frozenset(source for source, port in self._taken(node) if port not in FAILURE_PORTS)

    def failed(self, node: int) -> frozenset[int]:
        """The steps of the same level that have failed when this step has run."""
        return frozenset(source for source, port in self._taken(node) if port in FAILURE_PORTS)

    def possible(self, node: int) -> frozenset[int]:
        """The steps of the same level that may have run when this one has failed; not the step itself."""
        taken: dict[int, set[str]] = defaultdict(set)
        for source, port in self._taken(node):
            taken[source].add(port)
        return _Possible(self._plan, node, taken).found()

    def is_certain_whole(self, container: int) -> bool:
        """Whether a container that has succeeded has gone through its steps at least once, to their end."""
        step = self._plan.steps[container]
        if container in self._cancellable:
            return False
        config = step.config
        if step.kind == REPEAT:
            return config.get("while") is None
        if step.kind == FOR_EACH:
            items = config.get("items")
            return isinstance(items, list | tuple) and bool(items) and not tolerates(step)
        return step.kind == SCOPE and config.get("on_failure") != "continue"

    def _taken(self, node: int) -> frozenset[Leave]:
        for at in sorted(_ancestors(self._plan, node) | {node}):
            if at not in self._known:
                self._known[at] = self._found(at)
        return self._known[node]

    def _found(self, node: int) -> frozenset[Leave]:
        arrows = _arrows(self._plan, node)
        ways = [self._way(arrow) for arrow in arrows]
        gate = self._plan.gates.get(node)
        if gate is None or not ways:
            return ways[0] if ways else _NONE
        if is_lenient(gate):
            return _NONE
        if gate.mode == "N" and gate.need == gate.size:
            return _NONE.union(*ways)
        common = ways[0].intersection(*ways[1:])
        if gate.mode == "N":
            return common
        # No branch of an `all` join has failed: one that was not skipped has arrived.
        arrived = [way for arrow, way in zip(arrows, ways, strict=True) if self._is_sure(arrow, common)]
        return common.union(*arrived)

    def _way(self, arrow: Arrow) -> frozenset[Leave]:
        own = frozenset({(arrow.source, arrow.port)})
        if arrow.port in FAILURE_PORTS and arrow.source in self._plan.gates:
            return own  # a join that failed: its step never ran
        return own | self._known[arrow.source]

    def _is_sure(self, arrow: Arrow, taken: frozenset[Leave]) -> bool:
        """Whether this arrow cannot be skipped once control has left these steps so."""
        source = arrow.source
        if (source, arrow.port) in taken:
            return True
        if source in self._cancellable or _chooses(self._plan, source):
            return False
        return self._is_led_to(source, taken)

    def _is_led_to(self, node: int, taken: frozenset[Leave]) -> bool:
        """Whether a start, or control as told, leads to this step whatever is chosen between."""
        leading = {node}
        work = [-node]  # the latest first: all that lead on from a step have been looked at before it
        while work:
            arrows = _arrows(self._plan, -heappop(work))
            if not arrows or any((arrow.source, arrow.port) in taken for arrow in arrows):
                return True
            for source in {arrow.source for arrow in arrows} - leading:
                if source not in self._cancellable and self._always_leads(source, leading):
                    leading.add(source)
                    heappush(work, -source)
        return False

    def _always_leads(self, node: int, to: set[int]) -> bool:
        ports = {arrow.port for arrow in self._plan.out_arrows.get(node, ()) if arrow.target in to}
        if not _chooses(self._plan, node):
            return bool(ports)
        drawn = {arrow.port for arrow in self._plan.out_arrows.get(node, ())} & FAILURE_PORTS
        return {*_normal_ports(self._plan.steps[node]), *drawn} <= ports


class _Possible:
    """One look at what may run on a level where a step has failed and control has left others as told."""

    def __init__(self, plan: Plan, failed: int, taken: Mapping[int, set[str]]) -> None:
        self._plan, self._failed, self._taken = plan, failed, taken
        self._run: set[int] = set()
        #: Whatever is behind these hears of a failure.
        self._blocked = set() if self._drawn(failed) & FAILURE_PORTS else {failed}

    def found(self) -> frozenset[int]:
        parent = self._plan.steps[self._failed].parent
        for step in self._plan.steps:
            if step.parent == parent and step.node != self._failed and self._may_run(step.node):
                self._run.add(step.node)
        return frozenset(self._run)

    def _may_run(self, node: int) -> bool:
        arrows, gate = _arrows(self._plan, node), self._plan.gates.get(node)
        if gate is not None and is_lenient(gate):
            return True
        needs_all = gate is None or gate.mode == "A" or gate.need == gate.size
        if needs_all and any(one.source in self._blocked and one.port not in FAILURE_PORTS for one in arrows):
            if gate is None or ERROR_PORT not in self._drawn(node):
                self._blocked.add(node)
            return False
        need = gate.need if gate is not None and gate.mode == "N" else min(len(arrows), 1)
        return sum(self._may_arrive(arrow) for arrow in arrows) >= need

    def _may_arrive(self, arrow: Arrow) -> bool:
        source, port = self._plan.steps[arrow.source], arrow.port
        if source.node == self._failed:
            return port in FAILURE_PORTS
        if any(_exclude(source, port, other) for other in self._taken.get(source.node, ())):
            return False
        return source.node in self._run or (port == ERROR_PORT and source.node in self._plan.gates)

    def _drawn(self, node: int) -> set[str]:
        return {arrow.port for arrow in self._plan.out_arrows.get(node, ())}


def is_lenient(gate: PlanGate) -> bool:
    """Whether a join may go on with nothing but failures, or at its deadline with nothing at all."""
    proceeds = gate.deadline is not None and gate.on_deadline == "proceed"
    return proceeds or gate.on_branch_failure == "continue" or (gate.mode == "A" and gate.tolerate > 0)


def tolerates(step: PlanStep) -> bool:
    """Whether a for-each may succeed although items failed."""
    borne, enough = step.config.get("tolerate"), step.config.get("enough")
    some = any(borne.values()) if isinstance(borne, Mapping) else borne is not None
    return some or (any(enough.values()) if isinstance(enough, Mapping) else enough is not None)


def _exclude(step: PlanStep, port: str, other: str) -> bool:
    """Whether control cannot leave a step by both of these ports."""
    if port == other:
        return False
    inclusive = step.config.get("mode") == "inclusive"
    return not inclusive or bool({port, other} & (FAILURE_PORTS | {"otherwise"}))


def _chooses(plan: Plan, node: int) -> bool:
    """Whether an arrow of a step that has run may be skipped."""
    drawn = {arrow.port for arrow in plan.out_arrows.get(node, ())}
    return len(_normal_ports(plan.steps[node])) > 1 or bool(drawn & FAILURE_PORTS)


def _normal_ports(step: PlanStep) -> tuple[str, ...]:
    return (DEFAULT_PORT,) if step.disabled else step.normal_ports


def _arrows(plan: Plan, node: int) -> list[Arrow]:
    return [arrow for arrow in plan.in_arrows.get(node, ()) if arrow.port != CLOSED_PORT]


def _ancestors(plan: Plan, node: int) -> set[int]:
    found: set[int] = set()
    work = [node]
    while work:
        for arrow in _arrows(plan, work.pop()):
            if arrow.source not in found:
                found.add(arrow.source)
                work.append(arrow.source)
    return found
