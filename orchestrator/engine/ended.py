"""Runs that have ended, whoever ended them: counted, and their spans recorded, by the one keeper that acts, with those
of steps and attempts that no worker told of.

Looking at the rows costs the hot path nothing and misses no way of ending.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from orchestrator.core.plan import Plan, PlanStep
from orchestrator.core.states import AttemptOutcome
from orchestrator.engine import metrics, statements, tracing
from orchestrator.engine.database import Connection, Row

if TYPE_CHECKING:
    from uuid import UUID

log = structlog.get_logger(__name__)
#: A transaction shows its rows a moment after it took their time.
LOOK_BACK: Final = timedelta(seconds=5)
#: What ended while there was no keeper: better told twice than never.
GAP: Final = timedelta(seconds=2)
OUTCOMES: Final = {
    AttemptOutcome.UNKNOWN: "worker_lost",
    AttemptOutcome.CANCELLED: "cancelled",
    AttemptOutcome.SUCCESS: "",
}
Attributes = dict[str, str | int]
PlanOf = Callable[[int], Plan]


class EndedRuns:
    """What one keeper has seen of them since it began to act. `plan_of(version_id)` reads a plan."""

    def __init__(self, plan_of: PlanOf) -> None:
        self._plan_of = plan_of
        self._since: datetime | None = None
        self._seen: set[tuple[datetime, UUID]] = set()

    def look(self, connection: Connection) -> None:
        """Tell of the runs that ended since the last look."""
        if self._since is None:
            row = connection.execute(statements.DATABASE_TIME).fetchone()
            assert row is not None  # a SELECT without FROM
            self._since = row["now"] - GAP
        for run in connection.execute(statements.ENDED_RUNS, (self._since,)).fetchall():
            # A run that was retried ends again, at another time.
            if (run["finished_at"], run["id"]) not in self._seen:
                self._seen.add((run["finished_at"], run["id"]))
                _tell(connection, run, self._plan_of)
        if self._seen:
            since = self._since = max(self._since, max(self._seen)[0] - LOOK_BACK)
            self._seen = {seen for seen in self._seen if seen[0] >= since}


def _tell(connection: Connection, run: Row, plan_of: PlanOf) -> None:
    metrics.RUNS_FINISHED.labels(run["state"]).inc()
    if tracing.is_recording():
        try:
            _record(connection, run, plan_of)
        except Exception as error:  # a sweep has more to do
            log.warning("a run could not be traced", run=str(run["id"]), error=repr(error)[:200])


def _record(connection: Connection, run: Row, plan_of: PlanOf) -> None:
    trace = tracing.trace_of(run["id"], run["trace_context"])
    if trace is None or not trace.span.trace_flags.sampled:
        return
    facts: Attributes = {
        "branchline.run.id": str(run["id"]),
        "branchline.workflow": run["workflow"],
        "branchline.workspace": run["workspace"],
    }
    if rows := connection.execute(statements.UNTOLD_ATTEMPTS, {"run": run["id"]}).fetchall():
        plan = plan_of(run["version_id"])
        for row in rows:
            if row["node"] != plan.end:
                _record_untold(trace, row, plan.step(row["node"]), facts)
    attributes: Attributes = {
        **facts,
        "branchline.run.state": run["state"],
        "branchline.trigger": run["trigger"],
        "branchline.correlation_id": run["correlation_id"],
    }
    code = "" if run["state"] == "succeeded" else run["code"] or run["state"]
    name = f"run {run['workflow']}"
    what = tracing.Ended(name=name, began=run["started_at"], ended=run["finished_at"], attributes=attributes, code=code)
    tracing.record(trace.span, trace.came, what)


def _record_untold(trace: tracing.RunTrace, row: Row, step: PlanStep, facts: Attributes) -> None:
    """An attempt that no worker told of, and its step where it ended with it. What never began has no span."""
    run_id, node, generation = facts["branchline.run.id"], row["node"], row["generation"]
    above = tracing.span_below(trace, run_id, node, row["step_scope"], generation)
    about = {**facts, **tracing.about_step(node, row["step_scope"], step.key, step.kind)}
    ended, code = row["finished_at"], OUTCOMES[AttemptOutcome(row["outcome"])]
    if row["started_at"] is not None:
        span = tracing.span_below(trace, run_id, node, row["scope_id"], generation, row["attempt"])
        attributes = {**about, "branchline.attempt": row["attempt"]}
        name, began = f"attempt {step.key}", row["started_at"]
        what = tracing.Ended(name=name, began=began, ended=ended, attributes=attributes, code=code)
        tracing.record(span, above, what)
    if row["final"]:
        attributes = {**about, "branchline.attempts": row["attempts"]}
        name, began = tracing.step_name(node, step.key), row["begun"]
        what = tracing.Ended(name=name, began=began, ended=ended, attributes=attributes, code=code)
        tracing.record(above, trace.span, what)
