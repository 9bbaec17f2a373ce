"""How the steps inside a for-each stand over all of its items: counts by state, and the one that asks for attention."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connection

from orchestrator.core.json_types import Json
from orchestrator.core.states import FINAL_RUN, AttemptOutcome, StepRunState
from orchestrator.models import Run
from orchestrator.queries.drawing import Drawing, drawing_of, plan_of, told_by_items
from orchestrator.queries.step_runs import StepRunRows
from orchestrator.queries.step_states import ATTENTION, ENDS, TOKEN_STATES, UNDOS
from orchestrator.queries.tallies_sql import TALLIES

#: Ended step runs that are read of one step, and so the highest count of them: 1,000 take less than a millisecond.
WINDOW = 1_000
#: Tokens that are read: ten times as many as one for-each has lanes.
STANDING = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One step over all items of the for-eaches around it."""

    key: str
    #: The worst of them; where nothing is bad, the most alive one.
    state: StepRunState
    counts: Mapping[StepRunState, int]
    #: The ways by which control left it in some item.
    ports: tuple[str, ...] = ()
    #: There are more than `counts` says: of the ends it tells the newest 1,000, and 1,000 failures.
    more: bool = False

    def as_json(self) -> dict[str, Json]:
        return {
            "key": self.key,
            "state": str(self.state),
            "counts": {str(state): count for state, count in self.counts.items()},
            "port": list(self.ports),
            "more": self.more,
        }


class _Row(NamedTuple):
    source: str
    node: int
    state: str
    number: int
    ports: list[str] | None
    cut: bool


def tallies_of(run: Run, read: StepRunRows) -> tuple[Tally, ...]:
    """The tallies of a run, in the order of its plan; none without a for-each, and then no statement either.

    `read`: its step runs, or those that changed. What is read here afterwards, in one statement that looks at a bounded
    number of rows, is as new as they are, or newer.
    """
    drawing = drawing_of(run.version_id)
    closed = read.run_state in FINAL_RUN
    if not drawing.in_items or (closed and not read.places):
        return ()
    by_node: dict[int, list[_Row]] = defaultdict(list)
    for row in _read(run, drawing):
        if closed and row.source == "L" and row.state == AttemptOutcome.REPEATED:
            continue  # it was to run again, and never will
        for node in _steps_at(row, run):
            by_node[node].append(row)
    found = {node: _tally(drawing.keys[node], rows) for node, rows in by_node.items()}
    if closed:
        for node in told_by_items(drawing, read.reached) - found.keys():
            found[node] = Tally(key=drawing.keys[node], state=StepRunState.SKIPPED, counts={})
    return tuple(found[node] for node in sorted(found))


def _read(run: Run, drawing: Drawing) -> list[_Row]:
    nodes = sorted(drawing.in_items)
    values: dict[str, Any] = {
        "run": run.pk,
        "nodes": nodes,
        "roots": [_root(drawing, node) for node in nodes],
        "lists": sorted(drawing.lists),
        "window": WINDOW,
        "standing": STANDING,
    }
    with connection.cursor() as cursor:
        cursor.execute(TALLIES, values)
        return [_Row._make(row) for row in cursor.fetchall()]


def _root(drawing: Drawing, node: int) -> int:
    return next((outer for outer in drawing.around[node] & drawing.lists if not drawing.around[outer]), -1)


def _steps_at(row: _Row, run: Run) -> tuple[int, ...]:
    """The steps of which a row tells. A lane at work is said to be at the first step of the body it goes through."""
    if row.source != "N":
        return (row.node,)
    body = plan_of(run.version_id).bodies[row.node]
    return body.starts if body.in_hand else ()


def _tally(key: str, rows: Iterable[_Row]) -> Tally:
    counts: Counter[StepRunState] = Counter()
    for row in rows:
        counts[_state(row)] += row.number
    ports = {port for row in rows for port in row.ports or ()}
    ordered = {state: counts[state] for state in ATTENTION if state in counts}
    return Tally(
        key=key,
        state=next(iter(ordered)),
        counts=ordered,
        ports=tuple(sorted(ports)),
        more=any(row.cut for row in rows),
    )


def _state(row: _Row) -> StepRunState:
    if row.source in {"T", "N"}:
        return StepRunState.RETRYING if row.state == "again" else TOKEN_STATES[row.state]
    return (UNDOS if row.source == "U" else ENDS)[row.state]
