"""Whether a newer version draws a container as the run has it, so that it can be opened again where it stood."""

from collections.abc import Iterator

from orchestrator.core.errors import Conflict
from orchestrator.core.plan import Plan
from orchestrator.services.repeat_rows import inside


class VersionDiffers(Conflict):
    """The newest version is drawn so differently that this run cannot go on with it."""

    code = "version_differs"


def require_same_inside(old: Plan, new: Plan, outer: int, number: int) -> None:
    """Other items of the container are kept, which have gone the old way: only what its steps do may differ.

    Raises VersionDiffers.
    """
    if list(_drawn(old, outer)) != list(_drawn(new, outer)):
        title = old.steps[outer].title
        message = f"The inside of {title} is drawn in another way in version {number}, and parts of it would be kept."
        raise VersionDiffers(f"{message} Re-run from {title}, or with the run's own version.")


def _drawn(plan: Plan, outer: int) -> Iterator[object]:
    if outer >= len(plan.steps):
        return
    for node in sorted(inside(plan, {outer}) | {outer}):
        step = plan.steps[node]
        yield node, step.key, step.kind, step.parent
        if node != outer:
            yield plan.gates.get(node)
            yield sorted(
                (arrow.port, arrow.target - plan.end if arrow.target > plan.end else arrow.target)
                for arrow in plan.out_arrows.get(node, ())
            )
