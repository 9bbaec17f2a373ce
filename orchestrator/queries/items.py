"""The items of one for-each, failed ones first, page by page: one statement, by the primary key of the step log."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from orchestrator.core.errors import NotFound
from orchestrator.core.json_types import Json
from orchestrator.models import Run, Scope
from orchestrator.models.scope import BLOCK
from orchestrator.policy import Actor
from orchestrator.queries.cursor import CursorInvalid, page_size
from orchestrator.queries.drawing import drawing_of, plan_of
from orchestrator.queries.items_sql import ITEMS
from orchestrator.queries.runs import find_run
from orchestrator.queries.step_run import Progress

ITEM_STATES = ("succeeded", "failed", "running", "waiting", "not_begun", "cancelled")
#: The place of the last item shown: 0 for failed ones and 1 for all others, and its index.
CURSOR = re.compile(r"[01]\.[0-9]{1,6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of a for-each. `index` counts from 0; `scope` is that of its step runs."""

    index: int
    scope: str
    state: str
    error_code: str | None = None
    error_message: str = ""

    @property
    def name(self) -> str:
        """As people count."""
        return f"Item {self.index + 1:,}"

    def as_json(self) -> dict[str, Json]:
        return {
            "index": self.index,
            "scope": self.scope,
            "state": self.state,
            "error": {"code": self.error_code, "message": self.error_message} if self.error_code else None,
        }


@dataclass(frozen=True, slots=True)
class Items:
    """A page of items. `progress` is None while the for-each has not begun, `next` None on the last page."""

    progress: Progress | None
    items: tuple[Item, ...] = ()
    next: str | None = None

    def as_json(self) -> dict[str, Json]:
        return {
            "progress": self.progress.as_json() if self.progress else None,
            "items": [item.as_json() for item in self.items],
            "next": self.next,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPlace:
    """Where an item stands: `index` (from 0) of the `total` items of the for-each `key`."""

    key: str
    scope: int
    index: int
    total: int

    @property
    def number(self) -> int:
        """As people count."""
        return self.index + 1

    @property
    def before(self) -> int | None:
        """The scope of the item before it."""
        return self.scope - 1 if self.index else None

    @property
    def following(self) -> int | None:
        """The scope of the item after it."""
        return self.scope + 1 if self.number < self.total else None


def item_at(run: Run, scope: int) -> ItemPlace:
    """The item whose steps run in this scope. Raises NotFound."""
    drawing = drawing_of(run.version_id)
    block = Scope.objects.filter(pk=scope & -BLOCK, run_id=run.pk, node__in=drawing.lists).first()
    index = (scope & (BLOCK - 1)) - 1
    if block is None or not 0 <= index < block.total:
        raise NotFound(f"Run {run.pk} has no item {scope}.")
    return ItemPlace(key=drawing.keys[block.node], scope=scope, index=index, total=block.total)


def items_of(actor: Actor, run_id: UUID, key: str, asked: Mapping[str, str], *, scope: str | None = None) -> Items:
    """The items of a for-each: `state`, `cursor` and `limit` of what is asked; `scope` is where the for-each stands.

    Raises NotFound for a run the actor may not read and for a step that is no for-each; CursorInvalid, LimitInvalid.
    """
    run = find_run(actor, run_id)
    drawing = drawing_of(run.version_id)
    node = drawing.nodes.get(key, -1)
    if node not in drawing.lists:
        raise NotFound(f'Run {run.pk} has no For each "{key[:63]}", and only a For each has items.')
    cursor = asked.get("cursor", "")
    if cursor and not CURSOR.fullmatch(cursor):
        raise CursorInvalid("The cursor was not made by this list. Start again without one.")
    rank, _, index = (cursor or "0.-1").partition(".")
    size = page_size(asked.get("limit", ""))
    values = {"rank": int(rank), "index": int(index), "state": asked.get("state") or None, "most": size + 1}
    return _page(_read(run, node, scope, values), size)


def _read(run: Run, node: int, scope: str | None, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    plan = plan_of(run.version_id)
    # Outside containers the scope is known; inside one the newest is shown, unless one is asked for.
    parent = int(scope) if scope else None if drawing_of(run.version_id).around[node] else 0
    places: dict[str, Any] = {
        "run": run.pk,
        "node": node,
        "parent": parent,
        "inside": [step.node for step in plan.steps if step.parent == node],
        "exits": list(plan.exits_to(plan.bodies[node].end)),
        "end": plan.bodies[node].end,
    }
    with connection.cursor() as cursor:
        cursor.execute(ITEMS, {**values, **places})
        return list(cursor.fetchall())


def _page(rows: list[tuple[Any, ...]], size: int) -> Items:
    if not rows:
        return Items(None)
    total, ok, failed = rows[0][:3]
    found = tuple(_item(*row[3:]) for row in rows if row[3] is not None)
    last = found[size - 1] if len(found) > size else None
    following = f"{int(last.state != 'failed')}.{last.index}" if last else None
    return Items(Progress(total=total, ok=ok, failed=failed), found[:size], following)


def _item(index: int, scope: int, state: str, error: str | None) -> Item:
    told = {} if error is None else json.loads(error)
    code = told.get("code", "error") if state == "failed" else None
    return Item(index=index, scope=str(scope), state=state, error_code=code, error_message=told.get("message", ""))
