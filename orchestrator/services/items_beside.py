"""A for-each is opened again for one of its items: the others stand as they are, and go on where they were cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from django.db.models import F

from orchestrator.core.plan import BodyPlan, Plan, plan_of_body
from orchestrator.core.replay import Verdict
from orchestrator.core.states import TokenState
from orchestrator.engine.items import lane_timeout
from orchestrator.engine.lease import LANE
from orchestrator.models import Run, Scope, Token
from orchestrator.services.inside import open_inside
from orchestrator.services.inside_items import BEGINS, Unit, begun, lane, ranges, take_turns, unfinished, waiting_items
from orchestrator.services.parked import park, wait_for_turn
from orchestrator.services.standing import XID, RunBusy
from orchestrator.services.standing import Scope as Standing
from orchestrator.services.way import StepRunning


@dataclass(frozen=True, slots=True)
class Item:
    """The item for which the for-each is opened: its scope, its tokens, and how it has ended where it has none."""

    scope_id: int
    tokens: list[Token]
    over: str | None


@dataclass(slots=True)
class _Others:
    """The other items by how they stand."""

    failed: int
    cut: list[int]
    not_begun: list[int]


def open_items(run: Run, plan: Plan, token: Token, block: Scope, item: Item) -> list[Token]:
    """The tokens with which the for-each goes on, which waits for them.

    What failed in other items counts as failed. Where that is more than is tolerated nothing but this item goes on: the
    for-each fails again with its end. Where only some of the items must end well, the others wait for this one's end.
    """
    others = _others(run, plan_of_body(plan, token.node), token, block, item)
    ok = block.total - 1 - others.failed - len(others.cut) - len(others.not_begun)
    if others.failed > block.tolerate:
        others.cut, others.not_begun = [], []
    timeout, index = lane_timeout(plan, token.node), item.scope_id - block.pk - 1
    lane_of = partial(lane, token, block, timeout=timeout)
    made, units = [*item.tokens, _its_lane(token, block, item, timeout)], [Unit(index, item.tokens, first=True)]
    for scope_id in others.cut:
        place = scope_id - block.pk - 1
        inside = _go_on(run, plan, token, scope_id)
        made += [*inside, lane_of(place, place + 1, waits_for=scope_id)]
        units.append(Unit(place, inside))
    for low, high in ranges(others.not_begun, max(block.chunk, 1)):
        made.append(one := lane_of(low, high))
        units.append(Unit(low, [one]))
    in_turn = take_turns(block, units, at_once=None if block.enough is None else 1)
    Scope.objects.filter(pk=block.pk).update(ok=ok, fail=others.failed, next=block.total, in_turn=in_turn)
    park(run, plan, token, block.pk, waiting_items(block))
    return made


def _its_lane(token: Token, block: Scope, item: Item, timeout: float) -> Token:
    index = item.scope_id - block.pk - 1
    its = lane(token, block, index, index + 1, timeout, waits_for=item.scope_id)
    if item.over is not None:
        its.state = token.state
        its.signal = {"lo": index, "hi": index + 1, "state": item.over, "scope": item.scope_id}
        Token.objects.filter(pk=its.pk).update(state=its.state, signal=its.signal, xid=XID)
    return its


def _go_on(run: Run, plan: Plan, token: Token, scope_id: int) -> list[Token]:
    scope = Standing(run, plan_of_body(plan, token.node), scope_id, token.cause)
    standing = scope.replayed()
    scope.renew_forgotten(standing)
    made = scope.rewrite(standing, run.generation, again=())
    return [inside for one in made for inside in open_inside(run, plan, one, retries=False)]


def take_up_again(run: Run, plan: Plan, token: Token, block: Scope, scope_id: int) -> bool:
    """An item of a for-each that is still open gets a lane that waits for it; whether it may begin at once.

    Raises RunBusy, StepRunning.
    """
    index = scope_id - block.pk - 1
    lanes = list(Token.objects.filter(run_id=run.pk, scope_id=block.pk, phase=LANE))
    for one in lanes:
        in_hand = one.signal is not None and one.signal["lo"] <= index < one.signal["hi"]
        if one.inner_scope == scope_id and one.state == TokenState.WAITING:
            return True
        if one.inner_scope == scope_id:
            raise RunBusy("The item has ended at this very moment. Try again.")
        if in_hand:
            raise StepRunning(f"Item {index + 1} is being worked on. Wait for its end.")
    body = plan_of_body(plan, token.node)
    end = Standing(run, body, scope_id).replayed().gates.get(body.end)
    counted = "fail" if end is not None and end.verdict is Verdict.FAILED else "ok"
    # It is counted once more when it ends.
    Scope.objects.filter(pk=block.pk).update(**{counted: F(counted) - 1})
    lane(token, block, index, index + 1, lane_timeout(plan, token.node), waits_for=scope_id)
    return len(lanes) < max(block.lanes, 1)


def take_its_turn(block: Scope, scope_id: int, made: Sequence[Token]) -> None:
    """All lanes are taken: the item goes on once one of them has ended."""
    for token in made:
        if token.state in BEGINS:
            wait_for_turn(token, block.pk, scope_id - block.pk - 1)
    Scope.objects.filter(pk=block.pk).update(in_turn=True)


def _others(run: Run, body: BodyPlan, token: Token, block: Scope, item: Item) -> _Others:
    there = begun(run, body, token, block) | {item.scope_id}
    failed, cut = 0, []
    for scope_id in unfinished(run, body, block, there - {item.scope_id}):
        standing = Standing(run, body, scope_id).replayed()
        end = standing.gates.get(body.end)
        if end is not None and end.verdict is Verdict.FAILED:
            failed += 1
        elif body.end not in standing.holds:
            cut.append(scope_id)
    not_begun = [index for index in range(block.total) if block.pk + 1 + index not in there]
    return _Others(failed, cut, not_begun)
