"""A retry of what failed inside a container: its scopes are opened again where they stood, nothing in them begins anew.

Called under the run's exclusive lock, for the token that a retry has just made for a failed container. Either that
token waits for what goes on inside, or (nothing inside can go on) it stays ready and the container begins anew.
"""

from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from django.db import connection

from orchestrator.core.document import FOR_EACH, REPEAT, SUB_WORKFLOW
from orchestrator.core.plan import Plan, plan_of_body
from orchestrator.core.replay import unhandled
from orchestrator.core.states import TokenState
from orchestrator.engine.lease import LANE
from orchestrator.models import Run, Scope, StepLog, Token
from orchestrator.services.standing import XID, RunBusy
from orchestrator.services.standing import Scope as Standing

#: Items whose last rows say that they failed, or were cut off; and every item that has left a row.
FAILED_ITEMS = """
SELECT DISTINCT l.scope_id FROM (
    SELECT DISTINCT ON (s.node, s.scope_id) s.scope_id, s.outcome, s.ports FROM orchestrator_steplog s
    WHERE s.run_id = %s AND s.node = ANY(%s) AND s.scope_id BETWEEN %s AND %s AND s.final
    ORDER BY s.node, s.scope_id, s.generation DESC, s.attempt DESC
) l WHERE (l.outcome IN ('F', 'T') AND l.ports IS NULL) OR l.outcome = 'K' ORDER BY 1
"""


def open_inside(run: Run, plan: Plan, token: Token) -> list[Token]:
    """The tokens with which a failed container goes on: those inside, or its own."""
    if token.node not in plan.bodies:
        return [token]
    block = Scope.objects.filter(
        run_id=run.pk, node=token.node, parent=token.scope_id, generation=token.generation
    ).last()
    if block is None or block.lock is not None:  # a lock is asked for anew
        return [token]
    _clear(run, block)
    kind = plan.steps[token.node].kind
    made = _items(run, plan, token, block) if kind == FOR_EACH else _body(run, plan, token, block)
    if not made:
        return [token]
    Scope.objects.filter(pk=block.pk).update(state="O", token_id=token.pk)
    return made


def _clear(run: Run, block: Scope) -> None:
    """Take away what the end of the container has left behind. Raises RunBusy when it is moving right now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT branchline_close_scopes(%s, %s)", [run.pk, block.pk])
        cursor.execute(LEFT_INSIDE, [run.pk, run.pk, block.pk])
        if cursor.fetchone()[0]:
            raise RunBusy("A step inside is moving at this very moment. Try again.")


LEFT_INSIDE = """
SELECT EXISTS (SELECT 1 FROM orchestrator_token k WHERE k.run_id = %s AND k.scope_id <> 0
    AND branchline_block(k.scope_id) IN (SELECT branchline_blocks_inside(%s, %s)))
