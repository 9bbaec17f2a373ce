"""What is wrong with regions: whom they hold, and whether their steps keep to the pattern that they declare.

sequence: one way in and no fork, so no two of its steps run at once (an exclusive choice is no fork).
parallel: opened at one place; every branch that is opened inside meets the others inside, or ends there.
event: control comes in only at steps that wait, or with the start of the run.
Failure ports may leave a region anywhere.
"""

from collections.abc import Iterator

from orchestrator.core.document import Region
from orchestrator.core.drawing import Drawing
from orchestrator.core.fixes import removal, setting
from orchestrator.core.problem import Fix, Problem, Severity
from orchestrator.core.regions import Fork, RegionView

MOST_NAMED = 5  # steps in one message


def region_problems(drawing: Drawing) -> Iterator[Problem]:
    """Problems of all regions, in document order. Members that do not exist are another check's."""
    held: dict[str, Region] = {}
    for index, region in enumerate(drawing.document.regions):
        view = RegionView(drawing, index, region)
        if not region.steps:
            fix = removal("Remove the region", f"/regions/{index}")
            yield _of(view, "region_empty", "holds no steps. Put some in, or remove it.", fix=fix, is_warning=True)
        found = [*_level_problems(view), *_overlap_problems(view, held)]
        yield from found
        if not found and view.steps:
            yield from _PATTERNS[region.pattern](view)


def _of(
    view: RegionView,
    code: str,
    text: str,
    *,
    step: str | None = None,
    field: str = "",
    fix: Fix | None = None,
    is_warning: bool = False,
) -> Problem:
    severity: Severity = "warning" if is_warning else "error"
    message = f"The region {view.region.title} {text}"
    field = f"regions.{view.index}{field}"
    return Problem(code=code, message=message, severity=severity, step=step, field=field, fix=fix)


def _level_problems(view: RegionView) -> Iterator[Problem]:
    level = view.drawing.steps[view.steps[0]].parent if view.steps else None
    for key in view.steps:
        parent = view.drawing.steps[key].parent
        if parent != level:
            where = "the top level" if level is None else f"the container {view.drawing.title(level)}"
            text = (
                f"lies on {where}, but its step {view.drawing.title(key)} does not. "
                "Take it out: a region holds steps of one level."
            )
            place = view.region.steps.index(key)
            fix = removal("Take it out", f"/regions/{view.index}/steps/{place}")
            yield _of(view, "region_levels", text, step=key, field=f".steps.{place}", fix=fix)


def _overlap_problems(view: RegionView, held: dict[str, Region]) -> Iterator[Problem]:
    for place, key in enumerate(view.region.steps):
        other = held.setdefault(key, view.region)
        if view.region.steps.index(key) < place or other.key != view.region.key:
            twice = "names it twice" if other.key == view.region.key else f"shares it with the region {other.title}"
            text = f"has the step {view.drawing.title(key)}, but {twice}. Take it out: a step belongs to one region."
            fix = removal("Take it out", f"/regions/{view.index}/steps/{place}")
            yield _of(view, "region_overlap", text, step=key, field=f".steps.{place}", fix=fix)


def _sequence_problems(view: RegionView) -> Iterator[Problem]:
    if len(view.entries) > 1:
        text = (
            f"is a sequence, but control comes in at {_named(view, view.entries)}. Lead one to the other, or let it go."
        )
        yield _of(view, "region_second_entry", text, step=view.entries[1])
    for fork in view.forks:
        text = (
            f"is a sequence, but {view.drawing.title(fork.step)} leads to "
            f"{_named(view, [edge.target for edge in fork.edges])} at once. "
            "Draw them one after the other, or declare it parallel."
        )
        fix = setting("Declare it parallel", f"/regions/{view.index}/pattern", "parallel")
        yield _of(view, "region_forks", text, step=fork.step, fix=fix)


def _parallel_problems(view: RegionView) -> Iterator[Problem]:
    openers = {view.openers(key) for key in view.entries}
    together = len(openers) == 1 and len(next(iter(openers))) <= 1
    if len(view.entries) > 1 and not together:
        text = (
            "is parallel, but its branches are opened at different places: control comes in at "
            f"{_named(view, view.entries)}. Let one step open them all, or draw the way between them inside."
        )
        yield _of(view, "region_second_entry", text, step=view.entries[1])
    if not view.forks and len(view.entries) < 2:
        text = "is parallel, but no two of its steps run at once. Declare it a sequence."
        fix = setting("Declare it a sequence", f"/regions/{view.index}/pattern", "sequence")
        yield _of(view, "region_not_parallel", text, fix=fix, is_warning=True)
    for fork in view.forks:
        if what := _escape(view, fork):
            opener = view.drawing.title(fork.step)
            text = f"opens branches at {opener}, but {what}. Let them meet inside the region, or end there."
            yield _of(view, "region_branch_escapes", text, step=fork.step)


def _escape(view: RegionView, fork: Fork) -> str | None:
    """How branches of a fork leave the region without having met, if they do."""
    if outside := [edge.target for edge in fork.edges if not view.holds(edge.target)]:
        return f"one goes straight to {_named(view, outside)}"
    exits = view.exits_after(fork)
    if len(exits) > 1:
        return f"they leave it at {_named(view, exits)}"
    if exits and view.branches_to(exits[0], fork) == 1:
        return f"one leaves it at {_named(view, exits)} without the others"
    return None


def _event_problems(view: RegionView) -> Iterator[Problem]:
    if not any(view.waits(key) for key in view.steps):
        text = "is declared as event, but nothing in it waits. Add a step that waits, or declare another pattern."
        yield _of(view, "region_without_wait", text)
    for key in view.entries:
        starts_run = not view.drawing.incoming[key] and view.drawing.steps[key].parent is None
        if not view.waits(key) and not starts_run:
            title = view.drawing.title(key)
            text = (
                f"is declared as event, but control comes in at {title}, which does not wait. Put a step that waits "
                f"before it, or take {title} out."
            )
            yield _of(view, "region_entry_does_not_wait", text, step=key)


def _named(view: RegionView, keys: list[str]) -> str:
    named = [view.drawing.title(key) for key in keys]
    if len(named) > MOST_NAMED:
        named[MOST_NAMED - 1 :] = [f"{len(named) - MOST_NAMED + 1} more"]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


_PATTERNS = {"sequence": _sequence_problems, "parallel": _parallel_problems, "event": _event_problems}
