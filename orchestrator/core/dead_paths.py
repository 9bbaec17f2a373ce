"""Which steps of an open run can no longer run: told from the plan's arrows and from the steps that have ended.

`advance` sends every arrow one signal and writes no row for a step that none of them starts. Readers derive those
steps here, by the same rules: a step without a gate dies with its one arrow; a gate dies when every branch was
skipped (a branch that failed gives it a row of its own instead).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.core.advance import Signal
from orchestrator.core.document import FAILURE_PORTS
from orchestrator.core.plan import Arrow


def dead_steps(arrows: Iterable[Arrow], ends: Mapping[int, Sequence[str] | None]) -> frozenset[int]:
    """Name the nodes that will never run, whatever the open ones still do.

    `ends`: the ports by which each ended node was left; None when it failed and nothing was drawn for that. Linear in
    the arrows. `arrows` may hold those to the run's end, which then counts as a node.
    """
    outgoing: dict[int, list[Arrow]] = defaultdict(list)
    alive: dict[int, int] = defaultdict(int)
    for arrow in arrows:
        outgoing[arrow.source].append(arrow)
        alive[arrow.target] += 1
    dead: set[int] = set()
    work = [(arrow, _signal(arrow, ports)) for node, ports in ends.items() for arrow in outgoing.get(node, ())]
    while work:
        arrow, signal = work.pop()
        if signal is Signal.OK or (arrow.slot is not None and signal is Signal.FAIL):
            continue
        alive[arrow.target] -= 1
        if arrow.slot is not None and alive[arrow.target]:
            continue
        dead.add(arrow.target)
        onward: Sequence[str] | None = () if signal is Signal.SKIP else None
        work.extend((next_, _signal(next_, onward)) for next_ in outgoing.get(arrow.target, ()))
    return frozenset(dead)


def _signal(arrow: Arrow, ports: Sequence[str] | None) -> Signal:
    if ports is None:
        return Signal.SKIP if arrow.port in FAILURE_PORTS else Signal.FAIL
    return Signal.OK if arrow.port in ports else Signal.SKIP
