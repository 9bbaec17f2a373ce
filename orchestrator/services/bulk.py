"""The same change to many runs: each in a transaction of its own, with an honest answer for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from orchestrator import audit
from orchestrator.core.actor import Actor
from orchestrator.core.errors import BranchlineError
from orchestrator.core.json_types import Json
from orchestrator.models import Run
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.reopen import retry_run

#: Runs of one call: it must answer while somebody waits.
MOST_RUNS = 500
Change = Callable[[UUID, Actor, str], object]
ACTIONS: Mapping[str, Change] = {"retry": retry_run, "cancel": cancel_run, "pause": pause_run, "resume": resume_run}


class TooManyRuns(BranchlineError):
    """More runs than one call changes."""

    code = "too_many_runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkResult:
    """What became of one run, or would. `state` is where it stands now; `code` says why it was refused."""

    run_id: UUID
    ok: bool
    state: str = ""
    code: str = ""
    message: str = ""

    def as_json(self) -> dict[str, Json]:
        return {
            "id": str(self.run_id),
            "ok": self.ok,
            "state": self.state,
            "code": self.code,
            "message": self.message,
        }


def change_runs(
    action: str, run_ids: Sequence[UUID], actor: Actor, reason: str = "", *, dry_run: bool = False
) -> list[BulkResult]:
    """Do `action` (a key of ACTIONS) to each run, in the order given; `dry_run` only says what would become of each.

    One that is refused stops nothing. Raises TooManyRuns.
    """
    wanted = list(dict.fromkeys(run_ids))
    if len(wanted) > MOST_RUNS:
        message = f"{len(wanted)} runs are more than the {MOST_RUNS} of one call. Narrow the choice, or call again."
        raise TooManyRuns(message)
    change: Change = _would(action) if dry_run else ACTIONS[action]
    failures = {run_id: _refusal(change, run_id, actor, reason) for run_id in wanted}
    states = dict(Run.objects.filter(pk__in=wanted, workspace_id=actor.workspace_id).values_list("pk", "state"))
    results = [
        BulkResult(
            run_id=run_id,
            ok=refused is None,
            state=states.get(run_id, ""),
            code=refused.error_code if refused else "",
            message=refused.message if refused else "",
        )
        for run_id, refused in failures.items()
    ]
    if not dry_run:
        done = sum(result.ok for result in results)
        audit.record(actor, f"run.bulk_{action}", target=f"{len(results)} runs", detail={"done": done})
    return results


def _refusal(change: Change, run_id: UUID, actor: Actor, reason: str) -> BranchlineError | None:
    try:
        change(run_id, actor, reason)
    except BranchlineError as refused:
        return refused
    return None


def _would(action: str) -> Change:
    """The change itself, taken back: what would be refused is known by nothing less."""

    def would(run_id: UUID, actor: Actor, reason: str) -> None:
        with transaction.atomic():
            ACTIONS[action](run_id, actor, reason)
            transaction.set_rollback(True)

    return would
