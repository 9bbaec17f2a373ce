"""What follows when a step ends: a pure function from plan and outcome to effects.

Every arrow of the plan gets exactly one signal in a run (ok, skip or fail), so every join has a known size. A step
without a gate has one incoming arrow: when that arrow is dead, so are all of the step's own, and the signal goes on
to the gates behind it (dead-path elimination).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from orchestrator.core.document import FAILURE_PORTS
from orchestrator.core.plan import CLOSED_PORT, EXIT_PORT, Arrow, Plan, failure_port


class Signal(IntEnum):
    """What an arrow tells the gate it leads to."""

    OK = 0
    SKIP = 1
    FAIL = 2


@dataclass(frozen=True, slots=True)
class Effects:
    """`signals` are (gate, slot, signal); `starts` are steps without a gate that may begin at once."""

    signals: tuple[tuple[int, int, Signal], ...] = ()
    starts: tuple[int, ...] = ()

    def flat(self) -> list[int]:
        """The signals as the SQL reads them: gate, slot, signal, gate, ..."""
        return [int(part) for triple in self.signals for part in triple]


def advance(plan: Plan, node: int, ports: Iterable[str]) -> Effects:
    """Name what follows when `node` succeeded and control leaves it by `ports`."""
    taken = set(ports)
    return _effects(plan, [(arrow, _signal_of(plan, arrow, taken)) for arrow in _leaving(plan, node)])


def fail(plan: Plan, node: int, *, timed_out: bool = False) -> Effects:
    """Name what follows when `node` failed for good: its drawn failure port, else failure of everything behind it."""
    port = failure_port(plan, node, timed_out=timed_out)
    if port is not None:
        taken = {port}
        arrows = [(arrow, Signal.OK if arrow.port in taken else Signal.SKIP) for arrow in _leaving(plan, node)]
        return _effects(plan, arrows)
    return _effects(plan, [(arrow, _failed(arrow)) for arrow in _leaving(plan, node)])


def skip(plan: Plan, node: int) -> Effects:
    """Name what follows when `node` will never run because its path was not taken."""
    return _effects(plan, [(arrow, Signal.SKIP) for arrow in _leaving(plan, node)])


def closed(plan: Plan, node: int) -> Effects:
    """Name what follows when the last branch has arrived at a gate that may have fired before."""
    arrows = [arrow for arrow in plan.out_arrows.get(node, ()) if arrow.port == CLOSED_PORT]
    return _effects(plan, [(arrow, Signal.SKIP) for arrow in arrows])


def _leaving(plan: Plan, node: int) -> list[Arrow]:
    return [arrow for arrow in plan.out_arrows.get(node, ()) if arrow.port != CLOSED_PORT]


def _signal_of(plan: Plan, arrow: Arrow, taken: set[str]) -> Signal:
    if arrow.port != EXIT_PORT:
        return Signal.OK if arrow.port in taken else Signal.SKIP
    drawn = {other.port for other in plan.out_arrows[arrow.source]}
    return Signal.OK if not taken or taken - drawn else Signal.SKIP


def _failed(arrow: Arrow) -> Signal:
    return Signal.SKIP if arrow.port in FAILURE_PORTS else Signal.FAIL


def _effects(plan: Plan, arrows: list[tuple[Arrow, Signal]]) -> Effects:
    signals: list[tuple[int, int, Signal]] = []
    starts: list[int] = []
    pending = list(reversed(arrows))
    while pending:
        arrow, signal = pending.pop()
        if arrow.slot is not None:
            signals.append((arrow.target, arrow.slot, signal))
        elif signal is Signal.OK:
            starts.append(arrow.target)
        else:
            onward = _leaving(plan, arrow.target)
            dead = [(next_, signal if signal is Signal.SKIP else _failed(next_)) for next_ in onward]
            pending.extend(reversed(dead))
    return Effects(tuple(signals), tuple(starts))
