"""Containers on the way to a step inside them are opened again, or gone back into (docs/decisions/0057).

Called under the run's exclusive lock. Nothing that stands beside the way is done again or tried again: what has ended
keeps its end, well or not, and only what was cut short goes on.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from django.db import connection

from orchestrator.core.document import FOR_EACH, REPEAT
from orchestrator.core.plan import Plan, plan_of_body
from orchestrator.core.replay import Replayed, Verdict
from orchestrator.core.states import TokenState
from orchestrator.models import Gate, GateArrival, Run, Scope, Token
from orchestrator.services.inside import MOST, clear, is_taken_back, open_inside, wait_for_lock, waiting_for
from orchestrator.services.items_beside import Item, open_items, take_its_turn, take_up_again
from orchestrator.services.parked import go_on, park
from orchestrator.services.reopen import StepInside
from orchestrator.services.standing import XID, drop_tokens
from orchestrator.services.standing import Scope as Standing
from orchestrator.services.way import Gone

#: How one level is to stand, told the node that the way leads on to; and the steps of it that are to begin anew.
Stand = Callable[[Standing, int], tuple[Replayed, Collection[int]]]
READY = (TokenState.READY, TokenState.HELD)


@dataclass
class OpenWay:
    """Opens the containers of a `way` that ends at the step `node`.

    `stand` tells how each level must stand; `act` is done to the step's token once that is there, and gives the tokens
    with which the step goes on where it stood, or None. `fresh` are else the tokens of what begins anew, so that
    nothing of before is looked for in them.
    """

    run: Run
    plan: Plan
    way: Sequence[Gone]
    node: int
    stand: Stand
    act: Callable[[Token], list[Token] | None] = lambda _: None
    #: Containers that are still open come to a new generation, too.
    anew: bool = False
    fresh: set[int] = field(default_factory=set)

    def level(self, scope: Standing, depth: int, standing: Replayed, again: Collection[int]) -> list[Token]:
        """One level as it is to stand; the tokens with which it, and all that is opened in it, goes on."""
        is_last = depth == len(self.way)
        target = self.node if is_last else self.way[depth].node
        still = None if is_last else scope.tokens.get(target)
        again = frozenset(again) - (set() if still is None else {target})
        made = scope.rewrite(standing, self.run.generation, again=again)
        found = [] if still is None else self._go_back(still, depth)
        for token in made:
            if token.node == target:
                found += self._act(token) if is_last else self._enter(token, depth)
            elif token.node in again:
                self.fresh.add(token.pk)
                found.append(token)
            else:
                found += open_inside(self.run, self.plan, token, retries=False)
        return found

    def _act(self, token: Token) -> list[Token]:
        """The step's token, or what stands there once it has been acted on; that begins anew."""
        before = set(self._standing_at(token.scope_id)) - {token.pk}
        if (made := self.act(token)) is not None:
            return made
        found = list(Token.objects.filter(pk__in=set(self._standing_at(token.scope_id)) - before))
        self.fresh |= {one.pk for one in found}
        return found

    def _standing_at(self, scope_id: int) -> Collection[int]:
        rows = Token.objects.filter(run_id=self.run.pk, scope_id=scope_id, node__gte=0)
        return rows.values_list("pk", flat=True)

    def _enter(self, token: Token, depth: int) -> list[Token]:
        gone = self.way[depth]
        block, is_locked = gone.block, gone.block.lock is not None
        clear(self.run, block)
        if is_taken_back(self.run, block):
            title = self.plan.steps[gone.node].title
            raise StepInside(f"What happened inside {title} has been undone: nothing goes on there. Re-run {title}.")
        # Open from here on, or nothing moves in it; one with a lock is open only once it has that.
        Scope.objects.filter(pk=block.pk).update(state="O", token_id=token.pk, generation=token.generation)
        if self.plan.steps[gone.node].kind == REPEAT:
            take_back_turns(self.run, self.plan, gone)
        scope = Standing(self.run, plan_of_body(self.plan, gone.node), gone.inner, token.cause)
        target = self.node if depth + 1 == len(self.way) else self.way[depth + 1].node
        made = self.level(scope, depth + 1, *self.stand(scope, target))
        if is_locked:
            Scope.objects.filter(pk=block.pk).update(state="C")
        return self._wait(token, gone, made, self._over(scope, made))

    def _go_back(self, token: Token, depth: int) -> list[Token]:
        """Into a container that is still open: its token waits on, for the turn or item that is done again now.

        Whoever ends in there lets it go on, as ever.
        """
        run, plan, gone = self.run, self.plan, self.way[depth]
        if self.anew:
            token.generation = run.generation
            Token.objects.filter(pk=token.pk).update(generation=token.generation, xid=XID)
            Scope.objects.filter(pk=gone.block.pk).update(generation=token.generation)
        kind = plan.steps[gone.node].kind
        if kind == REPEAT and token.inner_scope != gone.inner:
            drop_turns(run, gone)
            take_back_turns(run, plan, gone)
            waiting = {**(token.waiting or {}), "memo": gone.index}
            Token.objects.filter(pk=token.pk).update(inner_scope=gone.inner, waiting=waiting, xid=XID)
        may_begin = kind != FOR_EACH or take_up_again(run, plan, token, gone.block, gone.inner)
        scope = Standing(run, plan_of_body(plan, gone.node), gone.inner, token.cause)
        target = self.node if depth + 1 == len(self.way) else self.way[depth + 1].node
        made = self.level(scope, depth + 1, *self.stand(scope, target))
        if not may_begin:
            take_its_turn(gone.block, gone.inner, made)
        return made

    def _over(self, scope: Standing, made: Collection[Token]) -> str | None:
        """How a scope has ended in which nothing stands any more."""
        if self._standing_at(scope.scope_id):
            return None
        gate = Gate.objects.get(run_id=self.run.pk, gate=scope.plan.end, scope_id=scope.scope_id)
        return "failed" if gate.verdict == Verdict.FAILED else "succeeded"

    def _wait(self, token: Token, gone: Gone, made: list[Token], over: str | None) -> list[Token]:
        run, plan, block = self.run, self.plan, gone.block
        kind = plan.steps[gone.node].kind
        if kind == FOR_EACH:
            return open_items(run, plan, token, block, Item(gone.inner, made, over))
        waiting = waiting_for(block, gone.index if kind == REPEAT else None)
        if over is not None:
            go_on(token, gone.inner, waiting, {"state": over, "scope": gone.inner})
            return [token]
        if block.lock is not None:
            wait_for_lock(token, block, made)
            return [token, *made]
        park(run, plan, token, gone.inner, waiting)
        return made


