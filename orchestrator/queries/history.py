"""What happened in a run, in order: what was done to it, every ended attempt, every decision, every event."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from orchestrator.core.json_types import Json
from orchestrator.models import Run
from orchestrator.policy import Actor
from orchestrator.queries.cursor import CursorInvalid, page_size
from orchestrator.queries.drawing import drawing_of, step_of
from orchestrator.queries.history_sql import HISTORY
from orchestrator.queries.runs import find_run, may_read_data
from orchestrator.queries.step_run import Progress, rfc3339
from orchestrator.queries.within import narrowed, places_of

ATTEMPTS = {"S": "succeeded", "F": "failed", "T": "timed_out", "U": "unknown", "K": "cancelled"}
#: Of undo steps (node < 0).
UNDO_ATTEMPTS = {"S": "undone", "F": "undo_failed", "T": "undo_failed", "U": "undo_failed", "K": "cancelled"}
#: What became of an event at a step that waited for it.
DELIVERED = {"D": "delivered", "X": "dead"}
#: What a person did about the undo of one step.
SETTLED = frozenset({"undo_retry", "undo_skip", "undo_by_hand"})
BEGINNING = "-infinity"


@dataclass(frozen=True, slots=True)
class ReachedBy:
    """An event, as a line of history names it. `key` is empty when it has none."""

    id: int
    type: str
    key: str

    def as_json(self) -> dict[str, Json]:
        return {"id": self.id, "type": self.type, "key": self.key}


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One line of a run's history. `cause` names the entries of the attempts that led to this one.

    `undo`: it is an attempt to undo the step, or what a person did about its undo.
    """

    at: datetime
    kind: str
    what: str
    actor: str = ""
    step: str | None = None
    scope: str | None = None
    attempt: int | None = None
    entry: int | None = None
    cause: tuple[int, ...] = ()
    ports: tuple[str, ...] | None = None
    started_at: datetime | None = None
    final: bool = True
    error: Mapping[str, Json] | None = None
    comment: str = ""
    task: str | None = None
    undo: bool = False
    #: Which event reached the step; None also where the actor may not read the run's data.
    event: ReachedBy | None = None
    #: Of a for-each: how its items ended.
    progress: Progress | None = None

    def as_json(self) -> dict[str, Json]:
        """The API's form."""
        return {
            "at": rfc3339(self.at),
            "kind": self.kind,
            "what": self.what,
            "actor": self.actor,
            "step": self.step,
            "scope": self.scope,
            "attempt": self.attempt,
            "entry": self.entry,
            "cause": list(self.cause),
            "port": None if self.ports is None else list(self.ports),
            "started_at": rfc3339(self.started_at),
            "final": self.final,
            "error": self.error,
            "comment": self.comment,
            "task": self.task,
            "undo": self.undo,
            "event": self.event.as_json() if self.event else None,
            "progress": self.progress.as_json() if self.progress else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Some of a run's history, oldest first.

    `next`: the cursor of what follows on this page's side of now. When it is None, ask again later with `seq`.
    """

    seq: int
    items: tuple[Happening, ...]
    next: str | None

    def as_json(self) -> dict[str, Json]:
        return {"seq": self.seq, "items": [item.as_json() for item in self.items], "next": self.next}


def history(
    actor: Actor, run_id: UUID, parameters: Mapping[str, str], *, after: int = 0, scope: int | None = None
) -> HistoryPage:
    """One page of a run's history by `cursor` and `limit` of the query parameters.

    What ran inside the items of a for-each is left out: there may be 100,000 of them. `scope`: only what ran in this
    scope (one item) and in the containers it holds.
    `after`: the `seq` of an earlier, complete read; then only what came since, possibly with repeats. Two statements
    and the drawing's. Raises NotFound, CursorInvalid, LimitInvalid.
    """
    run = find_run(actor, run_id)
    size = page_size(parameters.get("limit", ""))
    at, place = _decode(parameters.get("cursor", ""))
    values: dict[str, Any] = {"run": run.pk, "after": after, "at": at, "place": place, "size": size + 1}
    values |= places_of(drawing_of(run.version_id), scope)
    with connection.cursor() as cursor:
        cursor.execute(narrowed(HISTORY, scope=scope), values)
        seq, *rows = _rows(cursor.fetchall())
    shown = may_read_data(actor, run)
    items = tuple(_happening(row, run, shown=shown) for row in rows[:size])
    more = len(rows) > size
    return HistoryPage(seq=seq, items=items, next=_encode(rows[size - 1]) if more else None)


def _rows(found: list[tuple[Any, ...]]) -> list[Any]:
    """The position, then the rows (an empty history has one row of NULLs beside its position)."""
    return [found[0][0], *(row[1:] for row in found if row[1] is not None)]


def _happening(row: tuple[Any, ...], run: Run, *, shown: bool) -> Happening:
    at, _, kind, what, actor, node, scope_id, attempt, entry, cause, ports, started_at, step_key, raw, told = row
    detail = json.loads(raw)
    drawing = drawing_of(run.version_id)
    error = detail.get("error")
    if kind == "attempt":
        what = (ATTEMPTS if node >= 0 else UNDO_ATTEMPTS).get(what, what)
    elif kind == "event":
        what = DELIVERED[what]
    elif kind == "run" and what in SETTLED:
        node, scope_id = detail.get("node"), detail.get("scope", 0)
    return Happening(
        at=at,
        kind=kind,
        what=what,
        actor=actor,
        step=step_key or detail.get("step") if node is None else drawing.keys[step_of(node)],
        scope=str(scope_id) if scope_id else None,
        attempt=attempt,
        entry=entry,
        cause=tuple(cause or ()),
        ports=None if ports is None else tuple(ports),
        started_at=started_at,
        final=detail.get("final", True),
        error=error and {"code": error.get("code", "error"), "message": error.get("message", "")},
        comment=(detail.get("comment") or detail.get("reason") or "") if shown else "",
        task=detail.get("task"),
        undo=what in SETTLED or (node is not None and node < 0),
        event=ReachedBy(detail["event"], detail["type"], detail["key"]) if kind == "event" and shown else None,
        progress=None if told is None else Progress(**json.loads(told)),
    )


def _encode(row: tuple[Any, ...]) -> str:
    text = json.dumps([row[0].isoformat(), row[1]])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[str | datetime, str]:
    if not cursor:
        return BEGINNING, ""
    try:
        at, place = json.loads(base64.b64decode(cursor[:200] + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        moment = datetime.fromisoformat(at)
        if not (isinstance(place, str) and place.isdecimal() and place.isascii() and moment.tzinfo):
            raise ValueError(place)
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise CursorInvalid("The cursor was not made by this list. Start again without one.") from error
    return moment, place


__all__ = ["Happening", "HistoryPage", "history"]
