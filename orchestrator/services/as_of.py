"""What an operator was shown of a run is what is repeated: not what another one has made of it since."""

from orchestrator.core.errors import Conflict
from orchestrator.models import Run, RunRecord

#: How operators let a run go on, and how people say that.
LET_GO_ON = {"retried": "retried", "rerun": "re-run", "step_skipped": "let go on without a step"}


class RunChanged(Conflict):
    """Somebody else has let the run go on since the operator looked."""

    code = "run_changed"


def last_change(run: Run) -> int:
    """A number for how operators have left this run so far; 0 where none has let it go on."""
    found = _changes_of(run)
    return 0 if found is None else found.pk


def require_unchanged(run: Run, as_of: int | None) -> None:
    """See that nobody has let this run go on since it had that number; None: whoever asks does not mind.

    Raises RunChanged.
    """
    found = _changes_of(run)
    if as_of is None or found is None or found.pk == as_of:
        return
    message = f"Run {run.pk} was {LET_GO_ON[found.kind]} by {found.actor} since you looked. Look at it again first."
    raise RunChanged(message, details={"as_of": found.pk})


def _changes_of(run: Run) -> RunRecord | None:
    # Served by run_record_by_run.
    return RunRecord.objects.filter(run_id=run.pk, kind__in=LET_GO_ON).order_by("-pk").first()
