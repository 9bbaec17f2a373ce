"""What can be wrong with an answer to a human task."""

from orchestrator.core.errors import BranchlineError, Conflict


class TaskConflict(Conflict):
    """The task is not in a state that allows this. Codes: not_waiting, already_decided, claimed, claim_not_useful."""

    code = "not_waiting"


class ContentChanged(BranchlineError):
    """The task shows something else now than what the person saw. `details.digest` is of the new content."""

    code = "content_changed"
    status = 412


class ValuesInvalid(BranchlineError):
    """Values do not fit the form. `details.fields` has one sentence per field."""

    code = "values_invalid"


class AnswerInvalid(BranchlineError):
    """The answer does not fit. Codes: unknown_outcome, comment_required, comment_invalid, assignee_unknown."""

    code = "unknown_outcome"
