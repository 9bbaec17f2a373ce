"""When each attempt of a run began and ended, and how long it waited: the bars of the timeline."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db import connection

from orchestrator.core.document import REPEAT, SCOPE, SUB_WORKFLOW
from orchestrator.core.states import StepRunState
from orchestrator.models import Run
from orchestrator.queries.drawing import Drawing, drawing_of, step_of
from orchestrator.queries.step_run import Progress
from orchestrator.queries.timeline_sql import AT_WORK, ATTEMPTS, LISTS
from orchestrator.queries.within import narrowed, places_of

#: Bars of one timeline: more cannot be read, and the page stays fast for a run of 10,000 steps.
MOST_SPANS = 1_000

#: Step kinds that park their token.
WAITING = frozenset({"delay", "wait_event", "human_task", SUB_WORKFLOW, SCOPE, REPEAT})
#: A wait that is shorter is not told apart from the attempt it belongs to.
NOTICED = timedelta(seconds=1)

ENDS = {
    None: StepRunState.RUNNING,
    "L": StepRunState.RUNNING,
    "W": StepRunState.WAITING,
    "S": StepRunState.SUCCEEDED,
    "F": StepRunState.FAILED,
    "T": StepRunState.TIMED_OUT,
    "U": StepRunState.FAILED,
    "K": StepRunState.CANCELLED,
}
#: Of undo steps, whose node is -1 - the node of the step they undo.
UNDO_ENDS = {
    None: StepRunState.UNDOING,
    "L": StepRunState.UNDOING,
    "W": StepRunState.UNDOING,
    "S": StepRunState.UNDONE,
    "F": StepRunState.UNDO_FAILED,
    "T": StepRunState.UNDO_FAILED,
    "U": StepRunState.UNDO_FAILED,
    "K": StepRunState.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One bar: an attempt (of the step, of its undo), a wait, a for-each. `ended`: None while it lasts."""

    key: str
    scope: str | None
    kind: Literal["attempt", "undo", "wait", "items"]
    attempt: int
    state: StepRunState
    begun: datetime
    ended: datetime | None
    #: Of a for-each.
    progress: Progress | None = None
    #: Of a wait: the kind of its step.
    waits_as: str = ""


@dataclass(frozen=True, slots=True)
class Spans:
    """The first bars of a run by their beginning; `cut` when there are more."""

    items: tuple[Span, ...]
    cut: bool


def spans_of(run: Run, *, scope: int | None = None) -> Spans:
    """The bars of a run that the caller may read, in three statements: a for-each is one bar, whatever its items did.

    `scope`: those of what ran in this scope (one item of a for-each) and in the containers it holds.
    """
    drawing = drawing_of(run.version_id)
    places = {"run": run.pk, "most": MOST_SPANS + 1, **places_of(drawing, scope)}
    lists, folded = _lists(drawing, places, scope)
    logged = [row for row in _rows(ATTEMPTS, places, scope) if row[:3] not in folded]
    at_work = [
        row
        for row in _rows(AT_WORK, places, scope)
        if row[0] < len(drawing.keys) and row[:3] not in folded  # beyond the steps stands the run's own end
    ]
    spans = [*lists, *_attempts(logged[:MOST_SPANS], drawing), *_attempts(at_work, drawing)]
    return Spans(tuple(sorted(spans, key=lambda span: span.begun)), len(logged) > MOST_SPANS)


def _rows(statement: str, values: dict[str, Any], scope: int | None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(narrowed(statement, scope=scope), values)
        return list(cursor.fetchall())


def _attempts(rows: Iterable[tuple[Any, ...]], drawing: Drawing) -> list[Span]:
    attempts = [
        Span(
            key=drawing.keys[step_of(node)],
            scope=str(scope) if scope else None,
            kind="attempt" if node >= 0 else "undo",
            attempt=attempt,
            state=(ENDS if node >= 0 else UNDO_ENDS)[outcome],
            begun=begun,
            ended=ended,
        )
        for node, scope, _, attempt, outcome, begun, ended in rows
    ]
    return [part for span in attempts for part in _parts(span, drawing.kinds[drawing.nodes[span.key]])]


def _parts(span: Span, kind: str) -> Iterable[Span]:
    """An attempt that waited: its wait, and its end. The log has both as one."""
    if span.kind != "attempt" or kind not in WAITING or span.state == StepRunState.RUNNING:
        yield span
    elif span.ended is None or span.ended - span.begun >= NOTICED:
        yield replace(span, kind="wait", state=StepRunState.WAITING, waits_as=kind)
        if span.ended is not None:
            yield replace(span, begun=span.ended)
    else:
        yield span


def _lists(drawing: Drawing, places: dict[str, Any], scope: int | None) -> tuple[list[Span], set[tuple[Any, ...]]]:
    """The bars of for-eaches that have begun, and the (node, scope, generation) for which they stand."""
    shown = sorted(drawing.lists if scope is not None else drawing.lists - drawing.in_items)
    if not shown:
        return [], set()
    rows = _rows(LISTS, {**places, "shown": shown, "inside": sorted(drawing.in_items)}, scope)
    spans = [
        Span(
            key=drawing.keys[node],
            scope=str(own) if own else None,
            kind="items",
            attempt=1,
            state=ENDS[outcome],
            begun=begun,
            ended=ended,
            progress=Progress(total=total, ok=ok, failed=failed),
        )
        for node, own, _, outcome, begun, ended, total, ok, failed in rows
    ]
    return spans, {row[:3] for row in rows}
