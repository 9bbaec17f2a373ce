"""A retry of what failed inside a container: its scopes are opened again where they stood, nothing in them begins anew.

Called under the run's exclusive lock, for the token that a retry has just made for a container that failed or was cut
short. Either that token waits for what goes on inside; or all inside had ended when the container was cut short, and it
goes on with that; or (it failed by itself, or what was inside has been undone) it stays ready and the container begins
anew.
"""

from collections.abc import Collection
from functools import partial

from django.db import connection

from orchestrator.core.document import FOR_EACH, REPEAT
from orchestrator.core.json_types import JsonObject
from orchestrator.core.plan import Plan, plan_of_body
from orchestrator.core.replay import unhandled
from orchestrator.core.states import AttemptOutcome, TokenState
from orchestrator.core.undo import UndoState
from orchestrator.models import Run, Scope, StepLog, Token, UndoItem
from orchestrator.services.inside_items import Reopen, reopen_items
from orchestrator.services.parked import go_on, park, wait_for_turn, was_cut
from orchestrator.services.standing import RunBusy
from orchestrator.services.standing import Scope as Standing


def open_inside(run: Run, plan: Plan, token: Token, *, retries: bool = True) -> list[Token]:
    """The tokens with which a container goes on that failed or was cut short: those inside, or its own.

    `retries`: what failed in it is tried again; else only what was cut short goes on.
    """
    if token.node not in plan.bodies:
        return [token]
    block = Scope.objects.filter(
        run_id=run.pk, node=token.node, parent=token.scope_id, generation=token.generation
    ).last()
    if block is None:
        return [token]
    clear(run, block)
    if is_taken_back(run, block):
        return [token]
    reopened = partial(_reopened, run, plan, token, retries=retries)
    if block.lock is not None:
        return _behind_lock(run, plan, token, block, reopened)
    if plan.steps[token.node].kind == FOR_EACH:
        made = reopen_items(run, plan, token, block, reopened)
    else:
        made = _body(run, plan, token, block, reopened)
    if not made:
        return [token]
    Scope.objects.filter(pk=block.pk).update(state="O", token_id=token.pk)
    return made


def is_taken_back(run: Run, block: Scope) -> bool:
    """Whether something that succeeded inside has been undone since: nothing can go on from there."""
    return UndoItem.objects.filter(
        run_id=run.pk, boundary=block.pk, state__in=(UndoState.UNDONE, UndoState.BY_HAND)
    ).exists()


def _behind_lock(run: Run, plan: Plan, token: Token, block: Scope, reopened: Reopen) -> list[Token]:
    """The container asks for its lock anew; what goes on inside waits for that, and for the container to open."""
    scope_id = block.pk + 1
    made, over = reopened(scope_id)
    if made:
        wait_for_lock(token, block, made)
    elif over is not None and was_cut(token):
        go_on(token, scope_id, waiting_for(block), {"state": over, "scope": scope_id})
    return [token, *made]


def wait_for_lock(token: Token, block: Scope, made: Collection[Token]) -> None:
    """Let what goes on inside wait until the container's own token has got its lock."""
    for inside in made:
        if inside.state in {TokenState.READY, TokenState.HELD}:
            wait_for_turn(inside, block.pk, 0, kind="lock", text=f'Waiting for its turn at "{block.lock}"')
    Token.objects.filter(pk=token.pk).update(inner_scope=block.pk + 1)
    # Nothing of before is left, see `clear`: a sweep that had yet to find that would take what is here now.
    Scope.objects.filter(pk=block.pk).update(draining_since=None)


def clear(run: Run, block: Scope) -> None:
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


def _body(run: Run, plan: Plan, token: Token, block: Scope, reopened: Reopen) -> list[Token]:
    is_repeat = plan.steps[token.node].kind == REPEAT
    scope_id = last_turn(run, plan, token.node, block) if is_repeat else block.pk + 1
    made, over = reopened(scope_id)
    waiting = waiting_for(block, scope_id - block.pk if is_repeat else None)
    if made:
        park(run, plan, token, scope_id, waiting)
    elif over is not None and was_cut(token):
        go_on(token, scope_id, waiting, {"state": over, "scope": scope_id})
        made = [token]
    return made


def waiting_for(block: Scope, memo: int | None = None) -> JsonObject:
    """How a container waits for its body; `memo` is the turn."""
    return {"kind": "body", "text": "Waiting for its steps", "memo": memo, "block": block.pk}


def last_turn(run: Run, plan: Plan, container: int, block: Scope) -> int:
    """The scope of the turn that a repeat came to; turns that a re-run of an earlier one has taken back are none."""
    nodes = [step.node for step in plan.steps if step.parent == container]
    rows = StepLog.objects.filter(run_id=run.pk, node__in=nodes, scope_id__range=(block.pk + 1, block.pk + MOST))
    newest = rows.order_by("-scope_id", "node", "-generation", "-attempt").distinct("scope_id", "node")
    found = newest.values_list("scope_id", "outcome").iterator()
    return next((scope_id for scope_id, outcome in found if outcome != AttemptOutcome.REPEATED), block.pk + 1)


MOST = 131_071  # the highest index in a block


def _reopened(run: Run, plan: Plan, token: Token, scope_id: int, *, retries: bool) -> tuple[list[Token], str | None]:
    """What goes on in one scope, and how it has ended where nothing does: a failure that is tried again is no end."""
    body = plan_of_body(plan, token.node)
    scope = Standing(run, body, scope_id, token.cause)
    roots = unhandled(body, scope.ports(), scope.replayed()) if retries else frozenset()
    standing = scope.replayed(without=roots)
    if body.end in standing.holds:
        scope.count_arrivals(standing, run.generation)
        return [], "succeeded"
    if not standing.holds:
        return [], None if retries else "failed"
    scope.renew_forgotten(standing)
    made = scope.rewrite(standing, run.generation, again=())
    return [token for one in made for token in open_inside(run, plan, one, retries=retries)], None
