"""The undo of one run: its ledger, and beforehand what an undo would come to."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Max

from orchestrator.core.json_types import Json
from orchestrator.core.states import RunState, TokenState
from orchestrator.core.undo import FINAL_UNDO, NEEDS_PERSON, UndoState
from orchestrator.engine import statements
from orchestrator.engine.undo import ledger_of
from orchestrator.models import Run, StepLog, Token, UndoItem
from orchestrator.policy import Actor
from orchestrator.queries.captions import captions_of
from orchestrator.queries.cursor import page_of
from orchestrator.queries.drawing import drawing_of, plan_of
from orchestrator.queries.runs import find_run, may_read_data, run_error
from orchestrator.queries.step_run import rfc3339

MOST = 200
MOST_NAMED = 5  # later steps that one line names


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoLine:
    """One line of the ledger. `waits_for` names the first of `awaits` later steps that must be settled before."""

    entry: int
    key: str
    name: str
    scope: str | None
    state: str
    #: The kind of its undo step; None when none is drawn.
    undo: str | None
    attempts: int = 0
    error: Mapping[str, Json] | None = None
    reason: str = ""
    by: str = ""
    at: datetime | None = None
    awaits: int = 0
    waits_for: tuple[str, ...] = ()
    #: The run of the sub-workflow whose own undo is stuck.
    child: str | None = None

    @property
    def needs_person(self) -> bool:
        return self.state in NEEDS_PERSON

    def as_json(self) -> dict[str, Json]:
        return {
            "entry": self.entry,
            "key": self.key,
            "name": self.name,
            "scope": self.scope,
            "state": str(self.state),
            "undo": self.undo,
            "attempts": self.attempts,
            "error": self.error,
            "reason": self.reason,
            "by": self.by,
            "at": rfc3339(self.at),
            "awaits": self.awaits,
            "waits_for": list(self.waits_for),
            "child": self.child,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoLedger:
    """What is undone of a run, the latest step first. `stuck`: what waits for a person, on every page."""

    run_state: str
    #: False: no undo has begun, or what still works is ending first.
    written: bool
    counts: Mapping[str, int]
    stuck: tuple[UndoLine, ...]
    items: tuple[UndoLine, ...]
    next: str | None = None

    def as_json(self) -> dict[str, Json]:
        return {
            "run_state": self.run_state,
            "written": self.written,
            "counts": dict(self.counts),
            "stuck": [line.as_json() for line in self.stuck],
            "items": [line.as_json() for line in self.items],
            "next": self.next,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeseenUndo:
    """What an undo begun now would come to, the latest step first; cut after 200 lines, the counts are whole."""

    counts: Mapping[str, int]
    items: tuple[UndoLine, ...]
    #: Steps at work at this moment: what they do until they end is undone as well.
    working: tuple[str, ...]

    def as_json(self) -> dict[str, Json]:
        return {
            "counts": dict(self.counts),
            "items": [line.as_json() for line in self.items],
            "working": list(self.working),
        }


def undo_ledger_of(actor: Actor, run_id: UUID, parameters: Mapping[str, str]) -> UndoLedger:
    """One page of the ledger by `cursor` and `limit`. Raises NotFound, CursorInvalid, LimitInvalid."""
    run = find_run(actor, run_id)
    rows = UndoItem.objects.filter(run_id=run.pk)
    page = page_of(rows, parameters, order=("-entry",))
    stuck = rows.filter(state__in=NEEDS_PERSON).order_by("-entry")[:MOST]
    lines = _lines(run, {row.entry: row for row in (*stuck, *page.items)}.values(), shown=may_read_data(actor, run))
    counts = undo_counts(run.pk)
    return UndoLedger(
        run_state=run.state,
        written=bool(sum(counts.values())) or bool((run.closing or {}).get("ledger")),
        counts=counts,
        stuck=tuple(lines[row.entry] for row in stuck),
        items=tuple(lines[row.entry] for row in page.items),
        next=page.next,
    )


def undo_counts(run_id: UUID) -> dict[str, int]:
    """Lines of the ledger by state, of a run that the caller may read."""
    counted = UndoItem.objects.filter(run_id=run_id).order_by().values_list("state").annotate(Count("entry"))
    return {str(state): 0 for state in UndoState} | dict(counted)


def held_undo(run: Run) -> dict[str, Json] | None:
    """Why a paused run has failed whose undo begins with its resume (decision 45); None where no undo waits."""
    if run.state != RunState.PAUSED or run.control != "C":
        return None
    found = run_error((run.closing or {}).get("error"), list(drawing_of(run.version_id).nodes))
    return found or {"code": "error", "message": "", "step": None}


def foreseen_undo(actor: Actor, run_id: UUID) -> ForeseenUndo:
    """What an undo of the run would come to if it began now. Raises NotFound."""
    run = find_run(actor, run_id)
    drawing, captions, plan = drawing_of(run.version_id), captions_of(run.version_id), plan_of(run.version_id)
    entries = [
        entry
        for entry in ledger_of(plan, _happened(run), _dicts(statements.ENTERED, [run.pk]))
        if entry.node < len(drawing.keys) and not entry.listed
    ]
    lines = [
        UndoLine(
            entry=entry.entry,
            key=drawing.keys[entry.node],
            name=captions[drawing.keys[entry.node]].name,
            scope=str(entry.scope_id) if entry.scope_id else None,
            state=UndoState.WAITING if entry.state == UndoState.RUNNING else entry.state,
            undo=plan.undo[entry.node].kind if entry.node in plan.undo else None,
            awaits=entry.awaits,
        )
        for entry in entries
    ]
    working = Token.objects.filter(run_id=run.pk, state=TokenState.LEASED, node__range=(0, len(drawing.keys) - 1))
    names = dict.fromkeys(captions[drawing.keys[node]].name for node in working.values_list("node", flat=True))
    return ForeseenUndo(
        counts=Counter(str(line.state) for line in lines), items=tuple(lines[:MOST]), working=tuple(names)
    )


def _happened(run: Run) -> list[dict[str, Any]]:
    """What happened, and the sub-workflows that an undo would cut off."""
    found = _dicts(statements.HAPPENED, {"run": run.pk, "boundary": 0})
    under_way = {_place(row): row for row in _dicts(statements.UNDER_WAY, {"run": run.pk})}
    return [row for row in found if _place(row) not in under_way] + [*under_way.values()]


def _place(row: Mapping[str, Any]) -> tuple[int, int, int]:
    return row["node"], row["scope_id"], row["generation"]


def _lines(run: Run, items: Collection[UndoItem], *, shown: bool) -> dict[int, UndoLine]:
    attempts, waits = _attempts(run, items), _waits(run, items)
    drawing, captions, plan = drawing_of(run.version_id), captions_of(run.version_id), plan_of(run.version_id)
    found = {}
    for item in items:
        key = drawing.keys[item.node]
        error: dict[str, Any] = item.error or {}
        found[item.entry] = UndoLine(
            entry=item.entry,
            key=key,
            name=captions[key].name,
            scope=str(item.scope_id) if item.scope_id else None,
            state=item.state,
            undo=plan.undo[item.node].kind if item.node in plan.undo else None,
            attempts=attempts.get((-1 - item.node, item.scope_id, item.generation), 0),
            error={"code": error.get("code", "error"), "message": error.get("message", "")} if error else None,
            reason=item.reason if shown else "",
            by=item.actor,
            at=item.at,
            awaits=item.awaits,
            waits_for=tuple(drawing.keys[node] for node in waits.get(item.entry, ())),
            child=(error.get("details") or {}).get("run"),
        )
    return found


def _attempts(run: Run, items: Iterable[UndoItem]) -> dict[tuple[int, int, int], int]:
    rows = StepLog.objects.filter(
        run_id=run.pk, node__in={-1 - item.node for item in items}, scope_id__in={item.scope_id for item in items}
    )
    counted = rows.order_by().values_list("node", "scope_id", "generation").annotate(Max("attempt"))
    return {(node, scope, generation): most for node, scope, generation, most in counted}


def _waits(run: Run, items: Iterable[UndoItem]) -> dict[int, list[int]]:
    """Entry -> nodes of the first later steps that it waits for."""
    waiting = [item.entry for item in items if item.awaits]
    if not waiting:
        return {}
    later = UndoItem.objects.filter(run_id=run.pk, releases__overlap=waiting).exclude(state__in=FINAL_UNDO)
    found: dict[int, list[int]] = {entry: [] for entry in waiting}
    for node, releases in later.order_by("-entry").values_list("node", "releases")[:MOST]:
        for entry in releases:
            if entry in found and node not in found[entry] and len(found[entry]) < MOST_NAMED:
                found[entry].append(node)
    return found


def _dicts(statement: str, values: list[Any] | dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


__all__ = ["ForeseenUndo", "UndoLedger", "UndoLine", "foreseen_undo", "undo_counts", "undo_ledger_of"]
