"""What the processes of the engine count. Values that stand in the database are read at the scrape instead.

Names follow the conventions of Prometheus; docs/operations.md explains each. Labels take few values: a worker claims
from the queues it serves, and performs the kinds that are installed.
"""

import time
from collections import Counter as Counts
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from prometheus_client import Counter, Histogram

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.states import FINAL_RUN
from orchestrator.engine.database import Row

CLAIMS: Final = Counter("branchline_claimed_tokens", "Tokens leased to worker processes.", ["queue"])
ADVANCES: Final = Counter(
    "branchline_advances",
    "Attempts ended by a worker, by what became of the token; fenced: somebody else's.",
    ["status"],
)
ATTEMPTS: Final = Counter("branchline_attempts", "Attempts that ended in a worker's hands.", ["kind", "outcome"])
ATTEMPT_SECONDS: Final = Histogram(
    "branchline_attempt_seconds",
    "From the start of an attempt to its committed end.",
    ["kind"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
BATCH: Final = Histogram(
    "branchline_commit_batch_size", "Attempts that ended in one commit.", buckets=(1, 2, 4, 8, 16, 32, 64)
)
COMMIT_SECONDS: Final = Histogram(
    "branchline_commit_seconds",
    "One call of branchline_advance, its commit included.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
TAKEOVERS: Final = Counter(
    "branchline_takeovers",
    "Leases taken away by the keeper: their worker was dead, or the attempt overdue.",
    ["reason"],
)
TIMERS: Final = Counter("branchline_timers_fired", "Waiting tokens that the keeper woke because their time had come.")
EVENTS: Final = Counter(
    "branchline_events", "Events that came: accepted, or a duplicate of an earlier one.", ["result"]
)
EVENTS_DELIVERED: Final = Counter("branchline_events_delivered", "Waiting steps that an event has moved when it came.")
WAKE_UPS: Final = Counter("branchline_wake_ups", "Wake-up messages given to the broker, or refused by it.", ["result"])
FSCK_FAULTS: Final = Counter(
    "branchline_fsck_faults", "Rows that contradict an invariant of the engine, each time one is seen.", ["invariant"]
)
UNDO_ITEMS: Final = Counter("branchline_undo_items", "Steps whose undo has ended, by outcome.", ["outcome"])
SANDBOX_SECONDS: Final = Histogram(
    "branchline_sandbox_seconds",
    "Evaluations in the sandbox, waiting for a free process included.",
    ["language"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 60),
)
SANDBOX_FAULTS: Final = Counter("branchline_sandbox_faults", "Evaluations that failed, by error code.", ["code"])
RUNS_STARTED: Final = Counter("branchline_runs_started", "Runs started.", ["trigger"])
RUNS_FINISHED: Final = Counter("branchline_runs_finished", "Runs that ended, seen by the keeper.", ["state"])
#: Shown from the beginning: Prometheus sees no increase in a series that appears with its first count.
KNOWN: Final[dict[Counter, Iterable[str]]] = {
    ADVANCES: ("moved", "ready", "parked", "waiting", "retrying", "held", "back", "ended", "cancelled", "fenced"),
    TAKEOVERS: ("dead", "overdue"),
    EVENTS: ("accepted", "duplicate"),
    WAKE_UPS: ("sent", "failed"),
    UNDO_ITEMS: ("undone", "stuck", "skipped", "by_hand"),
    RUNS_FINISHED: sorted(FINAL_RUN),
}
for _counter, _values in KNOWN.items():
    for _value in _values:
        _counter.labels(_value)


@cache
def _of(metric: Any, *labels: str) -> Any:
    """The child of these labels. Looking it up by `labels` costs as much as counting."""
    return metric.labels(*labels)


def claimed(rows: Iterable[Row]) -> None:
    """Count the rows of one `branchline_claim`."""
    for queue, count in Counts(row["queue"] for row in rows).items():
        _of(CLAIMS, queue).inc(count)


def committed(size: int, rows: Iterable[Row]) -> None:
    """Count one commit of `size` items and what became of them."""
    BATCH.observe(size)
    for status, count in Counts(row["status"] for row in rows if row["token_id"] is not None).items():
        _of(ADVANCES, status).inc(count)


def attempt_ended(kind: str, outcome: str, seconds: float) -> None:
    """Count an attempt whose end is committed."""
    _of(ATTEMPTS, kind, outcome).inc()
    _of(ATTEMPT_SECONDS, kind).observe(seconds)


def in_lane(status: str, *, retrying: bool = False) -> None:
    """Count one call of a lane, which ends no token of a step: by its answer where that needs eyes, and by who left."""
    if status in ("fenced", "back"):
        ADVANCES.labels(status).inc()
    elif retrying and status == "parked":
        ADVANCES.labels("retrying").inc()


def took_over(*, dead: bool, count: int) -> None:
    """Count leases that the keeper took away."""
    TAKEOVERS.labels("dead" if dead else "overdue").inc(count)


@contextmanager
def evaluation(language: str) -> Iterator[None]:
    """Time what happens inside, and count an `ExpressionFailed` that leaves it."""
    began = time.perf_counter()
    try:
        yield
    except ExpressionFailed as error:
        SANDBOX_FAULTS.labels(error.error_code).inc()
        raise
    finally:
        SANDBOX_SECONDS.labels(language).observe(time.perf_counter() - began)
