"""Where control must stand in one scope, told from how its steps have ended: `advance`, run again from the start.

An operator's retry or rerun forgets some ends. What gates have counted and which steps hold a token then follows from
the ends that are left, by the same rules that led there the first time, so no counter is ever taken back by hand.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.core.advance import Effects, Signal, advance, closed, fail, skip
from orchestrator.core.plan import Plan, PlanGate, failure_port

#: node -> the ports by which its step was left; None when it failed and nothing was drawn for that.
Ends = Mapping[int, Sequence[str] | None]


class Verdict(StrEnum):
    """What a gate has decided, as its row says it."""

    OPEN = "O"
    FIRED = "F"
    FAILED = "X"
    SKIPPED = "S"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One arrow's signal at a gate. `cause`: the node whose end sent it; a failed gate sends in its own name."""

    signal: Signal
    cause: int


@dataclass(slots=True)
class ReplayedGate:
    """A gate as it must stand: slot -> arrival, and its verdict. `anew`: what it had decided before holds no more."""

    arrivals: dict[int, Arrival] = field(default_factory=dict)
    verdict: Verdict = Verdict.OPEN
    anew: bool = False

    def counts(self) -> tuple[int, int, int]:
        """How many arrived ok, skipped, failed."""
        came = Counter(arrival.signal for arrival in self.arrivals.values())
        return came[Signal.OK], came[Signal.SKIP], came[Signal.FAIL]


@dataclass(slots=True)
class Replayed:
    """Where a scope stands.

    `holds`: steps (or the end's number) that must have a token now -> the nodes whose ends led there.
    `counted`: the ends that led anywhere; others belong to paths that were never taken and count for nothing.
    """

    gates: dict[int, ReplayedGate] = field(default_factory=dict)
    holds: dict[int, tuple[int, ...]] = field(default_factory=dict)
    counted: set[int] = field(default_factory=set)

    @property
    def blocked(self) -> frozenset[int]:
        """Joins that failed without having started."""
        return frozenset(node for node, gate in self.gates.items() if gate.verdict is Verdict.FAILED)


def judge(gate: PlanGate, ok: int, skipped: int, failed: int, *, is_end: bool = False) -> Verdict:
    """What a gate decides once these signals have come. A verdict, once reached, is not changed by later ones."""
    complete = ok + skipped + failed == gate.size
    if gate.mode == "N" and ok >= gate.need:
        return Verdict.FIRED
    if _is_hopeless(gate, ok, skipped, failed, complete=complete):
        return Verdict.FAILED
    if skipped == gate.size and not is_end:
        return Verdict.SKIPPED
    return Verdict.FIRED if complete else Verdict.OPEN


def _is_hopeless(gate: PlanGate, ok: int, skipped: int, failed: int, *, complete: bool) -> bool:
    if gate.mode == "A":
        return failed > gate.tolerate and (complete or gate.on_branch_failure == "abort")
    out_of_reach = gate.size - skipped - failed < gate.need
    return gate.on_branch_failure != "continue" and ok + failed > 0 and out_of_reach


def replay(
    plan: Plan, ends: Ends, *, decided: Mapping[int, Verdict] | None = None, cancelled: Collection[int] = ()
) -> Replayed:
    """Compute where a scope stands from how its steps have ended; linear in the arrows, times the joins that cancel.

    `decided`: gates whose verdict is known, whatever has arrived (their deadline passed).
    `cancelled`: steps that a join's verdict took away. They stay so only while a verdict still does that.
    """
    gone: frozenset[int] = frozenset()
    while True:
        found = _Replay(plan, ends, decided or {}, gone).run()
        more = frozenset(cancelled) & _unwanted(plan, found) - gone
        if not more:
            return found
        gone |= more


def _unwanted(plan: Plan, standing: Replayed) -> frozenset[int]:
    verdicts = {Verdict.FIRED, Verdict.FAILED}
    closed_gates = (plan.gates[node] for node, gate in standing.gates.items() if gate.verdict in verdicts)
    return frozenset(node for gate in closed_gates if gate.cancels for node in gate.branch)