"""


def wait_for_child(run: Run, token: Token, text: str) -> Run | None:
    """The failed run of a sub-workflow step, for which its new token now waits; None when there is none to go on."""
    child = Run.objects.filter(parent_run_id=run.pk, parent_node=token.node, parent_scope=token.scope_id).last()
    if child is None or child.state != "failed":
        return None
    _park(token, None, {"kind": "child", "text": text, "memo": None})
    Run.objects.filter(pk=child.pk).update(parent_token=token.pk, parent_epoch=token.epoch)
    return child


def is_child_step(plan: Plan, token: Token) -> bool:
    """Whether this token stands at a sub-workflow step."""
    return 0 <= token.node < len(plan.steps) and plan.steps[token.node].kind == SUB_WORKFLOW


def _body(run: Run, plan: Plan, token: Token, block: Scope) -> list[Token]:
    is_repeat = plan.steps[token.node].kind == REPEAT
    scope_id = _last_turn(run, plan, token.node, block) if is_repeat else block.pk + 1
    made = _reopened(run, plan, token.node, scope_id)
    if made:
        turn = scope_id - block.pk
        memo = turn if is_repeat else None
        _park(token, scope_id, {"kind": "body", "text": "Waiting for its steps", "memo": memo, "block": block.pk})
    return made


def _last_turn(run: Run, plan: Plan, container: int, block: Scope) -> int:
    nodes = [step.node for step in plan.steps if step.parent == container]
    rows = StepLog.objects.filter(run_id=run.pk, node__in=nodes, scope_id__range=(block.pk + 1, block.pk + MOST))
    return rows.order_by("-scope_id").values_list("scope_id", flat=True).first() or block.pk + 1


MOST = 131_071  # the highest index in a block


def _reopened(run: Run, plan: Plan, container: int, scope_id: int) -> list[Token]:
    """What goes on in one scope once its failures are forgotten; nothing when it has ended, or never began."""
    body = plan_of_body(plan, container)
    scope = Standing(run, body, scope_id)
    roots = unhandled(body, scope.ports(), scope.replayed())
    standing = scope.replayed(without=roots)
    if not standing.holds or body.end in standing.holds:
        return []
    made = scope.rewrite(standing, run.generation, again=())
    return [token for one in made for token in open_inside(run, plan, one)]


def _items(run: Run, plan: Plan, token: Token, block: Scope) -> list[Token]:
    """Failed items go on where they stood, each with a lane that waits for it; items not begun yet get lanes, too."""
    nodes = [step.node for step in plan.steps if step.parent == token.node]
    span = (block.pk + 1, block.pk + block.total)
    with connection.cursor() as cursor:
        cursor.execute(FAILED_ITEMS, [run.pk, nodes, *span])
        scopes = [row[0] for row in cursor.fetchall()]
    made: list[Token] = []
    again = 0
    for scope_id in scopes:
        inside = _reopened(run, plan, token.node, scope_id)
        if inside:
            index = scope_id - block.pk - 1
            again += 1
            made += [*inside, _lane(token, block, index, index + 1, waits_for=scope_id)]
    begun = set(
        StepLog.objects.filter(run_id=run.pk, node__in=nodes, scope_id__range=span).values_list("scope_id", flat=True)
    )
    fresh = [index for index in range(block.total) if block.pk + 1 + index not in begun]
    made += [_lane(token, block, low, high) for low, high in _ranges(fresh, max(block.chunk, 1))]
    if made:
        # Counted anew: an item may have ended well just when the others were stopped, before its lane said so.
        ok = block.total - again - len(fresh)
        Scope.objects.filter(pk=block.pk).update(ok=ok, fail=0, next=block.total)
        text = f"Working through {block.total} items"
        _park(token, block.pk, {"kind": "items", "text": text, "memo": None, "block": block.pk})
    return made


def _ranges(indexes: list[int], longest: int) -> list[tuple[int, int]]:
    runs = [list(group) for _, group in groupby(enumerate(indexes), lambda pair: pair[1] - pair[0])]
    found = []
    for run in runs:
        first, last = run[0][1], run[-1][1] + 1
        found += [(low, min(low + longest, last)) for low in range(first, last, longest)]
    return found


def _lane(token: Token, block: Scope, low: int, high: int, *, waits_for: int | None = None) -> Token:
    now = datetime.now(UTC).isoformat()
    waiting = {"kind": "items", "text": f"Waiting for item {low + 1}", "since": now}
    lane = Token(
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
        timeout=token.timeout,
        phase=LANE,
        signal={"lo": low, "hi": high},
        waiting=None if waits_for is None else waiting,
        inner_scope=waits_for,
        cause=token.cause,
        xid=XID,
    )
    lane.save(force_insert=True)
    return lane


def _park(token: Token, inner_scope: int | None, waiting: dict[str, Any]) -> None:
    """Let a token wait as if its step had opened what it waits for."""
    waiting = {**waiting, "since": datetime.now(UTC).isoformat()}
    Token.objects.filter(pk=token.pk).update(
        state=TokenState.WAITING, phase=1, inner_scope=inner_scope, waiting=waiting, xid=XID
    )
    token.state = TokenState.WAITING


__all__ = ["is_child_step", "open_inside", "wait_for_child"]
