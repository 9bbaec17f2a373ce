"""Whether a join that waits for all its branches can fire in some run.

A branch fails for certain where a join on it lacks branches: its quorum is not reached, or it waits for all and one of
them failed so. Which do depends on the choices before; each way of them is tried. Where failures, time or other steps
may open or end ways, or the ways are too many, it counts as one that can: no join is refused that can fire.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Literal

from orchestrator.core.document import FAILURE_PORTS, Edge, Join
from orchestrator.core.drawing import Drawing

CANCEL = "cancel"
Signal = Literal["ok", "skip", "fail"]


def never_fires(drawing: Drawing, key: str, before: Sequence[str], most: int) -> tuple[list[str], int]:
    """The quorums that keep this join from firing, whatever is chosen (none when it can fire), and how many steps that
    took; `most` are looked at.

    `before`: the steps on the ways to it, in order, from one that all ways pass.
    """
    quorums = [at for at in before if _size(drawing, at) > 1 and _join(drawing, at).mode == "quorum"]
    if not quorums or any(step.kind == CANCEL for step in drawing.steps.values()):
        return [], 0
    if not all(_is_plain(drawing, at) for at in (*before, key)):
        return [], 0
    inside = {*before, key}
    leaving = {at: _leaving(drawing, at, inside) for at in before}
    if len(before) * prod(sum(2 ** len(ports) - 1 for ports in groups) for groups in leaving.values()) > most:
        return [], 0
    lacking: set[str] = set()
    visits = 0
    for chosen in product(*(list(_ways(groups)) for groups in leaving.values())):
        visits += len(before)
        signals = _signals(drawing, dict(zip(leaving, chosen, strict=True)), inside)
        told = [signals[edge] for edge in drawing.incoming[key]]
        if "fail" not in told and "ok" in told:
            return [], visits
        lacking.update(at for at in quorums if _fate(drawing, at, signals, inside) == "fail")
    return [step.key for step in drawing.document.steps if step.key in lacking], visits


def _join(drawing: Drawing, key: str) -> Join:
    return drawing.steps[key].join or Join()


def _size(drawing: Drawing, key: str) -> int:
    return len(drawing.incoming[key])


def _is_plain(drawing: Drawing, key: str) -> bool:
    """Whether nothing but the choices decides what follows from the step."""
    step, join = drawing.steps[key], _join(drawing, key)
    if step.disabled or key not in drawing.ports:
        return False
    if _size(drawing, key) < 2:
        return True
    tolerates = join.mode == "all" and join.tolerate is not None
    lenient = join.on_branch_failure == "continue" or join.deadline is not None or join.late == "cancel" or tolerates
    return not lenient and not any(edge.port in FAILURE_PORTS for edge in drawing.outgoing[key])


def _leaving(drawing: Drawing, key: str, inside: set[str]) -> list[list[str]]:
    """The ports by which a step may be left, in groups that exclude each other, with one that leads elsewhere."""
    drawn = {edge.port for edge in drawing.outgoing[key]}
    leads = {edge.port for edge in drawing.outgoing[key] if edge.target in inside}
    groups: dict[str, list[str]] = {}
    for port in drawing.ports[key]:
        if port in drawn or port not in FAILURE_PORTS:  # a failure that nobody takes opens no way
            groups.setdefault(drawing.group(key, port), []).append(port)
    return [
        [*(port for port in ports if port in leads), *[port for port in ports if port not in leads][:1]]
        for ports in groups.values()
    ]


def _ways(groups: Sequence[Sequence[str]]) -> Iterator[frozenset[str]]:
    for ports in groups:
        for mask in product((True, False), repeat=len(ports)):
            if any(mask):
                yield frozenset(port for port, is_taken in zip(ports, mask, strict=True) if is_taken)


def _signals(drawing: Drawing, chosen: Mapping[str, frozenset[str]], inside: set[str]) -> dict[Edge, Signal]:
    signals: dict[Edge, Signal] = {}
    for at, ports in chosen.items():
        fate = _fate(drawing, at, signals, inside)
        for edge in drawing.outgoing[at]:
            if fate == "ok":
                signals[edge] = "ok" if edge.port in ports else "skip"
            else:
                signals[edge] = "skip" if edge.port in FAILURE_PORTS else fate
    return signals


def _fate(drawing: Drawing, key: str, signals: Mapping[Edge, Signal], inside: set[str]) -> Signal:
    told = [signals[edge] for edge in drawing.incoming[key] if edge.source in inside]
    if not told:
        return "ok"  # all ways pass here
    if set(told) == {"skip"}:
        return "skip"
    join = _join(drawing, key)
    if len(told) > 1 and join.mode != "all":
        need = 1 if join.mode == "any" else join.quorum or 0
        return "ok" if told.count("ok") >= need else "fail"
    return "fail" if "fail" in told else "ok"
