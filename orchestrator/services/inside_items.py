"""A retry of a for-each: its unfinished items go on where they stood, the finished ones are left alone."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from django.db import connection
from django.db.models import Q

from orchestrator.core.json_types import JsonObject
from orchestrator.core.plan import BodyPlan, Plan, plan_of_body
from orchestrator.core.replay import replay
from orchestrator.core.states import TokenState
from orchestrator.engine.items import lane_timeout
from orchestrator.engine.lease import LANE
from orchestrator.models import Run, Scope, StepLog, Token
from orchestrator.services.parked import go_on, park, wait_for_turn, was_cut
from orchestrator.services.standing import XID

#: The last final row of each step of each item.
ENDS = """
SELECT DISTINCT ON (s.scope_id, s.node) s.scope_id, s.node, s.outcome, s.ports FROM orchestrator_steplog s
WHERE s.run_id = %s AND s.node = ANY(%s) AND s.scope_id BETWEEN %s AND %s AND s.final
ORDER BY s.scope_id, s.node, s.generation DESC, s.attempt DESC
"""
BEGINS = (TokenState.READY, TokenState.HELD)
#: What goes on in one scope, and how it has ended where nothing does; None where it can only begin anew.
Reopen = Callable[[int], tuple[list[Token], str | None]]


def reopen_items(run: Run, plan: Plan, token: Token, block: Scope, reopen: Reopen) -> list[Token]:
    """The tokens with which the items go on, or the for-each's own; empty when it begins anew.

    Unfinished items each get a lane that waits for them, and items that have not begun get lanes, too. As many go on at
    once as the for-each had lanes; the others take their turn as those end.
    """
    made: list[Token] = []
    units: list[Unit] = []
    again = hopeless = 0
    there = begun(run, plan, token, block)
    timeout = lane_timeout(plan, token.node)
    for scope_id in unfinished(run, plan_of_body(plan, token.node), block, there):
        inside, over = reopen(scope_id)
        if inside:
            index = scope_id - block.pk - 1
            again += 1
            made += [*inside, lane(token, block, index, index + 1, timeout, waits_for=scope_id)]
            units.append(Unit(index, inside))
        hopeless += not inside and over != "succeeded"
    fresh = [index for index in range(block.total) if block.pk + 1 + index not in there]
    for low, high in ranges(fresh, max(block.chunk, 1)):
        made.append(one := lane(token, block, low, high, timeout))
        units.append(Unit(low, [one]))
    in_turn = take_turns(block, units)
    waiting = waiting_items(block)
    # Counted anew: an item may have ended well just when the others were stopped, before its lane said so.
    ok = block.total - again - len(fresh) - hopeless
    if made:
        Scope.objects.filter(pk=block.pk).update(ok=ok, fail=hopeless, next=block.total, in_turn=in_turn)
        park(run, plan, token, block.pk, waiting)
    elif was_cut(token):
        state = "failed" if hopeless > block.tolerate else "succeeded"
        Scope.objects.filter(pk=block.pk).update(ok=ok, fail=hopeless, next=block.total)
        go_on(token, block.pk, waiting, {"state": state, "ok": ok, "fail": hopeless, "total": block.total})
        made.append(token)
    return made


def waiting_items(block: Scope) -> JsonObject:
    """How a for-each waits for its items."""
    text = f"Working through {block.total} items"
    return {"kind": "items", "text": text, "memo": None, "block": block.pk}


@dataclass(frozen=True, slots=True)
class Unit:
    """What takes one turn: an item with its tokens, or the lane of several. `first`: before all others."""

    index: int
    tokens: Sequence[Token]
    first: bool = False

    @property
    def moving(self) -> list[Token]:
        return [token for token in self.tokens if token.state in BEGINS]


def take_turns(block: Scope, units: Sequence[Unit], at_once: int | None = None) -> bool:
    """Let what goes beyond the for-each's lanes wait, in the order of the items; whether there is any."""
    most = at_once or max(block.lanes, 1)
    moving = sorted((unit for unit in units if unit.moving), key=lambda unit: (not unit.first, unit.index))
    later = moving[max(0, most - (len(units) - len(moving))) :]
    for unit in later:
        for token in unit.moving:
            wait_for_turn(token, block.pk, unit.index)
    return bool(later)


def begun(run: Run, plan: Plan, token: Token, block: Scope) -> set[int]:
    """The scopes of items that have left an attempt, or an end. What only may have begun begins with its first."""
    nodes = [step.node for step in plan.steps if step.parent == token.node]
    span = (block.pk + 1, block.pk + block.total)
    rows = StepLog.objects.filter(run_id=run.pk, node__in=nodes, scope_id__range=span)
    return set(rows.filter(Q(final=True) | Q(attempt__gt=0)).values_list("scope_id", flat=True))


def unfinished(run: Run, body: BodyPlan, block: Scope, there: Collection[int]) -> list[int]:
    """Items that failed or were cut short; also those that were stopped between two steps and left no row of it."""
    nodes = [step.node for step in body.steps if step.parent == body.container]
    ends: dict[int, dict[int, tuple[str, ...] | None]] = {scope_id: {} for scope_id in there}
    with connection.cursor() as cursor:
        cursor.execute(ENDS, [run.pk, nodes, block.pk + 1, block.pk + block.total])
        for scope_id, node, outcome, ports in cursor.fetchall():
            if outcome not in {"K", "R"} and scope_id in ends:
                ends[scope_id][node] = None if ports is None else tuple(ports)
    return [scope_id for scope_id, known in sorted(ends.items()) if not _has_ended_well(body, known)]


def _has_ended_well(body: BodyPlan, ends: dict[int, tuple[str, ...] | None]) -> bool:
    return None not in ends.values() and body.end in replay(body, ends).holds


def ranges(indexes: list[int], longest: int) -> list[tuple[int, int]]:
    """The same indexes as stretches of neighbours, none longer than that."""
    runs = [list(group) for _, group in groupby(enumerate(indexes), lambda pair: pair[1] - pair[0])]
    found = []
    for run in runs:
        first, last = run[0][1], run[-1][1] + 1
        found += [(low, min(low + longest, last)) for low in range(first, last, longest)]
    return found


def lane(token: Token, block: Scope, low: int, high: int, timeout: float, *, waits_for: int | None = None) -> Token:
    """A lane of the for-each for these items; `waits_for`: the scope of the one that it has in hand."""
    now = datetime.now(UTC).isoformat()
    waiting = {"kind": "items", "text": f"Waiting for item {low + 1}", "since": now}
    made = Token(
        run_id=token.run_id,
        version_id=token.version_id,
        node=token.node,
        scope_id=block.pk,
        generation=token.generation,
        state=token.state if waits_for is None else TokenState.WAITING,
        queue=token.queue,
        priority=token.priority,
        # Lanes number their attempts apart, so that lost ones can all be logged.
        attempt=(low + 1) * 1_000,
        timeout=timeout,
        phase=LANE,
        signal={"lo": low, "hi": high},
        waiting=None if waits_for is None else waiting,
        inner_scope=waits_for,
        cause=token.cause,
        xid=XID,
    )
    made.save(force_insert=True)
    return made
