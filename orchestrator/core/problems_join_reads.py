"""What is wrong with texts that read a join's result: where there is none, and names that it does not have."""

from collections.abc import Collection, Iterator

from orchestrator.core.document import Step
from orchestrator.core.drawing import Drawing
from orchestrator.core.nearest import did_you_mean
from orchestrator.core.references import References

JOIN_KEYS = ("branches", "arrived", "missing")
BRANCH_KEYS = ("state", "output", "outputs_of", "error")
Found = tuple[str, str]  #: code and message


def has_join(drawing: Drawing, step: Step) -> bool:
    """Whether branches meet at the step, so that its expressions may read `join`."""
    return len(drawing.incoming[step.key]) > 1


def no_join(drawing: Drawing, reader: Step | None) -> Found:
    """Why `join` is not known to an expression of `reader` (None: of the workflow itself)."""
    code = "join_not_readable"
    if reader is None:
        return code, (
            '"join" is known only in a step where branches meet. '
            "Have such a step give out what is wanted, and read its output."
        )
    who = f"Step {reader.title}"
    if has_join(drawing, reader):
        return code, (
            f'{who} reads "join" in its undo, where it is not known: the join may have been decided anew since. '
            'Read "steps" and "errors", or "output", what the step itself gave.'
        )
    edges = len(drawing.incoming[reader.key])
    lead = "1 edge leads" if edges == 1 else f"{edges or 'no'} edges lead"
    return code, (
        f'{who} reads "join", the result of branches that meet, but {lead} to it. '
        'Draw the edges of the branches to it, or read "steps" and "errors".'
    )


def join_name_problems(drawing: Drawing, reader: Step, found: References) -> Iterator[Found]:
    """Names below `join` that its result cannot have: each would only fail when the step runs."""
    branches = list(dict.fromkeys(edge.source for edge in drawing.incoming[reader.key]))
    for path in sorted(found.join):
        first, branch, part, *_ = [*path.split("."), "", ""]
        if first not in {"", *JOIN_KEYS}:
            yield "unknown_name", _not_there(drawing, f"join.{first}", first, JOIN_KEYS)
        elif first != "branches" or not branch:
            continue
        elif branch not in branches:
            message = f'No branch "{branch}" leads to step {reader.title}.'
            close = did_you_mean(drawing.guess(branch, branches))
            yield "unknown_branch", f"{message}{close} A branch is named by the key of the step it comes from."
        elif part not in {"", *BRANCH_KEYS}:
            yield "unknown_name", _not_there(drawing, f"join.branches.{branch}.{part}", part, BRANCH_KEYS)


def _not_there(drawing: Drawing, path: str, name: str, known: Collection[str]) -> str:
    keys = ", ".join(known)
    return f'There is no "{path}".{did_you_mean(drawing.guess(name, known))} What is there: {keys}.'
