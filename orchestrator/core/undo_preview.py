"""What would be undone if a step failed: told from the drawing alone, before any run."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.core.graph import successors, topological_order
from orchestrator.core.plan import Plan

Certainty = Literal["certain", "possible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoStep:
    """One step that an undo would come to. `stage` counts from 1; steps of one stage are undone side by side."""

    key: str
    stage: int
    certainty: Certainty
    has_undo: bool
    inside: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoPreview:
    """`steps` in the order of their undo; `irreversible` are those among them that act and have no undo."""

    steps: tuple[UndoStep, ...]
    irreversible: tuple[str, ...]


def undo_preview(plan: Plan, node: int) -> UndoPreview:
    """Name what is undone, and in which order, when the step `node` fails for good and the run is undone.

    Steps before it have happened unless a choice left them out; steps beside it may have happened; what comes after it
    has not. Steps in a container count with the container.
    """
    concerned = _concerned(plan, node)
    stages = _stages(plan, concerned)
    shown = [n for n in concerned if n in plan.undo or plan.steps[n].has_effects]
    steps = [_step(plan, n, stages[n], concerned[n]) for n in sorted(shown, key=lambda n: (stages[n], n))]
    ranks = {stage: rank for rank, stage in enumerate(sorted({step.stage for step in steps}), start=1)}
    return UndoPreview(
        steps=tuple(replace(step, stage=ranks[step.stage]) for step in steps),
        irreversible=tuple(step.key for step in steps if not step.has_undo),
    )


def _step(plan: Plan, node: int, stage: int, certainty: Certainty) -> UndoStep:
    step = plan.steps[node]
    inside = None if step.parent is None else plan.steps[step.parent].key
    return UndoStep(key=step.key, stage=stage, certainty=certainty, has_undo=node in plan.undo, inside=inside)


def _concerned(plan: Plan, node: int) -> dict[int, Certainty]:
    found: dict[int, Certainty] = {}
    for at in _levels(plan, node):
        before, after = _reach(plan, at, back=True), _reach(plan, at, back=False)
        level = {step.node for step in plan.steps if step.parent == plan.steps[at].parent}
        found |= dict.fromkeys(before, "certain")
        found |= dict.fromkeys(level - before - after - {at}, "possible")
    for step in plan.steps:  # a container is numbered before its steps
        if step.parent is not None and step.parent in found:
            found.setdefault(step.node, found[step.parent])
    return found


def _levels(plan: Plan, node: int) -> list[int]:
    """The step and the containers around it."""
    found = [node]
    while (parent := plan.steps[found[-1]].parent) is not None:
        found.append(parent)
    return found


def _reach(plan: Plan, node: int, *, back: bool) -> set[int]:
    seen: set[int] = set()
    stack = [node]
    while stack:
        at = stack.pop()
        arrows = plan.in_arrows.get(at, ()) if back else plan.out_arrows.get(at, ())
        for arrow in arrows:
            next_ = arrow.source if back else arrow.target
            if next_ < plan.end and next_ not in seen:
                seen.add(next_)
                stack.append(next_)
    return seen


def _stages(plan: Plan, concerned: Mapping[int, Certainty]) -> dict[int, int]:
    """After how many undo steps each comes: the longest way back to it from the latest ones."""
    graph = _backwards(plan, concerned)
    stages: dict[str, int] = defaultdict(lambda: 1)
    for place in topological_order(graph):
        node = int(place[1:])
        after = stages[place] + (place.startswith(_LEAVES) and node in plan.undo)
        for earlier in graph[place]:
            stages[earlier] = max(stages[earlier], after)
    return {node: stages[f"{_LEAVES}{node}"] for node in concerned}


_ENTERS, _LEAVES = "+", "-"


def _backwards(plan: Plan, concerned: Mapping[int, Certainty]) -> dict[str, list[str]]:
    """Later -> earlier. A container is entered before, and left after, everything in it."""
    links: list[tuple[str, str]] = []
    for node in concerned:
        links.append((f"{_LEAVES}{node}", f"{_ENTERS}{node}"))
        links += [(f"{_ENTERS}{node}", f"{_LEAVES}{arrow.source}") for arrow in plan.in_arrows.get(node, ())]
        parent = plan.steps[node].parent
        if parent is not None:
            links += [(f"{_LEAVES}{parent}", f"{_LEAVES}{node}"), (f"{_ENTERS}{node}", f"{_ENTERS}{parent}")]
    places = [f"{side}{node}" for node in sorted(concerned, reverse=True) for side in (_LEAVES, _ENTERS)]
    return successors(places, links)
