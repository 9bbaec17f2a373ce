"""The same change to many runs: each in a transaction of its own, with an honest answer for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import transaction

from orchestrator import audit
from orchestrator.core.actor import Actor
from orchestrator.core.errors import BranchlineError
from orchestrator.core.json_types import Json
from orchestrator.core.states import FINAL_RUN
from orchestrator.models import Run
from orchestrator.services.bulk_beside import Beside, beside_each_other
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.reopen import retry_run

#: Runs of one call: it must answer while somebody waits.
MOST_RUNS = 500
#: What a run may need a slot for.
GOING_ON = frozenset({"retry", "resume"})
READ = ("state", "workflow_id", "business_key", "concurrency_key", "concurrency_limit", "replaces", "queued")
Change = Callable[[UUID, Actor, str], object]
ACTIONS: Mapping[str, Change] = {"retry": retry_run, "cancel": cancel_run, "pause": pause_run, "resume": resume_run}


class TooManyRuns(BranchlineError):
    """More runs than one call changes."""

    code = "too_many_runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkResult:
    """What became of one run, or would. `state` is where it stands now; `code` says why it was refused.

    `queued`: it waits for a slot under a limit of open runs, or would; of a dry run `message` says what else the other
    runs of the call do to it.
    """

    run_id: UUID
    ok: bool
    state: str = ""
    code: str = ""
    message: str = ""
    queued: bool = False

    def as_json(self) -> dict[str, Json]:
        return {
            "id": str(self.run_id),
            "ok": self.ok,
            "state": self.state,
            "code": self.code,
            "message": self.message,
            "queued": self.queued,
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
    runs = Run.objects.filter(pk__in=wanted, workspace_id=actor.workspace_id).only(*READ).in_bulk()
    results = [_result(action, run_id, runs.get(run_id), refused) for run_id, refused in failures.items()]
    if dry_run and action in GOING_ON:
        found = beside_each_other(runs[result.run_id] for result in results if result.ok)
        results = [_beside(result, found.get(result.run_id)) for result in results]
    if not dry_run:
        done = sum(result.ok for result in results)
        audit.record(actor, f"run.bulk_{action}", target=f"{len(results)} runs", detail={"done": done})
    return results


def _result(action: str, run_id: UUID, run: Run | None, refused: BranchlineError | None) -> BulkResult:
    return BulkResult(
        run_id=run_id,
        ok=refused is None,
        state=run.state if run else "",
        code=refused.error_code if refused else "",
        message=refused.message if refused else "",
        queued=action in GOING_ON and run is not None and run.queued and run.state not in FINAL_RUN,
    )


def _beside(result: BulkResult, found: Beside | None) -> BulkResult:
    if found is None:
        return replace(result, queued=False) if result.ok else result
    queued = found.what == "queued"
    return replace(result, ok=found.what != "refused", code=found.code, message=found.message, queued=queued)


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
