"""What would be undone if a step failed: told from the drawing alone, before any run."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.core.document import FOR_EACH, REPEAT, SCOPE
from orchestrator.core.failure_course import Certainty, Course, GoesOn, failure_course
from orchestrator.core.foregone import Foregone
from orchestrator.core.graph import successors, topological_order
from orchestrator.core.plan import Plan

Concerned = dict[int, Certainty]


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoStep:
    """One step that an undo would come to: "certain" if it must have succeeded, "possible" if it may have.

    `by` is the scope that undoes it alone; None: it is undone with the run. `stage` counts from 1 for each of them;
    steps of one stage are undone side by side.
    """

    key: str
    stage: int
    certainty: Certainty
    has_undo: bool
    inside: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoPreview:
    """`steps` in the order of their undo; `irreversible` are those among them that act and have no undo.

    `goes_on`: where the run goes on in spite of the failure. `run_fails`: whether it comes to the run's end.
    """

    steps: tuple[UndoStep, ...]
    irreversible: tuple[str, ...]
    goes_on: tuple[GoesOn, ...]
    run_fails: Certainty | Literal["never"]


def undo_preview(plan: Plan, node: int) -> UndoPreview:
    """Name what is undone, and in which order, when the step `node` fails for good and a failed run is undone.

    A failure that an error port or a join takes undoes nothing; a scope may undo what is in it alone; what comes to the
    run's end undoes all that happened. A step that another cause has failed, or that an operator has skipped, is not
    thought of.
    """
    course = failure_course(plan, node)
    failed = [one.node for one in course.failed]
    steps = [step for by, concerned in _groups(plan, node, course) for step in _ordered(plan, by, concerned, failed)]
    return UndoPreview(
        steps=tuple(steps),
        irreversible=tuple(dict.fromkeys(step.key for step in steps if not step.has_undo)),
        goes_on=course.goes_on,
        run_fails=course.run_fails,
    )


def _groups(plan: Plan, node: int, course: Course) -> Iterator[tuple[int | None, Concerned]]:
    """What is undone together: by each scope on the way, then with the run."""
    foregone = Foregone(plan)
    concerned: Concerned = dict.fromkeys(_inside(plan, [node]), "possible")
    if _undoes_alone(plan, node) and concerned:
        yield node, concerned
        concerned = {}
    if node not in plan.bodies:
        # A step that ran out of its time, or lost its worker, may have acted; a sub-workflow however it ended.
        concerned[node] = "possible"
    for failed in course.failed:
        concerned |= _level(plan, foregone, failed.node)
        parent = plan.steps[failed.node].parent
        if failed.undone is not None:
            yield failed.undone, _as_certain_as(failed.certainty, concerned)
            concerned = {}
        elif parent is not None and plan.steps[parent].kind in (FOR_EACH, REPEAT):
            others: Concerned = dict.fromkeys(_inside(plan, [parent]), "possible")  # of other items and turns
            concerned = others | concerned
    if course.run_fails != "never":
        yield None, _as_certain_as(course.run_fails, concerned)


def _as_certain_as(failure: Certainty, concerned: Concerned) -> Concerned:
    return concerned if failure == "certain" else dict.fromkeys(concerned, "possible")


def _level(plan: Plan, foregone: Foregone, node: int) -> Concerned:
    """What has, or may have, happened around a step that failed, with all that lies inside it."""
    found: Concerned = dict.fromkeys(foregone.possible(node), "possible")
    found |= dict.fromkeys(foregone.certain(node), "certain")
    undone_before = {one for one in foregone.failed(node) if _undoes_alone(plan, one)}
    found = {**dict.fromkeys(_inside(plan, found.keys() - undone_before), "possible"), **found}
    work = [one for one, certainty in found.items() if certainty == "certain"]
    while work:
        at = work.pop()
        if at in plan.bodies and foregone.is_certain_whole(at):
            inner = foregone.certain(plan.bodies[at].end)
            found |= dict.fromkeys(inner, "certain")
            work += inner
    return found


def _undoes_alone(plan: Plan, node: int) -> bool:
    step = plan.steps[node]
    return step.kind == SCOPE and step.config.get("on_failure") == "undo"


def _inside(plan: Plan, containers: Iterable[int]) -> list[int]:
    """All that lies in these containers, at any depth."""
    holders = set(containers)
    found = []
    for step in plan.steps:  # a container is numbered before its steps
        if step.parent in holders:
            found.append(step.node)
            holders.add(step.node)
    return found


def _ordered(plan: Plan, by: int | None, concerned: Concerned, failed: Iterable[int]) -> list[UndoStep]:
    stages = _stages(plan, concerned.keys() & plan.undo.keys(), {*concerned, *failed})
    shown = [n for n in concerned if n in plan.undo or plan.steps[n].has_effects]
    steps = [_step(plan, n, stages[n], concerned[n]) for n in sorted(shown, key=lambda n: (stages[n], n))]
    ranks = {stage: rank for rank, stage in enumerate(sorted({step.stage for step in steps}), start=1)}
    scope = None if by is None else plan.steps[by].key
    return [replace(step, stage=ranks[step.stage], by=scope) for step in steps]


def _step(plan: Plan, node: int, stage: int, certainty: Certainty) -> UndoStep:
    step = plan.steps[node]
    inside = None if step.parent is None else plan.steps[step.parent].key
    return UndoStep(key=step.key, stage=stage, certainty=certainty, has_undo=node in plan.undo, inside=inside)


def _stages(plan: Plan, undone: Collection[int], concerned: Collection[int]) -> dict[int, int]:
    """After how many undo steps each comes: the longest way back to it from the latest ones.

    What failed is one of those concerned: it stands between what is in it and what was before it.
    """
    graph = _backwards(plan, concerned)
    stages: dict[str, int] = defaultdict(lambda: 1)
    for place in topological_order(graph):
        node = int(place[1:])
        after = stages[place] + (place.startswith(_LEAVES) and node in undone)
        for earlier in graph[place]:
            stages[earlier] = max(stages[earlier], after)
    return {node: stages[f"{_LEAVES}{node}"] for node in concerned}


_ENTERS, _LEAVES = "+", "-"


def _backwards(plan: Plan, concerned: Collection[int]) -> dict[str, list[str]]:
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
