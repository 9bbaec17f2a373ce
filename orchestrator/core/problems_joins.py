"""What is wrong where branches meet: a quorum that cannot be reached, options that nothing carries out yet.

Every edge gives exactly one signal: ok, skip or fail. An `all` join waits for the branches that are not skipped, so it
is right behind an exclusive choice, too; only a quorum can ask for more branches than can arrive.
"""

from collections.abc import Iterator

from orchestrator.core.document import Join, Step
from orchestrator.core.drawing import Drawing
from orchestrator.core.fixes import removal, setting
from orchestrator.core.problem import Fix, Problem, Severity


def join_problems(drawing: Drawing, index: int, step: Step) -> Iterator[Problem]:
    """Problems of the join settings of one step."""
    join = step.join
    if join is None:
        return
    branches = len(drawing.incoming[step.key])
    if branches < 2:
        fix = removal("Remove the join settings", f"/steps/{index}/join")
        message = f'Step "{step.key}" has join settings, but {_lead(branches)} to it. Draw another or remove them.'
        yield _of(step, "join_without_branches", "join", message, fix, is_warning=True)
    yield from _quorum_problems(drawing, index, step, join)
    yield from _option_problems(index, step, join)


def _lead(branches: int) -> str:
    return "1 edge leads" if branches == 1 else f"{branches or 'no'} edges lead"


def _of(step: Step, code: str, field: str, message: str, fix: Fix | None, *, is_warning: bool = False) -> Problem:
    severity: Severity = "warning" if is_warning else "error"
    return Problem(code=code, message=message, severity=severity, step=step.key, field=field, fix=fix)


def _lower(index: int, quorum: int) -> Fix:
    return setting(f"Lower the quorum to {quorum}", f"/steps/{index}/join/quorum", quorum)


def _quorum_problems(drawing: Drawing, index: int, step: Step, join: Join) -> Iterator[Problem]:
    quorum, branches = join.quorum, len(drawing.incoming[step.key])
    if join.mode != "quorum":
        if quorum is not None:
            fix = removal("Remove the quorum", f"/steps/{index}/join/quorum")
            message = f'Step "{step.key}" joins by "{join.mode}", so its quorum of {quorum} is not used.'
            yield _of(step, "quorum_not_used", "join.quorum", message, fix, is_warning=True)
    elif quorum is None:
        message = f'Step "{step.key}" joins by quorum, but has none. Set it from 1 to {max(branches, 1)}.'
        yield _of(step, "quorum_missing", "join.quorum", message, None)
    elif quorum < 1:
        message = f'Step "{step.key}" has a quorum of {quorum}. Raise it to 1 at least.'
        fix = setting("Raise it to 1", f"/steps/{index}/join/quorum", 1)
        yield _of(step, "quorum_too_small", "join.quorum", message, fix)
    elif quorum > branches:
        lower = _lower(index, branches) if branches else None
        message = f'Step "{step.key}" waits for {quorum} branches, but {_lead(branches)} to it. Draw more or lower it.'
        yield _of(step, "quorum_too_large", "join.quorum", message, lower)
    elif step.key not in drawing.on_or_after_cycle and (most := drawing.most_arrivals(step.key)) < quorum:
        message = (
            f'Step "{step.key}" waits for {quorum} branches, but some of them exclude each other: at most {most} can '
            f"arrive in one run. Lower the quorum to {most}."
        )
        yield _of(step, "join_never_fires", "join.quorum", message, _lower(index, most))


def _option_problems(index: int, step: Step, join: Join) -> Iterator[Problem]:
    """Options of the document's format that the engine does not carry out yet: refusing beats ignoring them."""
    plain = Join()
    later = [("deadline", join.deadline is not None, "Without a deadline the join waits for its branches")]
    failure = join.on_branch_failure != plain.on_branch_failure
    later.append(("on_branch_failure", failure, '"finish" lets the other branches end first, then the run fails'))
    later.append(("late", join.late == "cancel", '"ignore" lets late branches run on'))
    for name, is_set, instead in later:
        if is_set:
            path = f"/steps/{index}/join/{name}"
            fix = removal(f'Remove "{name}"', path)
            message = (
                f'Step "{step.key}" sets the join option "{name}", which is not available yet. Remove it: {instead}.'
            )
            yield _of(step, "not_available_yet", f"join.{name}", message, fix)
