"""Which steps belong to the branches of a join and to nothing else: what may be cancelled once it is decided."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Protocol, Self, TypeVar


class _Sorted(Protocol):
    def __lt__(self, other: Self, /) -> bool: ...
    def __hash__(self) -> int: ...


Node = TypeVar("Node", bound=_Sorted)


def branch_of(arrows: Iterable[tuple[Node, Node]], join: Node) -> tuple[Node, ...]:
    """Name the steps from which every drawn way leads to `join`, in order. `arrows` are (source, target) of each edge.

    A way that stops before it reaches another step counts as leading there: nothing but the end of the run waits for
    it. Linear in the arrows, and safe on cycles.
    """
    sources: dict[Node, list[Node]] = defaultdict(list)
    elsewhere: Counter[Node] = Counter()
    for source, target in arrows:
        sources[target].append(source)
        elsewhere[source] += 1
    found: list[Node] = []
    reached = [join]
    while reached:
        for source in sources[reached.pop()]:
            elsewhere[source] -= 1
            if not elsewhere[source] and source != join:
                found.append(source)
                reached.append(source)
    return tuple(sorted(found))
