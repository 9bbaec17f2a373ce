"""The step runs of one run, whole or what changed, with the exact position of the read."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from django.db import connection

from orchestrator.core.dead_paths import dead_steps
from orchestrator.core.errors import NotFound
from orchestrator.core.json_types import Json
from orchestrator.core.states import AttemptOutcome, RunState, StepRunState, TokenState
from orchestrator.core.undo import UndoState
from orchestrator.engine.keeper import TTL
from orchestrator.models import Run
from orchestrator.queries import waiting
from orchestrator.queries.cursor import CursorInvalid
from orchestrator.queries.drawing import Drawing, drawing_of, told_by_items
from orchestrator.queries.step_run import UNREMARKABLE, Progress, StepRun, StepRuns, Waiting, rfc3339_text
from orchestrator.queries.step_runs_sql import STEP_RUNS
from orchestrator.queries.step_states import ENDS, TOKEN_STATES, UNDOS

NOBODY_KNOWS = {
    "code": "undo_unknown",
    "message": "Nobody knows whether the step acted, so its undo waits for a person.",
}
#: The place of the last step run shown: node and scope.
CURSOR = re.compile(r"[0-9]{1,9}\.[0-9]{1,19}")


class Row(NamedTuple):
    """One row of the statement; what the columns hold depends on `source`."""

    source: str
    node: int
    scope_id: int
    attempt: int
    state: str
    ports: list[str] | None
    begun: str | None
    ended: str | None
    error: str | None
    waiting: str | None
    clock: str | None
    queue: str
    fresh: bool
    progress: str | None

    @property
    def place(self) -> tuple[int, int]:
        return self.node, self.scope_id


@dataclass(frozen=True, slots=True)
class _Moment:
    """What is true of the whole run at the moment of the read."""

    drawing: Drawing
    now: datetime
    paused: bool
    paused_by: str | None
    #: What a queued run waits for: {open, limit, key}.
    queued: dict[str, Any] | None
    #: Whether the reader may see what the run carries, such as the key of an event or of a limit.
    shown: bool


@dataclass(frozen=True, slots=True)
class StepRunRows:
    """Everything `step_runs` would list, as rows still: making 10,000 step runs takes twice as long as reading."""

    seq: int
    run_state: str
    run_error: Json
    places: tuple[tuple[int, int], ...]  #: (node, scope id) in the order of the plan
    _rows: Mapping[tuple[int, int], Row | None]  #: None: skipped
    _moment: _Moment

    @property
    def keys(self) -> set[str]:
        """The steps that control has reached, or never will, and those of which the items of a for-each tell."""
        drawing = self._moment.drawing
        told = {node for node, _ in self.places}
        return {drawing.keys[node] for node in told | told_by_items(drawing, told)}

    def made(self, places: Iterable[tuple[int, int]]) -> Iterator[StepRun]:
        """The step runs of these places."""
        for place in places:
            row = self._rows[place]
            if row is None:
                yield StepRun(key=self._moment.drawing.keys[place[0]], state=StepRunState.SKIPPED)
            else:
                yield _step_run(row, self._moment)

    def as_json(self) -> list[dict[str, Json]]:
        """All of them in the API's form."""
        drawing = self._moment.drawing
        return [
            _plain(place, row, drawing) if row is not None and _is_plain(row) else next(self.made((place,))).as_json()
            for place, row in ((place, self._rows[place]) for place in self.places)
        ]

    def with_data(self) -> "StepRunRows | None":
        """The same for those who may read the run's data; None when that is no different."""
        tells = any(row is not None and self._tells(row) for row in self._rows.values())
        return replace(self, _moment=replace(self._moment, shown=True)) if tells else None

    def _tells(self, row: Row) -> bool:
        """Whether it waits for an event, or for a slot of a limit that has a key."""
        of_limit = row.state == TokenState.HELD and (self._moment.queued or {}).get("key")
        return bool(of_limit) or '"topic"' in (row.waiting or "")

    @property
    def reached(self) -> set[int]:
        """The nodes that control has come to."""
        return {node for (node, _), row in self._rows.items() if row is not None}

    def waiting(self, most: int) -> tuple[StepRun, ...]:
        """The first step runs that wait for something."""
        parked = (place for place in self.places if self._may_wait(place))
        return tuple(islice((item for item in self.made(parked) if item.waiting), most))

    def _may_wait(self, place: tuple[int, int]) -> bool:
        row = self._rows[place]
        return row is not None and (row.source != "L" or row.state == AttemptOutcome.REPEATED)

    def page(self, cursor: str, size: int) -> tuple[tuple[StepRun, ...], str | None]:
        """The step runs after the cursor, and the cursor of what follows. Raises CursorInvalid."""
        first = bisect_right(self.places, _place(cursor)) if cursor else 0
        places = self.places[first : first + size]
        more = first + size < len(self.places)
        return tuple(self.made(places)), "{}.{}".format(*places[-1]) if more else None


