"""A document with the look-ups that its checks share, each made once."""

from collections.abc import Iterable, Mapping
from functools import cached_property

from orchestrator.core.document import FAILURE_PORTS, Document, Edge, Step
from orchestrator.core.graph import Ancestors, dominators, reversed_graph, successors, topological_order
from orchestrator.core.kinds import Kinds
from orchestrator.core.nearest import nearest
from orchestrator.core.titles import titled

MOST_GUESSES = 20  #: of one validation: with 2,000 names each takes some milliseconds
_PORT = "\0"  #: no key holds it, so "step\0port" is nobody's key


class Drawing:
    """Steps by key, sound edges, who comes before whom, and which ways exclude each other."""

    def __init__(self, document: Document, kinds: Kinds) -> None:
        self.document = document
        self.kinds = kinds
        self._guesses = MOST_GUESSES

    def guess(self, name: str, known: Iterable[str], count: int = 1) -> list[str]:
        """Names that somebody probably meant; none any more once there are many mistakes (see `MOST_GUESSES`)."""
        self._guesses -= 1
        return nearest(name, known, count) if self._guesses >= 0 else []

    @cached_property
    def steps(self) -> dict[str, Step]:
        """Steps by key; of two with one key, the first."""
        return {step.key: step for step in reversed(self.document.steps)}

    def title(self, key: str) -> str:
        """How messages name a step, quotes included; one that does not exist by its key."""
        step = self.steps.get(key)
        return titled(key, "") if step is None else step.title

    @cached_property
    def inside(self) -> dict[str, list[str]]:
        """Container -> the steps that name it as their parent."""
        found: dict[str, list[str]] = {}
        for step in self.steps.values():
            if step.parent is not None:
                found.setdefault(step.parent, []).append(step.key)
        return found

    def around(self, key: str) -> list[str] | None:
        """The containers that hold a step, inner first; None when they hold each other in a circle."""
        found: list[str] = []
        parent = self.steps[key].parent
        while parent is not None and parent in self.steps:
            if parent == key or parent in found:
                return None
            found.append(parent)
            parent = self.steps[parent].parent
        return found

    def locks_around(self, key: str) -> list[str]:
        """The locks of the containers that hold a step, inner first."""
        found = (self.steps[one].config.get("lock") for one in self.around(key) or ())
        return [lock for lock in found if isinstance(lock, str)]

    @cached_property
    def nested_locks(self) -> frozenset[tuple[str, str]]:
        """Each lock with every one that is taken inside it."""
        locks = ((key, step.config.get("lock")) for key, step in self.steps.items())
        return frozenset(
            (outer, lock) for key, lock in locks if isinstance(lock, str) for outer in self.locks_around(key)
        )

    @cached_property
    def edges(self) -> list[Edge]:
        """Edges between two different known steps, each once."""
        sound = (edge for edge in self.document.edges if edge.source in self.steps and edge.target in self.steps)
        return list(dict.fromkeys(edge for edge in sound if edge.source != edge.target))

    @cached_property
    def graph(self) -> dict[str, list[str]]:
        """Step -> steps that it leads to, in document order."""
        keys = (step.key for step in self.document.steps)
        return successors(keys, ((edge.source, edge.target) for edge in self.edges))

    @cached_property
    def sources(self) -> dict[str, list[str]]:
        """Step -> steps that lead to it."""
        return reversed_graph(self.graph)

    @cached_property
    def incoming(self) -> dict[str, list[Edge]]:
        """Step -> edges that lead to it."""
        found: dict[str, list[Edge]] = {key: [] for key in self.graph}
        for edge in self.edges:
            found[edge.target].append(edge)
        return found

    @cached_property
    def outgoing(self) -> dict[str, list[Edge]]:
        """Step -> edges that leave it."""
        found: dict[str, list[Edge]] = {key: [] for key in self.graph}
        for edge in self.edges:
            found[edge.source].append(edge)
        return found

    @cached_property
    def ancestors(self) -> Ancestors:
        """Who comes before whom."""
        return Ancestors(self.graph)

    @cached_property
    def on_or_after_cycle(self) -> frozenset[str]:
        """Steps that can never start, because a cycle waits for itself."""
        return frozenset(self.graph) - frozenset(topological_order(self.graph))

    @cached_property
    def ports(self) -> dict[str, tuple[str, ...]]:
        """Ports of every step of a known kind. A disabled step lets control pass by `out`, whatever its kind."""
        found = {}
        for key, step in self.steps.items():
            if step.kind in self.kinds:
                ports = self.kinds[step.kind].ports(step.config)
                found[key] = ("out", *ports) if step.disabled and "out" not in ports else ports
        return found

    @cached_property
    def _choosing(self) -> frozenset[str]:
        """Steps of which one port may be left while another one is taken, as drawn."""
        drawn_failures = {edge.source for edge in self.edges if edge.port in FAILURE_PORTS}
        several = {key for key, ports in self.ports.items() if len(set(ports) - FAILURE_PORTS) > 1}
        return frozenset(drawn_failures | several)

    def _leaving(self, edge: Edge) -> str:
        """The node of the way graph from which this edge goes."""
        return f"{edge.source}{_PORT}{edge.port}" if edge.source in self._choosing else edge.source

    @cached_property
    def _ways(self) -> dict[str, list[str]]:
        """The graph with a node for each drawn port of a choosing step."""
        ports = dict.fromkeys(self._leaving(edge) for edge in self.edges if edge.source in self._choosing)
        links = [(port.partition(_PORT)[0], port) for port in ports]
        links += [(self._leaving(edge), edge.target) for edge in self.edges]
        return successors([*self.graph, *ports], links)

    @cached_property
    def _dominators(self) -> Mapping[str, int]:
        return dominators(self._ways)

    @cached_property
    def _port_bits(self) -> dict[int, str]:
        return {index: node for index, node in enumerate(self._ways) if _PORT in node}

    @cached_property
    def _all_port_bits(self) -> int:
        return sum(1 << index for index in self._port_bits)

    def may_be_skipped(self, key: str, reader: str) -> str | None:
        """The step whose choice can leave out `key` while `reader` runs, if there is one.

        A port that every way to `key` passes, but not every way to `reader`, may be the one not taken.
        """
        met = self._dominators
        if key not in met or reader not in met:
            return None
        left_out = met[key] & ~met[reader] & self._all_port_bits
        if not left_out:
            return None
        return self._port_bits[left_out.bit_length() - 1].partition(_PORT)[0]

    def taken_together(self, key: str) -> list[tuple[Edge, ...]]:
        """The edges that leave a step, in groups: those of one group may be taken at once."""
        groups: dict[str, list[Edge]] = {}
        for edge in self.outgoing[key]:
            groups.setdefault(self.group(key, edge.port), []).append(edge)
        return [tuple(group) for group in groups.values()]

    def group(self, key: str, port: str) -> str:
        """Ports of one group can be taken together; ports of different groups exclude each other."""
        step = self.steps[key]
        inclusive = step.kind in self.kinds and self.kinds[step.kind].ports_from == "cases"
        inclusive = inclusive and step.config.get("mode", "exclusive") != "exclusive"
        return "" if inclusive and port not in FAILURE_PORTS and port != "otherwise" else port
