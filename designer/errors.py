"""What drawing and publishing can refuse."""

from orchestrator.api import BranchlineError, Conflict


class RevisionRequired(BranchlineError):
    """A save must say which revision it is based on, or it could overwrite somebody else's work."""

    code = "revision_required"
    status = 428


class DraftHasProblems(BranchlineError):
    """A drawing with errors is not published. `details.problems` names every one."""

    code = "draft_has_problems"


class StepMissing(BranchlineError):
    """The question is about one step, and names none."""

    code = "step_missing"


class NameInvalid(BranchlineError):
    """A workflow's name is one line of 1 to 200 characters."""

    code = "name_invalid"


class AlreadyLive(Conflict):
    """This version is the live one already."""

    code = "already_live"


class WaitInvalid(BranchlineError):
    """How long to wait for a run's end is no whole number within the bounds."""

    code = "wait_invalid"


class IdempotencyKeyInvalid(BranchlineError):
    """The idempotency key is empty, too long or not printable."""

    code = "idempotency_key_invalid"