class _Replay:
    """The work list of one replay: no recursion, for a drawing may be 2,000 steps deep."""

    def __init__(self, plan: Plan, ends: Ends, decided: Mapping[int, Verdict], gone: frozenset[int]) -> None:
        self._plan, self._ends, self._decided, self._gone = plan, ends, decided, gone
        self._found = Replayed()
        self._work: list[tuple[Effects, int]] = []

    def run(self) -> Replayed:
        for node in self._plan.starts:
            self._reach(node, ())
        self._work_through()
        # Lowest first: what one of them starts may lead to the next.
        for node in sorted(self._decided):
            gate = self._gate(node)
            if gate.verdict is Verdict.OPEN:
                gate.verdict = self._decided[node]
                self._follow(node, gate, node)
                self._work_through()
        return self._found

    def _work_through(self) -> None:
        while self._work:
            effects, cause = self._work.pop()
            for node in effects.starts:
                self._reach(node, (cause,))
            for gate, slot, signal in effects.signals:
                self._arrive(gate, slot, Arrival(signal, cause))

    def _gate(self, node: int) -> ReplayedGate:
        return self._found.gates.setdefault(node, ReplayedGate())

    def _reach(self, node: int, causes: tuple[int, ...]) -> None:
        if node in self._gone:
            self._found.counted.add(node)
            self._work.append((skip(self._plan, node), node))
            return
        if node not in self._ends:
            self._found.holds[node] = causes
            return
        self._found.counted.add(node)
        ports = self._ends[node]
        self._work.append((fail(self._plan, node) if ports is None else advance(self._plan, node, ports), node))

    def _arrive(self, node: int, slot: int, arrival: Arrival) -> None:
        gate, drawn = self._gate(node), self._plan.gates[node]
        gate.arrivals[slot] = arrival
        if gate.verdict is Verdict.OPEN:
            verdict = judge(drawn, *gate.counts(), is_end=node == self._plan.end)
            gate.verdict = verdict if self._decided.get(node, verdict) is verdict else Verdict.OPEN
            self._follow(node, gate, arrival.cause)
        if len(gate.arrivals) == drawn.size:
            self._work.append((closed(self._plan, node), arrival.cause))

    def _follow(self, node: int, gate: ReplayedGate, cause: int) -> None:
        if gate.verdict is Verdict.FIRED:
            self._reach(node, _causes(gate))
        elif gate.verdict is Verdict.SKIPPED:
            self._work.append((skip(self._plan, node), cause))
        elif gate.verdict is Verdict.FAILED and node != self._plan.end:
            self._work.append((fail(self._plan, node), node))


def _causes(gate: ReplayedGate) -> tuple[int, ...]:
    return tuple(gate.arrivals[slot].cause for slot in sorted(gate.arrivals) if gate.arrivals[slot].signal is Signal.OK)


def unhandled(plan: Plan, ends: Ends, standing: Replayed) -> frozenset[int]:
    """Name the steps whose failure still counts: nobody took it, and no join has gone on without them."""
    known: dict[int, bool] = {}

    def counts(node: int) -> bool:
        if node not in known:
            known[node] = any(
                signal is Signal.FAIL and still_counts(gate) for gate, _slot, signal in fail(plan, node).signals
            )
        return known[node]

    def still_counts(gate: int) -> bool:
        verdict = standing.gates[gate].verdict
        if gate == plan.end or verdict is Verdict.OPEN:
            return True
        return verdict is Verdict.FAILED and failure_port(plan, gate, timed_out=False) is None and counts(gate)

    # Highest first: gates only signal higher ones, so nothing recurses deeper than one gate.
    for gate in sorted(standing.blocked - {plan.end}, reverse=True):
        counts(gate)
    return frozenset(node for node in standing.counted if node in ends and ends[node] is None and counts(node))


def descendants(plan: Plan, node: int) -> frozenset[int]:
    """Everything behind a step, the end's number too; not the step itself."""
    found: set[int] = set()
    work = [node]
    while work:
        for arrow in plan.out_arrows.get(work.pop(), ()):
            if arrow.target not in found:
                found.add(arrow.target)
                work.append(arrow.target)
    return frozenset(found)