def _place(cursor: str) -> tuple[int, int]:
    if not CURSOR.fullmatch(cursor):
        raise CursorInvalid("The cursor was not made by this list. Start again without one.")
    node, _, scope = cursor.partition(".")
    return int(node), int(scope)


def step_runs(
    run: Run, *, after: int | None = None, key: str | None = None, scope: int | None = None, shown: bool = False
) -> StepRuns:
    """Read the step runs of a run, in the order of its plan; steps that control has not reached yet are not listed.

    What runs inside the items of a for-each is left out, unless a key or a scope is given: there may be 100,000 items.

    `after`: the `seq` of an earlier read; then only what changed since, possibly with repeats. `key`: this step only.
    `scope`: what runs in this scope only. `shown`: the reader may see what the run carries, too (`may_read_data`).
    One statement. Raises NotFound when the run, or a step with that key, does not exist.
    """
    read = step_run_rows(run, after=after, key=key, scope=scope, shown=shown)
    items = tuple(read.made(read.places))
    return StepRuns(seq=read.seq, run_state=read.run_state, run_error=read.run_error, items=items)


def step_run_rows(
    run: Run, *, after: int | None = None, key: str | None = None, scope: int | None = None, shown: bool = False
) -> StepRunRows:
    """As `step_runs`, for readers that show a part."""
    drawing = drawing_of(run.version_id)
    if key is not None and key not in drawing.nodes:
        raise NotFound(f'Run {run.pk} has no step "{key}".')
    head, *rows = _read(run, after or 0, drawing, None if key is None else drawing.nodes[key], scope)
    # Beyond the steps stands the run's own last node, where its output is computed: no step to show.
    rows = [row for row in rows if row.node < len(drawing.keys)]
    if head.ended is not None:
        # What was to run again and was not reached, was skipped.
        rows = [row for row in rows if row.state != AttemptOutcome.REPEATED or row.source != "L"]
    paused = head.state == RunState.PAUSED
    told = _json(head.waiting)
    by, queued = (None, told) if isinstance(told, dict) else (told, None)
    moment = _Moment(drawing, datetime.fromisoformat(head.begun or ""), paused, by, queued, shown)
    found: dict[tuple[int, int], Row | None] = {**_shown(rows)}
    # Among them may be steps that were to run again, on a path that was not taken this time.
    skipped = _skipped(head, rows, moment, whole=after is None, only=key) if scope is None else []
    found.update(dict.fromkeys((node, 0) for node in skipped))
    return StepRunRows(head.scope_id, head.state, _json(head.error), tuple(sorted(found)), found, moment)


def _read(run: Run, after: int, drawing: Drawing, node: int | None, scope: int | None) -> Sequence[Row]:
    nodes = _nodes(drawing, node, scope)
    values: dict[str, Any] = {
        "run": run.pk,
        "after": after,
        "node": node,
        "nodes": nodes,
        "tops": [top for top, outer in enumerate(drawing.around) if not outer],
        "lists": [one for one in nodes if one in drawing.lists],
        "inside": sorted(drawing.in_items),
        "scope": scope,
        "patience": waiting.PATIENCE,
        "silence": TTL,
    }
    with connection.cursor() as cursor:
        cursor.execute(STEP_RUNS, values)
        rows = [Row._make(row) for row in cursor.fetchall()]
    if not rows:
        raise NotFound(f"Run {run.pk} does not exist.")
    rows.sort(key=lambda row: row.source != "R")
    return rows


def _nodes(drawing: Drawing, node: int | None, scope: int | None) -> list[int]:
    if node is not None:
        return [node]
    return [one for one in range(len(drawing.keys)) if scope is not None or one not in drawing.in_items]


def _shown(rows: Iterable[Row]) -> dict[tuple[int, int], Row]:
    """The row that speaks for each step run: its token; its last log row; else the join it will be."""
    chosen: dict[tuple[int, int], Row] = {}
    rank = {"G": 0, "F": 1, "L": 2, "T": 3}
    for row in rows:
        if row.source == "E":
            continue
        # A token kept after a failure says less than the log row of that failure.
        strength = rank["F" if row.source == "T" and row.state == TokenState.FAILED else row.source]
        known = chosen.get(row.place)
        if known is None or strength > rank["F" if known.state == TokenState.FAILED else known.source]:
            chosen[row.place] = row
    return chosen


def _step_run(row: Row, moment: _Moment) -> StepRun:
    reason = _waiting(row, moment)
    error = _error(row)
    most = moment.drawing.attempts[row.node]
    return StepRun(
        key=moment.drawing.keys[row.node],
        scope=str(row.scope_id) if row.scope_id else None,
        state=_state(row, reason),
        attempt=row.attempt,
        attempts_max=max(most, row.attempt),
        started_at=_time(row.begun),
        finished_at=_time(row.ended),
        ports=None if row.ports is None else tuple(row.ports),
        error_code=error.get("code"),
        error_message=error.get("message", ""),
        waiting=reason,
        progress=None if row.progress is None else Progress(**json.loads(row.progress)),
    )


