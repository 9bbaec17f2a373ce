"""Small algorithms over a directed graph: node -> successors. All iterative, linear but where it says otherwise."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

Graph = Mapping[str, Sequence[str]]


def successors(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The graph of these nodes; edges to or from anything else are left out, double ones are kept once."""
    graph: dict[str, list[str]] = {node: [] for node in nodes}
    seen: set[tuple[str, str]] = set()
    for source, target in edges:
        if source in graph and target in graph and (source, target) not in seen:
            seen.add((source, target))
            graph[source].append(target)
    return graph


def reversed_graph(graph: Graph) -> dict[str, list[str]]:
    """Every arrow turned round."""
    turned: dict[str, list[str]] = {node: [] for node in graph}
    for node, nexts in graph.items():
        for target in nexts:
            turned[target].append(node)
    return turned


def topological_order(graph: Graph) -> list[str]:
    """Nodes, each after all that lead to it; those on a cycle, and those after one, are missing (Kahn, 1962).

    Ties are resolved by the order of the mapping, so the same drawing always gives the same order.
    """
    missing = dict.fromkeys(graph, 0)
    for nexts in graph.values():
        for target in nexts:
            missing[target] += 1
    ready = deque(node for node, count in missing.items() if count == 0)
    order: list[str] = []
    while ready:
        node = ready.popleft()
        order.append(node)
        for target in graph[node]:
            missing[target] -= 1
            if missing[target] == 0:
                ready.append(target)
    return order


def components(graph: Graph) -> list[list[str]]:
    """Strongly connected components, each after all that it leads to (Tarjan, 1972, with a stack of our own)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_nodes: list[str] = []
    is_open: set[str] = set()
    found: list[list[str]] = []
    for root in graph:
        work = [(root, iter(graph[root]))] if root not in number else []
        while work:
            node, nexts = work[-1]
            if node not in number:
                number[node] = lowest[node] = len(number)
                open_nodes.append(node)
                is_open.add(node)
            for target in nexts:
                if target not in number:
                    work.append((target, iter(graph[target])))
                    break
                if target in is_open:
                    lowest[node] = min(lowest[node], number[target])
            else:
                work.pop()
                if work:
                    lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[node])
                if lowest[node] == number[node]:
                    found.append(_cut(open_nodes, is_open, node))
    return found


def _cut(open_nodes: list[str], is_open: set[str], node: str) -> list[str]:
    component = [open_nodes.pop()]
    while component[-1] != node:
        component.append(open_nodes.pop())
    is_open.difference_update(component)
    return component


def cycles(graph: Graph) -> list[list[str]]:
    """One concrete, shortest cycle of each knot of the graph, in the order of its first node ([a, b] = a -> b -> a).

    A node that leads to itself is a cycle of one.
    """
    place = {node: index for index, node in enumerate(graph)}
    found = []
    for component in components(graph):
        first = min(component, key=place.__getitem__)
        if len(component) > 1 or first in graph[first]:
            found.append(_cycle_through(graph, first, set(component)))
    return sorted(found, key=lambda cycle: place[cycle[0]])


def _cycle_through(graph: Graph, first: str, inside: set[str]) -> list[str]:
    came_from: dict[str, str] = {}
    queue = deque([first])
    while queue:
        node = queue.popleft()
        for target in graph[node]:
            if target == first:
                return _way_back(came_from, first, node)
            if target in inside and target not in came_from:
                came_from[target] = node
                queue.append(target)
    raise AssertionError(f'"{first}" lies on no cycle of its component.')


def _way_back(came_from: Mapping[str, str], first: str, last: str) -> list[str]:
    path = [last]
    while path[-1] != first:
        path.append(came_from[path[-1]])
    return path[::-1]


def reachable(graph: Graph, starts: Iterable[str]) -> set[str]:
    """The starts and everything that they lead to."""
    seen = {start for start in starts if start in graph}
    stack = list(seen)
    while stack:
        for target in graph[stack.pop()]:
            if target not in seen:
                seen.add(target)
                stack.append(target)
    return seen


class Ancestors:
    """Who comes before whom; cycles are fine (everybody on one comes before everybody on it).

    Sets are bits of an integer: 2,000 nodes with 5,000 edges take 1.3 MB at most and some milliseconds.
    """

    def __init__(self, graph: Graph) -> None:
        self._bit = {node: index for index, node in enumerate(graph)}
        self._before: dict[str, int] = dict.fromkeys(graph, 0)
        for component in reversed(components(graph)):
            if len(component) > 1 or component[0] in graph[component[0]]:
                members = sum(1 << self._bit[node] for node in component)
                everything = members
                for node in component:
                    everything |= self._before[node]
                for node in component:
                    self._before[node] = everything
            for node in component:
                reach = self._before[node] | 1 << self._bit[node]
                for target in graph[node]:
                    self._before[target] |= reach

    def leads_to(self, first: str, second: str) -> bool:
        """True when a path of at least one edge goes from `first` to `second`."""
        return bool(self._before[second] >> self._bit[first] & 1)


def dominators(graph: Graph) -> dict[str, int]:
    """For each node of an acyclic graph, the nodes that every path from a start passes (itself too), as bits.

    Bit i stands for the i-th node of the mapping. Nodes on or after a cycle are missing.
    """
    bit = {node: 1 << index for index, node in enumerate(graph)}
    met: dict[str, int] = {}
    for node in topological_order(graph):
        met[node] = met.get(node, 0) | bit[node]
        for target in graph[node]:
            met[target] = met[target] & met[node] if target in met else met[node]
    return {node: bits for node, bits in met.items() if bits & bit[node]}
