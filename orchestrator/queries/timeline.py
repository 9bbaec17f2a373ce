"""When each attempt of a run began and ended, and how long people were waited for: the bars of the timeline."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from orchestrator.core.states import StepRunState, TokenState
from orchestrator.models import HumanTask, Run, StepLog, Token
from orchestrator.queries.drawing import drawing_of, step_of

#: Bars of one timeline: more cannot be read, and the page stays fast for a run of 10,000 steps.
MOST_SPANS = 1_000

ENDS = {
    "S": StepRunState.SUCCEEDED,
    "F": StepRunState.FAILED,
    "T": StepRunState.TIMED_OUT,
    "U": StepRunState.FAILED,
    "K": StepRunState.CANCELLED,
}
#: Of undo steps, whose node is -1 - the node of the step they undo.
UNDO_ENDS = {
    "S": StepRunState.UNDONE,
    "F": StepRunState.UNDO_FAILED,
    "T": StepRunState.UNDO_FAILED,
    "U": StepRunState.UNDO_FAILED,
    "K": StepRunState.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One bar: an attempt, of the step or of its undo, or a wait for a person. `ended` is None while it lasts."""

    key: str
    scope: str | None
    kind: Literal["attempt", "undo", "wait"]
    attempt: int
    state: StepRunState
    begun: datetime
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class Spans:
    """The first bars of a run by their beginning; `cut` when there are more."""

    items: tuple[Span, ...]
    cut: bool


def spans_of(run: Run) -> Spans:
    """The bars of a run that the caller may read, in three queries."""
    keys = drawing_of(run.version_id).keys
    # Served by the primary key, sorted after: bounded by the attempts of one run.
    logged = list(
        StepLog.objects.filter(run_id=run.pk, started_at__isnull=False)
        .order_by("started_at", "entry")
        .values_list("node", "scope_id", "attempt", "outcome", "started_at", "finished_at")[: MOST_SPANS + 1]
    )
    spans = [
        Span(
            key=keys[step_of(node)],
            scope=str(scope) if scope else None,
            kind="attempt" if node >= 0 else "undo",
            attempt=attempt,
            state=(ENDS if node >= 0 else UNDO_ENDS)[outcome],
            begun=begun,
            ended=ended,
        )
        for node, scope, attempt, outcome, begun, ended in logged[:MOST_SPANS]
        if begun and begun <= ended
    ]
    spans += _working(run, keys) + _asking(run)
    return Spans(tuple(sorted(spans, key=lambda span: span.begun)), len(logged) > MOST_SPANS)


def _working(run: Run, keys: tuple[str, ...]) -> list[Span]:
    tokens = Token.objects.filter(run_id=run.pk, state=TokenState.LEASED, started_at__isnull=False)
    rows = tokens.order_by("started_at").values_list("node", "scope_id", "attempt", "started_at")[:MOST_SPANS]
    return [
        Span(
            key=keys[step_of(node)],
            scope=str(scope) if scope else None,
            kind="attempt" if node >= 0 else "undo",
            attempt=attempt,
            state=StepRunState.RUNNING if node >= 0 else StepRunState.UNDOING,
            begun=begun,
            ended=None,
        )
        for node, scope, attempt, begun in rows
        if begun and node < len(keys)  # the run's own last node is no step
    ]


def _asking(run: Run) -> list[Span]:
    tasks = HumanTask.objects.filter(run_id=run.pk).order_by("opened_at")
    return [
        Span(key=key, scope=None, kind="wait", attempt=1, state=StepRunState.WAITING, begun=opened, ended=closed)
        for key, opened, closed in tasks.values_list("step_key", "opened_at", "closed_at")[:MOST_SPANS]
    ]
