"""One leased token: what a slot needs to know to perform its step and to end it under the fence."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from orchestrator.core.json_types import Json
from orchestrator.engine.database import Row
from orchestrator.engine.tracing import RunTrace, trace_of

WAITED = 1  #: the phase of a token whose step has waited
LANE = 2  #: the phase of a token that works through items of a for-each


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What stays the same for all steps of a run."""

    run_id: UUID
    version_id: int
    workspace_id: int
    workflow_id: int
    input: Json
    input_ref: UUID | None
    correlation_id: str
    business_key: str | None
    trigger: str
    started_at: datetime
    trace: RunTrace | None = None
    started_by_id: int | None = None
    root_run_id: UUID | None = None
    depth: int = 0


def _facts_of(row: Row) -> RunFacts:
    return RunFacts(
        run_id=row["run_id"],
        version_id=row["version_id"],
        workspace_id=row["workspace_id"],
        workflow_id=row["workflow_id"],
        input=row["input"],
        input_ref=row["input_ref"],
        correlation_id=row["correlation_id"],
        business_key=row["business_key"],
        trigger=row["trigger"],
        started_at=row["run_started_at"],
        trace=trace_of(row["run_id"], row["trace_context"]),
        started_by_id=row["started_by_id"],
        root_run_id=row["root_run_id"],
        depth=row["depth"],
    )


# Not frozen, though nobody changes it: one is made for every step, and a frozen one takes four times as long to make.
@dataclass(slots=True, kw_only=True)
class Lease:
    """A token in our hands: (session, epoch) is the fence."""

    run: RunFacts
    token_id: int
    epoch: int
    node: int
    scope_id: int
    generation: int
    attempt: int
    lost: int
    #: Attempts before an operator let the step be tried anew: they do not count against its retry policy.
    tried_before: int
    phase: int
    verdict: str
    started_at: datetime
    first_started_at: datetime
    waiting: dict[str, Any] | None
    signal: dict[str, Any] | None
    queue: str
    #: The limit of its queue of which this lease holds a place; its step chain comes back to the line after each step.
    queue_limit_id: int | None = None
    #: node -> (output, error), of steps of this scope that ended in this worker's hands
    seen: dict[int, tuple[Json, Json]] = field(default_factory=dict)
    #: the same of steps in the scopes around, as far as they were read: they have ended for good; a large input too
    outer: dict[int, tuple[Json, Json]] = field(default_factory=dict)

    @classmethod
    def from_row(cls, row: Row, run: RunFacts | None = None) -> Self:
        """A row of `branchline_claim`; `run` is told where another of its rows says it."""
        return cls(
            run=run or _facts_of(row),
            token_id=row["id"],
            epoch=row["epoch"],
            node=row["node"],
            scope_id=row["scope_id"],
            generation=row["generation"],
            attempt=row["attempt"],
            lost=row["lost"],
            tried_before=row["tried_before"],
            phase=row["phase"],
            verdict=row["verdict"],
            started_at=row["started_at"],
            first_started_at=row["first_started_at"],
            waiting=row["waiting"],
            signal=row["signal"],
            queue=row["queue"],
            queue_limit_id=row["queue_limit_id"],
        )

    def moved(self, *, node: int, epoch: int, started_at: datetime) -> "Lease":
        """The same token at its next step, fresh."""
        return Lease(
            run=self.run,
            token_id=self.token_id,
            epoch=epoch,
            node=node,
            scope_id=self.scope_id,
            generation=self.generation,
            attempt=1,
            lost=0,
            tried_before=0,
            phase=0,
            verdict="",
            started_at=started_at,
            first_started_at=started_at,
            waiting=None,
            signal=None,
            queue=self.queue,
            queue_limit_id=self.queue_limit_id,
            seen=self.seen,
            outer=self.outer,
        )

    @property
    def taken_at(self) -> datetime:
        """When this attempt was first in somebody's hands: it may have waited since, and been claimed again."""
        if self.phase != WAITED:
            return self.started_at
        attempt, at = (self.waiting or {}).get("taken", (0, ""))
        if attempt == self.attempt:
            return datetime.fromisoformat(at)
        return self.first_started_at if self.attempt == 1 else self.started_at

    @property
    def idempotency_key(self) -> str:
        """Stable over retries and takeovers; the generation rises only when a success is repeated on purpose."""
        place = f"{self.run.run_id}:{max(self.node, -1 - self.node)}:{self.scope_id}:{self.generation}"
        return place if self.node >= 0 else f"undo:{place}"


def leases_of(rows: Sequence[Row]) -> list[Lease]:
    """All leases of one `branchline_claim`."""
    runs = {row["run_id"]: _facts_of(row) for row in rows if row["workspace_id"] is not None}
    return [Lease.from_row(row, runs[row["run_id"]]) for row in rows]