def drop_turns(run: Run, gone: Gone) -> None:
    """What stands in later turns goes no further. Raises RunBusy."""
    standing = Token.objects.filter(run_id=run.pk, scope_id__range=(gone.inner + 1, gone.block.pk + MOST), node__gte=0)
    drop_tokens(run, list(standing.order_by("pk")))


def take_back_turns(run: Run, plan: Plan, gone: Gone) -> None:
    """The turns after this one are no more: they are done again, should the repeat come there."""
    scopes = (gone.inner + 1, gone.block.pk + MOST)
    nodes = [step.node for step in plan.steps if step.parent == gone.node]
    GateArrival.objects.filter(run_id=run.pk, scope_id__range=scopes).delete()
    Gate.objects.filter(run_id=run.pk, scope_id__range=scopes).delete()
    with connection.cursor() as cursor:
        cursor.execute(
            TAKE_BACK, {"run": run.pk, "nodes": nodes, "low": scopes[0], "high": scopes[1], "g": run.generation}
        )


TAKE_BACK = """
INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, finished_at,
    cause, xid)
SELECT nextval('orchestrator_step_log_entry'), %(run)s, n.node, n.scope_id, %(g)s,
    branchline_unstarted(%(run)s, n.node, n.scope_id, %(g)s), 'R', true, clock_timestamp(), '{}', branchline_xid()
FROM (
    SELECT DISTINCT ON (s.scope_id, s.node) s.scope_id, s.node, s.outcome FROM orchestrator_steplog s
    WHERE s.run_id = %(run)s AND s.node = ANY(%(nodes)s) AND s.scope_id BETWEEN %(low)s AND %(high)s AND s.final
    ORDER BY s.scope_id, s.node, s.generation DESC, s.attempt DESC
) n WHERE n.outcome <> 'R'
"""
