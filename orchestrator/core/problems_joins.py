"""What is wrong where branches meet: a quorum that cannot be reached, options that contradict or mean nothing.

Every edge gives exactly one signal: ok, skip or fail. An `all` join waits for the branches that are not skipped, so it
is right behind an exclusive choice, too; only a quorum can ask for more branches than can arrive. Then it fails, and an
`all` join behind it with it.
"""

from collections.abc import Iterator

from orchestrator.core.arrivals import Arrivals
from orchestrator.core.branches import branch_of
from orchestrator.core.document import Join, Step, Tolerate
from orchestrator.core.drawing import Drawing
from orchestrator.core.fixes import removal, setting
from orchestrator.core.problem import Fix, Problem, Severity

MOST_NAMED = 3  # quorums in one message


def join_problems(arrivals: Arrivals, index: int, step: Step) -> Iterator[Problem]:
    """Problems of the join settings of one step."""
    join, drawing = step.join, arrivals.drawing
    yield from _lacking_problems(arrivals, step)
    if join is None:
        return
    branches = len(drawing.incoming[step.key])
    if branches < 2:
        fix = removal("Remove the join settings", f"/steps/{index}/join")
        message = f"Step {step.title} has join settings, but {_lead(branches)} to it. Draw another or remove them."
        yield _of(step, "join_without_branches", "join", message, fix, is_warning=True)
    yield from _quorum_problems(arrivals, index, step, join)
    if branches > 1:
        yield from _deadline_problems(index, step, join)
        yield from _tolerate_problems(index, step, join, branches)
        yield from _late_problems(drawing, index, step, join)


def _lead(branches: int) -> str:
    return "1 edge leads" if branches == 1 else f"{branches or 'no'} edges lead"


def _of(step: Step, code: str, field: str, message: str, fix: Fix | None, *, is_warning: bool = False) -> Problem:
    severity: Severity = "warning" if is_warning else "error"
    return Problem(code=code, message=message, severity=severity, step=step.key, field=field, fix=fix)


def _lower(index: int, quorum: int) -> Fix:
    return setting(f"Lower the quorum to {quorum}", f"/steps/{index}/join/quorum", quorum)


def _quorum_problems(arrivals: Arrivals, index: int, step: Step, join: Join) -> Iterator[Problem]:
    quorum, branches = join.quorum, len(arrivals.drawing.incoming[step.key])
    if join.mode != "quorum":
        if quorum is not None:
            fix = removal("Remove the quorum", f"/steps/{index}/join/quorum")
            message = f'Step {step.title} joins by "{join.mode}", so its quorum of {quorum} is not used.'
            yield _of(step, "quorum_not_used", "join.quorum", message, fix, is_warning=True)
    elif quorum is None:
        message = f"Step {step.title} joins by quorum, but has none. Set it from 1 to {max(branches, 1)}."
        yield _of(step, "quorum_missing", "join.quorum", message, None)
    elif quorum < 1:
        message = f"Step {step.title} has a quorum of {quorum}. Raise it to 1 at least."
        fix = setting("Raise it to 1", f"/steps/{index}/join/quorum", 1)
        yield _of(step, "quorum_too_small", "join.quorum", message, fix)
    elif quorum > branches:
        lower = _lower(index, branches) if branches else None
        message = f"Step {step.title} waits for {quorum} branches, but {_lead(branches)} to it. Draw more or lower it."
        yield _of(step, "quorum_too_large", "join.quorum", message, lower)
    elif step.key not in arrivals.drawing.on_or_after_cycle and (most := arrivals.most(step.key)) < quorum:
        yield _out_of_reach(index, step, join, most)


def _lacking_problems(arrivals: Arrivals, step: Step) -> Iterator[Problem]:
    drawing = arrivals.drawing
    if (step.join or Join()).mode != "all" or len(drawing.incoming[step.key]) < 2:
        return
    lacking = [] if step.key in drawing.on_or_after_cycle else arrivals.lacking(step.key)
    if lacking:
        named = ", ".join(drawing.title(key) for key in lacking[:MOST_NAMED])
        message = (
            f"Step {step.title} waits for all its branches, but in every run one of them fails before it, for a quorum "
            f"is not reached ({named}). Lower a quorum, or let this join wait for any."
        )
        yield _of(step, "join_never_fires", "join", message, None)


