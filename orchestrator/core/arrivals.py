"""How many branches of a join can arrive in one run, whatever is chosen on the way.

Exact as long as the budget lasts and failures open no way (a join that bears them, or that has an error port of its
own); else an upper bound, so that no join is refused that can fire.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from heapq import heappop, heappush

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT, FAILURE_PORTS, Edge
from orchestrator.core.drawing import Drawing
from orchestrator.core.fates import never_fires
from orchestrator.core.graph import topological_order

MOST_VISITS = 100_000  #: steps looked at in one validation: less than half a second
MOST_FOR_ONE = 30_000  #: of them for one join
EDGES_OF_A_VISIT = 4  #: so many edges to the join cost what a step does
MOST_NESTED = 150  #: choices inside each other, each a call of its own: far from Python's limit


@dataclass(frozen=True, slots=True)
class _Ways:
    """The steps before a join that matter, in order; `roots` are those that always run.

    `by_failures`: some of them may be reached by a failure.
    """

    steps: Sequence[str]
    roots: Collection[str]
    by_failures: bool


@dataclass(frozen=True, slots=True)
class _Flow:
    """What can happen once some choices are made, those that are open being taken all ways at once.

    `taken`: edges; `failed`: edges that may tell of a failure; `behind`: the open choices behind each step, as bits
    (where it may also be reached by a failure, fewer: then it counts as free of them).
    """

    taken: set[Edge] = field(default_factory=set)
    failed: set[Edge] = field(default_factory=set)
    behind: dict[str, int] = field(default_factory=dict)


class Arrivals:
    """Tries the choices on the way to a join; those that share no branch are tried apart from each other."""

    def __init__(self, drawing: Drawing) -> None:
        self.drawing = drawing
        self._left = MOST_VISITS
        self._kept = 0

    def lacking(self, key: str) -> list[str]:
        """The quorums before a join for all (on no cycle) that keep it from firing in every run; none if it can."""
        if not self._has_quorums or self._left <= 0:
            return []
        before = self._before(key)
        lacking, visits = never_fires(self.drawing, key, before, min(self._left, MOST_FOR_ONE))
        self._left -= visits
        return lacking

    @cached_property
    def _has_quorums(self) -> bool:
        return any(step.join is not None and step.join.mode == "quorum" for step in self.drawing.steps.values())

    def most(self, key: str) -> int:
        """The most branches of a step (on no cycle) that can arrive in one run, or more."""
        edges = self.drawing.incoming[key]
        if self._left <= 0 or not edges:
            return len(edges)
        self._kept = self._left - MOST_FOR_ONE
        before = self._before(key)
        inside = set(before)
        roots = {at for at in before if inside.isdisjoint(self.drawing.sources[at])}
        by_failures = any(self._need[at] == 0 or self._fails_unstarted(at) for at in before if at not in roots)
        return self._most(edges, _Ways(before, roots, by_failures), {})

    def _before(self, key: str) -> list[str]:
        """The steps on the ways to this one, back to the last one that all ways pass."""
        found: list[str] = []
        seen: set[str] = set()
        waiting: list[tuple[int, str]] = []
        at = key
        while True:
            for source in self.drawing.sources[at]:
                if source not in seen:
                    seen.add(source)
                    heappush(waiting, (-self._place[source], source))
            if not waiting:
                return found[::-1]
            all_pass = len(waiting) == 1
            at = heappop(waiting)[1]
            self._left -= 1
            found.append(at)
            if all_pass:
                return found[::-1]

    @cached_property
    def _place(self) -> dict[str, int]:
        return {key: place for place, key in enumerate(topological_order(self.drawing.graph))}

    def _most(self, edges: Sequence[Edge], ways: _Ways, made: Mapping[str, str]) -> int:
        if self._left < max(self._kept, 0) or len(made) > MOST_NESTED:
            return len(edges)
        flow = self._flow(edges, ways, made)
        arriving = [edge for edge in edges if edge in flow.taken]
        bound = [edge for edge in arriving if flow.behind[edge.source]]
        total = len(arriving) - len(bound)
        for part, bits in _apart(bound, flow.behind):
            inner = self._narrowed(part, ways, flow)
            first = next(at for at in inner.steps if bits >> self._place[at] & 1)
            best = 0
            for group in self._groups(first, {*inner.steps, part[0].target}):
                if best < len(part):
                    best = max(best, self._most(part, inner, {**made, first: group}))
            total += best
        return total

    def _narrowed(self, edges: Sequence[Edge], ways: _Ways, flow: _Flow) -> _Ways:
        """Only the steps from which something can still come to these edges."""
        wanted = {edge.source for edge in edges}
        steps = []
        for at in reversed(ways.steps):
            if at in wanted:
                steps.append(at)
                arrows = self.drawing.incoming[at]
                wanted.update(edge.source for edge in arrows if edge in flow.taken or edge in flow.failed)
        return replace(ways, steps=steps[::-1])

    def _flow(self, edges: Sequence[Edge], ways: _Ways, made: Mapping[str, str]) -> _Flow:
        self._left -= len(ways.steps) + len(edges) // EDGES_OF_A_VISIT
        inside = {*ways.steps, edges[0].target}
        flow = _Flow()
        for at in ways.steps:
            groups = self._groups(at, inside)
            is_open = at not in made and len(groups) > 1
            if at in made:
                groups = {group: leaving for group, leaving in groups.items() if group == made[at]}
            arrived = [edge for edge in self.drawing.incoming[at] if edge in flow.taken]
            failed = any(edge in flow.failed for edge in self.drawing.incoming[at])
            flow.behind[at] = is_open << self._place[at]
            for edge in arrived:
                flow.behind[at] |= flow.behind[edge.source]
            is_root = at in ways.roots
            touched = is_root or failed or bool(arrived) or self._has_deadline(at)
            runs = is_root or (touched and len(arrived) >= self._need[at])
            for group, leaving in groups.items():
                if runs or (touched and group == ERROR_PORT and self._fails_unstarted(at)):
                    flow.taken.update(leaving)
            if ways.by_failures and touched and (failed or not self._handles_failure(at)):
                flow.failed.update(edge for edge in self.drawing.outgoing[at] if edge.port not in FAILURE_PORTS)
        return flow

    def _groups(self, key: str, inside: Collection[str]) -> dict[str, list[Edge]]:
        """The ways to leave a step for another one inside; only edges of one group are taken in one run."""
        found: dict[str, list[Edge]] = {}
        for edge, group in self._leaving[key]:
            if edge.target in inside:
                found.setdefault(group, []).append(edge)
        return found

    @cached_property
    def _leaving(self) -> dict[str, list[tuple[Edge, str]]]:
        outgoing = self.drawing.outgoing.items()
        return {
            key: [(edge, self.drawing.group(key, edge.port)) for edge in edges if self._is_possible(edge)]
            for key, edges in outgoing
        }

    def _is_possible(self, edge: Edge) -> bool:
        """A disabled step passes control on by `out` and never fails, except as a join."""
        unstarted = edge.port == ERROR_PORT and self._fails_unstarted(edge.source)
        return not self.drawing.steps[edge.source].disabled or edge.port == DEFAULT_PORT or unstarted

    @cached_property
    def _need(self) -> dict[str, int]:
        return {key: self._needed(key) for key in self.drawing.graph}

    def _needed(self, key: str) -> int:
        """How many branches must succeed before a step runs; 0 where failures are enough, or a deadline."""
        size, join = len(self.drawing.incoming[key]), self.drawing.steps[key].join
        if size < 2 or join is None:
            return min(size, 1)
        if join.on_branch_failure == "continue" or (join.deadline is not None and join.on_deadline == "proceed"):
            return 0
        if join.mode == "quorum":
            return join.quorum or 0
        return 0 if join.mode == "all" and join.tolerate and join.tolerate.of(size) > 0 else 1

    def _fails_unstarted(self, key: str) -> bool:
        """Whether a join that cannot be satisfied leaves by the error port of its step, which never ran."""
        return len(self.drawing.incoming[key]) > 1 and self._handles_failure(key)

    def _handles_failure(self, key: str) -> bool:
        return any(edge.port == ERROR_PORT for edge in self.drawing.outgoing[key])

    def _has_deadline(self, key: str) -> bool:
        """Whether something follows from this join though nothing but skipped branches may have come."""
        join = self.drawing.steps[key].join
        return len(self.drawing.incoming[key]) > 1 and join is not None and join.deadline is not None


def _apart(edges: Sequence[Edge], behind: Mapping[str, int]) -> list[tuple[list[Edge], int]]:
    """The edges in parts that depend on no common choice, each with its choices."""
    parts: list[tuple[list[Edge], int]] = []
    for edge in edges:
        together, bits = [edge], behind[edge.source]
        others = []
        for part, choices in parts:
            if choices & bits:
                together, bits = [*part, *together], bits | choices
            else:
                others.append((part, choices))
        parts = [*others, (together, bits)]
    return parts
