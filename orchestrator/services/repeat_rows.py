"""How the steps inside containers stood until now, and which steps a retry would begin anew."""

from collections.abc import Collection, Iterable
from typing import Literal
from uuid import UUID

from django.db import connection, transaction

from orchestrator.core.actor import Actor
from orchestrator.core.plan import Plan
from orchestrator.core.states import TokenState
from orchestrator.models import Run, Scope, Token
from orchestrator.services.parked import is_child_step
from orchestrator.services.reopen import Opened, locked, retry_locked

Had = Literal["succeeded", "failed", "running", "open"]

#: Over all items and turns: a step has succeeded when it did in each that it was in.
ENDS = """
SELECT e.node, bool_and(e.outcome = 'S') FROM (
    SELECT DISTINCT ON (s.scope_id, s.node) s.node, s.outcome FROM orchestrator_steplog s
    WHERE s.run_id = %s AND s.node = ANY(%s) AND s.scope_id <> 0 AND s.final AND s.attempt > 0
    ORDER BY s.scope_id, s.node, s.generation DESC, s.attempt DESC
) e GROUP BY e.node
"""


def had_inside(run_id: UUID, nodes: Collection[int]) -> dict[int, Had]:
    """How each of these steps stood inside its container; those that control never reached are left out."""
    if not nodes:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(ENDS, [run_id, list(nodes)])
        found: dict[int, Had] = {node: "succeeded" if ok else "failed" for node, ok in cursor.fetchall()}
    tokens = Token.objects.filter(run_id=run_id, node__in=nodes).exclude(scope_id=0)
    found |= dict.fromkeys(tokens.values_list("node", flat=True), "open")
    found |= dict.fromkeys(tokens.filter(state=TokenState.LEASED).values_list("node", flat=True), "running")
    return found


def inside(plan: Plan, containers: Collection[int]) -> frozenset[int]:
    """All steps that lie in these containers, at any depth."""
    found = set(containers)
    for step in plan.steps:  # a container is numbered before its steps
        if step.parent in found:
            found.add(step.node)
    return frozenset(found - set(containers))


def begun_anew(it: Opened, actor: Actor, roots: frozenset[int]) -> frozenset[int]:
    """Containers and sub-workflow steps in which a retry begins anew: the retry itself tells, and is taken back."""
    with transaction.atomic():
        with locked(it.run.pk, actor) as trial:
            retry_locked(trial, actor, roots, {})
            found = {token.node for token in _beginning(trial) if _has_held(token, trial.plan)}
        transaction.set_rollback(True)
    return frozenset(found)


def _beginning(it: Opened) -> Iterable[Token]:
    states = (TokenState.READY, TokenState.HELD)
    return Token.objects.filter(run_id=it.run.pk, phase=0, inner_scope=None, state__in=states, node__gte=0)


def _has_held(token: Token, plan: Plan) -> bool:
    """Whether the step has opened something before, in this generation."""
    if token.node in plan.bodies:
        blocks = Scope.objects.filter(run_id=token.run_id, node=token.node, parent=token.scope_id)
        return blocks.filter(generation=token.generation).exists()
    if not is_child_step(plan, token):
        return False
    children = Run.objects.filter(parent_run_id=token.run_id, parent_node=token.node, parent_scope=token.scope_id)
    return children.exists()
