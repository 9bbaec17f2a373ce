"""What happens in a workspace right now, as one actor may see it."""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Q
from django.utils import timezone

from orchestrator.core.json_types import Json
from orchestrator.core.states import RunState, TokenState
from orchestrator.models import Token
from orchestrator.policy import Actor
from orchestrator.queries.deliveries import dead_letter_count
from orchestrator.queries.runs import RunFilter, RunView, list_runs, run_views, runs_for, undo_is_stuck
from orchestrator.queries.task_views import TaskCard
from orchestrator.queries.tasks import TaskCounts, card_for, task_counts, tasks_for_actor, with_names

RECENT = 8  # runs of the front page
OLDEST = 5  # waiting tasks of the front page
DAY = timedelta(hours=24)
OPEN = (RunState.RUNNING, RunState.PAUSED, RunState.CANCELLING, RunState.UNDOING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Counts only: small enough to be pushed to every open front page."""

    running: int
    paused: int
    retrying: int
    waiting_for_people: int
    #: Ended within the last 24 hours.
    failed: int
    succeeded: int
    #: Runs with an undo that waits for an operator, however old, whether the run has ended or not.
    undo_stuck: int
    #: Events that a step could not look at, however old; 100 for more. None of them for who may not read run data.
    dead_letters: int
    tasks: TaskCounts

    def as_json(self) -> dict[str, Json]:
        """The API's and the sockets' form."""
        return {
            "running": self.running,
            "paused": self.paused,
            "retrying": self.retrying,
            "waiting_for_people": self.waiting_for_people,
            "failed": self.failed,
            "succeeded": self.succeeded,
            "undo_stuck": self.undo_stuck,
            "dead_letters": self.dead_letters,
            "tasks": self.tasks.as_json(),
        }


def dashboard(actor: Actor) -> Dashboard:
    """The counts, in six queries over partial or composite indexes whatever the history's length."""
    runs = runs_for(actor)
    # Served by run_by_state.
    states = dict(runs.filter(state__in=OPEN).order_by().values_list("state").annotate(Count("pk")))
    # Served by run_by_finish.
    ended = dict(
        runs.filter(finished_at__gte=timezone.now() - DAY).order_by().values_list("state").annotate(Count("pk"))
    )
    tasks = task_counts(actor)
    retrying = Token.objects.filter(
        Q(waiting__kind="retry"), state=TokenState.WAITING, run_id__in=runs.filter(state__in=OPEN).values("pk")
    )
    return Dashboard(
        running=sum(states.values()) - states.get(RunState.PAUSED, 0),
        paused=states.get(RunState.PAUSED, 0),
        retrying=retrying.count(),
        waiting_for_people=tasks.all,
        failed=ended.get(RunState.FAILED, 0),
        succeeded=ended.get(RunState.SUCCEEDED, 0),
        undo_stuck=runs.filter(undo_is_stuck()).count(),
        dead_letters=dead_letter_count(actor),
        tasks=tasks,
    )


def recent_runs(actor: Actor) -> list[RunView]:
    """The newest runs."""
    return run_views(list_runs(actor, RunFilter(), {"limit": str(RECENT)}).items)


def stuck_runs(actor: Actor) -> list[RunView]:
    """The newest runs whose undo waits for an operator."""
    return run_views(list_runs(actor, RunFilter(states=(RunState.UNDO_STUCK,)), {"limit": str(OLDEST)}).items)


def oldest_waiting(actor: Actor) -> tuple[TaskCard, ...]:
    """The tasks that wait longest, whoever must answer."""
    rows = with_names(tasks_for_actor(actor).waiting()).order_by("opened_at", "pk")[:OLDEST]
    return tuple(card_for(actor, task) for task in rows)


__all__ = ["Dashboard", "dashboard", "oldest_waiting", "recent_runs", "stuck_runs"]