def _out_of_reach(index: int, step: Step, join: Join, most: int) -> Problem:
    """No run reaches the quorum. With "continue", or a deadline at which it proceeds, it can fire all the same."""
    message = (
        f"Step {step.title} waits for {join.quorum} branches, but some of them exclude each other: at most {most} can "
        "arrive in one run. "
    )
    fix = _lower(index, most) if most else None
    way_out = f"Lower the quorum to {most}." if most else "Draw another way to it."
    if join.on_branch_failure == "continue":
        message += f"So it always waits until all have answered. {way_out}"
    elif join.deadline is not None and join.on_deadline == "proceed":
        message += f"So it starts only if its deadline passes before all have answered. {way_out}"
    else:
        return _of(step, "join_never_fires", "join.quorum", message + way_out, fix)
    return _of(step, "quorum_out_of_reach", "join.quorum", message, fix, is_warning=True)


def _deadline_problems(index: int, step: Step, join: Join) -> Iterator[Problem]:
    path = f"/steps/{index}/join/deadline"
    if join.deadline is not None and join.deadline <= 0:
        message = f"Step {step.title} has a join deadline of 0 seconds, so only one branch could be in time. Raise it."
        yield _of(step, "deadline_invalid", "join.deadline", message, setting("Wait for 5 minutes", path, "PT5M"))
    if join.deadline is None and join.on_deadline != Join().on_deadline:
        fix = removal("Remove it", f"/steps/{index}/join/on_deadline")
        message = f"Step {step.title} says what happens at its join deadline, but has none. Set one, or remove this."
        yield _of(step, "on_deadline_not_used", "join.on_deadline", message, fix, is_warning=True)


def _tolerate_problems(index: int, step: Step, join: Join, branches: int) -> Iterator[Problem]:
    tolerate, field = join.tolerate, "join.tolerate"
    if tolerate is None:
        return
    fix = removal("Remove it", f"/steps/{index}/join/tolerate")
    unused = _tolerates_anyway(join)
    if unused:
        message = f"Step {step.title} names tolerated failures, but {unused}. Remove them."
        yield _of(step, "tolerate_not_used", field, message, fix, is_warning=True)
    elif (tolerate.count is None) == (tolerate.percent is None):
        message = (
            f'Step {step.title} must tolerate either a "count" or a "percent" of failed branches. Give one of them.'
        )
        yield _of(step, "tolerate_unclear", field, message, fix)
    elif problem := _range_problem(tolerate, branches):
        code, text = problem
        yield _of(step, code, field, f"Step {step.title} {text}", fix, is_warning=code == "tolerate_without_effect")


def _tolerates_anyway(join: Join) -> str:
    if join.mode == "quorum":
        return "its quorum already says how many branches are enough"
    if join.mode == "any":
        return "one branch is enough for it already"
    return "it goes on whatever fails" if join.on_branch_failure == "continue" else ""


def _range_problem(tolerate: Tolerate, branches: int) -> tuple[str, str] | None:
    told = f"{tolerate.count}" if tolerate.count is not None else f"{tolerate.percent:g} %"
    if (tolerate.count or 0) < 0 or not 0 <= (tolerate.percent or 0) <= 100:
        return "tolerate_out_of_range", f"tolerates {told} failed branches. Give 0 or more, or up to 100 %."
    if tolerate.of(branches) >= branches:
        way_out = 'Lower it, or set "on_branch_failure" to "continue"'
        return "tolerate_out_of_range", f"tolerates {told} failures, but {branches} branches lead to it. {way_out}."
    if tolerate.percent and not tolerate.of(branches):
        return "tolerate_without_effect", f"tolerates {told} of {branches} branches, which is less than one. Raise it."
    return None


def _late_problems(drawing: Drawing, index: int, step: Step, join: Join) -> Iterator[Problem]:
    """Cancelling where nobody can be late, or where nothing belongs to the late branches alone."""
    if join.late != "cancel":
        return
    fix = removal("Remove it", f"/steps/{index}/join/late")
    if join.mode == "all" and join.deadline is None:
        message = f'Step {step.title} waits for all its branches, so none is late. Set a deadline, or remove "late".'
        yield _of(step, "late_not_used", "join.late", message, fix, is_warning=True)
    elif not branch_of(((edge.source, edge.target) for edge in drawing.edges), step.key):
        message = (
            f"Step {step.title} cancels late branches, but every step before it leads elsewhere, too, so none of "
            'them may be cancelled. Remove "late", or give each branch a step of its own.'
        )
        yield _of(step, "late_cancels_nothing", "join.late", message, fix, is_warning=True)