def _is_plain(row: Row) -> bool:
    """Whether the row of an ended step run says all there is to say, as nearly all of 10,000 do."""
    return (
        row.source == "L" and row.error is row.waiting is row.progress is None and row.state != AttemptOutcome.REPEATED
    )


def _plain(place: tuple[int, int], row: Row, drawing: Drawing) -> dict[str, Json]:
    node, scope = place
    most = drawing.attempts[node]
    return {
        **UNREMARKABLE,
        "key": drawing.keys[node],
        "scope": str(scope) if scope else None,
        "state": ENDS[row.state],
        "attempt": row.attempt,
        "attempts_max": most if most > row.attempt else row.attempt,
        "started_at": rfc3339_text(row.begun),
        "finished_at": rfc3339_text(row.ended),
        "port": row.ports,
    }


def _state(row: Row, reason: Waiting | None) -> StepRunState:
    if row.source == "L":
        return UNDOS.get(_undo(row).get("state", ""), ENDS[row.state])
    if reason is not None and reason.kind == "retry":
        return StepRunState.RETRYING
    return TOKEN_STATES[row.state]


def _undo(row: Row) -> dict[str, Any]:
    """The line of the undo ledger of a step run that has ended; empty without one."""
    return (_json(row.waiting) or {}) if row.source == "L" else {}


def _error(row: Row) -> dict[str, Any]:
    """Why the undo is stuck, else why the step failed."""
    undo = _undo(row)
    if undo.get("state") == UndoState.STUCK:
        return undo["error"] or {}
    if undo.get("state") == UndoState.UNKNOWN:
        return NOBODY_KNOWS
    return _json(row.error) or {}


def _waiting(row: Row, moment: _Moment) -> Waiting | None:
    """Why the step does not move; None when it does, or failed."""
    if row.source == "L":
        return waiting.for_turn() if row.state == AttemptOutcome.REPEATED else None
    if row.source == "G":
        return waiting.for_branches(_json(row.waiting), _time(row.clock), moment.now)
    if row.state == TokenState.HELD and moment.queued is not None:
        return waiting.for_slot(moment.queued, shown=moment.shown)
    if row.state == TokenState.HELD or (row.state == TokenState.READY and moment.paused):
        return waiting.for_resume(moment.paused_by)
    if row.state == TokenState.READY:
        return _waiting_ready(row, moment)
    return _waiting_for(row, moment) if row.state == TokenState.WAITING else None


def _waiting_ready(row: Row, moment: _Moment) -> Waiting | None:
    """A ready step waits when its queue lets it not begin yet, or when nobody serves that queue."""
    told = _json(row.waiting)
    if isinstance(told, dict):
        return waiting.for_turn_in_queue(row.queue, told, _time(row.clock), moment.now)
    return waiting.for_worker(row.queue) if told else None


def _waiting_for(row: Row, moment: _Moment) -> Waiting:
    told, until = _json(row.waiting) or {}, _time(row.clock)
    if "users" in told:
        return waiting.for_person(told, until)
    if told.get("kind") == "retry":
        most = moment.drawing.attempts[row.node] + told.get("before", 0)
        return waiting.for_retry(attempt=row.attempt, attempts_max=most, until=until, now=moment.now)
    if told.get("kind") == "time":
        return waiting.for_time(until, moment.now)
    return waiting.for_signal(told, until, shown=moment.shown)


def _skipped(head: Row, rows: Sequence[Row], moment: _Moment, *, whole: bool, only: str | None) -> list[int]:
    """Steps that never ran and never will: all without a row once the run has ended, dead paths before that."""
    drawing = moment.drawing
    if head.ended is not None:
        # Of one step alone nobody has read whether the for-each around it has begun.
        told = {row.node for row in rows} | (frozenset() if only is None else drawing.in_items)
        # Without `fresh` the end was told before, and everything with it.
        skipped = set(range(len(drawing.keys))) - told - told_by_items(drawing, told) if whole or head.fresh else set()
    else:
        skipped = _newly_dead(rows, drawing, whole=whole)
    return [node for node in skipped if node < len(drawing.keys) and only in {None, drawing.keys[node]}]


def _newly_dead(rows: Sequence[Row], drawing: Drawing, *, whole: bool) -> set[int]:
    source = "E" if any(row.source == "E" for row in rows) else "L"
    ends = [row for row in rows if row.source == source and row.scope_id == 0 and row.state != AttemptOutcome.REPEATED]
    if not any(row.fresh for row in ends):
        return set()
    dead = set(dead_steps(drawing.arrows, {row.node: row.ports for row in ends}))
    if not whole:
        dead -= dead_steps(drawing.arrows, {row.node: row.ports for row in ends if not row.fresh})
    return dead


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


__all__ = ["Json", "StepRunRows", "step_run_rows", "step_runs"]
