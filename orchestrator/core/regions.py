"""A region of a drawing: where control enters it, where it forks inside, and where it leaves."""

from collections import deque
from dataclasses import dataclass
from functools import cached_property

from orchestrator.core.document import FAILURE_PORTS, Edge, Region
from orchestrator.core.drawing import Drawing


@dataclass(frozen=True)
class Fork:
    """Edges of one step that may be taken together, of which at least one stays in the region."""

    step: str
    edges: tuple[Edge, ...]


class RegionView:
    """The known steps of a region, on one level. `index` is its place in the document."""

    def __init__(self, drawing: Drawing, index: int, region: Region) -> None:
        self.drawing = drawing
        self.index = index
        self.region = region
        self.steps = [key for key in dict.fromkeys(region.steps) if key in drawing.steps]
        self._members = frozenset(self.steps)
        self._found_before: dict[str, frozenset[str]] = {}

    @cached_property
    def entries(self) -> list[str]:
        """Steps at which control may come in: from outside, or because nothing leads to them."""
        incoming = self.drawing.incoming
        return [key for key in self.steps if not incoming[key] or any(not self.holds(e.source) for e in incoming[key])]

    def openers(self, entry: str) -> frozenset[str]:
        """The steps outside that lead to an entry; none for one that begins by itself."""
        return frozenset(edge.source for edge in self.drawing.incoming[entry] if not self.holds(edge.source))

    @cached_property
    def forks(self) -> list[Fork]:
        """Where more than one step may go on at once."""
        found = (Fork(key, edges) for key in self.steps for edges in self.drawing.taken_together(key))
        return [fork for fork in found if len(fork.edges) > 1 and any(self.holds(edge.target) for edge in fork.edges)]

    def exits_after(self, fork: Fork) -> list[str]:
        """The steps behind a fork from which control leaves the region by success, in document order."""
        reached = {edge.target for edge in fork.edges if self.holds(edge.target)}
        work = deque(reached)
        while work:
            for target in self.drawing.graph[work.popleft()]:
                if self.holds(target) and target not in reached:
                    reached.add(target)
                    work.append(target)
        return [key for key in self.steps if key in reached and key in self._exits]

    def branches_to(self, key: str, fork: Fork) -> int:
        """How many of the edges of a fork lead to a step by ways inside the region."""
        return sum(edge.target in self._before(key) for edge in fork.edges)

    def _before(self, key: str) -> frozenset[str]:
        """The step, and those that lead to it by ways inside the region. Found once for each step."""
        if key not in self._found_before:
            reached, work = {key}, deque([key])
            while work:
                for edge in self.drawing.incoming[work.popleft()]:
                    if self.holds(edge.source) and edge.source not in reached:
                        reached.add(edge.source)
                        work.append(edge.source)
            self._found_before[key] = frozenset(reached)
        return self._found_before[key]

    def holds(self, key: str) -> bool:
        """Whether a step is a member."""
        return key in self._members

    def waits(self, key: str) -> bool:
        """Whether a step waits for a person, an event or a time."""
        kind = self.drawing.kinds.get(self.drawing.steps[key].kind)
        return kind is not None and kind.group == "wait"

    @cached_property
    def _exits(self) -> frozenset[str]:
        return frozenset(
            edge.source
            for edge in self.drawing.edges
            if self.holds(edge.source) and not self.holds(edge.target) and edge.port not in FAILURE_PORTS
        )
