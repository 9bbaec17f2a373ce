"""Runs that have ended, whoever ended them: counted, and their spans recorded, by the one keeper that acts.

Looking at the rows costs the hot path nothing and misses no way of ending.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

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
OUTCOMES: Final = {AttemptOutcome.UNKNOWN: "worker_lost", AttemptOutcome.CANCELLED: "cancelled"}


class EndedRuns:
    """What one keeper has seen of them since it began to act."""

    def __init__(self) -> None:
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
                _tell(connection, run)
        if self._seen:
            since = self._since = max(self._since, max(self._seen)[0] - LOOK_BACK)
            self._seen = {seen for seen in self._seen if seen[0] >= since}


def _tell(connection: Connection, run: Row) -> None:
    metrics.RUNS_FINISHED.labels(run["state"]).inc()
    if tracing.is_recording():
        try:
            _record(connection, run)
        except Exception as error:  # a sweep has more to do
            log.warning("a run could not be traced", run=str(run["id"]), error=repr(error)[:200])


def _record(connection: Connection, run: Row) -> None:
    trace = tracing.trace_of(run["id"], run["trace_context"])
    if trace is None or not trace.span.trace_flags.sampled:
        return
    attributes: dict[str, str | int] = {
        "branchline.run.id": str(run["id"]),
        "branchline.run.state": run["state"],
        "branchline.workflow": run["workflow"],
        "branchline.workspace": run["workspace"],
        "branchline.trigger": run["trigger"],
        "branchline.correlation_id": run["correlation_id"],
    }
    code = "" if run["state"] == "succeeded" else run["code"] or run["state"]
    name = f"run {run['workflow']}"
    what = tracing.Ended(name=name, began=run["started_at"], ended=run["finished_at"], attributes=attributes, code=code)
    tracing.record(trace.span, trace.came, what)
    for attempt in connection.execute(statements.UNTOLD_ATTEMPTS, (run["id"],)).fetchall():
        _record_untold(trace, attempt)


def _record_untold(trace: tracing.RunTrace, row: Row) -> None:
    """An attempt that nobody lived to tell of, or that was stopped with its run."""
    key = (row["run_id"], row["node"], row["scope_id"], row["generation"])
    what = tracing.Ended(
        name=f"attempt {row['key']}",
        began=row["started_at"],
        ended=row["finished_at"],
        attributes={
            "branchline.run.id": str(row["run_id"]),
            "branchline.step.key": row["key"],
            "branchline.attempt": row["attempt"],
        },
        code=OUTCOMES[AttemptOutcome(row["outcome"])],
    )
    tracing.record(tracing.span_below(trace, *key, row["attempt"]), tracing.span_below(trace, *key), what)
