"""A change of a run is tried and taken back, to tell beforehand what would stand where."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction

from orchestrator.core.plan import Plan
from orchestrator.core.replay import descendants
from orchestrator.core.states import TokenState
from orchestrator.engine.lease import LANE
from orchestrator.models import Token
from orchestrator.services.reopen import Opened
from orchestrator.services.way import Gone

MOVING = (TokenState.READY, TokenState.HELD)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a step stands, or is to begin."""

    node: int
    scope_id: int


def trial(change: Callable[[], object], look: Callable[[], Iterable[Standing]]) -> frozenset[Standing]:
    """What `look` finds once `change` is done; nothing of it stays."""
    with transaction.atomic():
        change()
        found = frozenset(look())
        transaction.set_rollback(True)
    return found


def moving(it: Opened) -> Iterable[Standing]:
    """The steps that would begin or go on, at once or in their turn."""
    for token in Token.objects.filter(run_id=it.run.pk, node__gte=0):
        if token.state not in MOVING and "turn" not in (token.waiting or {}):
            continue
        if token.phase != LANE:
            yield Standing(token.node, token.scope_id)
        elif token.inner_scope is None and token.signal is not None:
            yield from (
                Standing(node, token.scope_id + 1 + token.signal["lo"]) for node in it.plan.bodies[token.node].starts
            )


def beside(plan: Plan, found: Iterable[Standing], way: Sequence[Gone], node: int) -> frozenset[Standing]:
    """Those of them that go on beside the step at the end of a way: not because of it, and no end of its containers."""
    own = descendants(plan, node) | {node}
    around = {gone.node for gone in way}
    inner = way[-1].inner
    return frozenset(one for one in found if one.node not in around and not (one.scope_id == inner and one.node in own))
