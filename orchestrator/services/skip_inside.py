"""Where a step inside a container stands that is to be skipped: in one item, in one turn, in a scope."""

from orchestrator.core.errors import Conflict
from orchestrator.engine.lease import LANE
from orchestrator.models import Token
from orchestrator.services.parked import turn_of
from orchestrator.services.reopen import Opened, StepInside


class StepNotOpen(Conflict):
    """The step neither waits nor has failed, or somebody else was faster."""

    code = "step_not_open"


def token_inside(it: Opened, node: int, scope: int | None) -> Token:
    """The step's token in this scope; without one, where it stands only once. Raises StepInside, StepNotOpen."""
    step = it.plan.steps[node]
    standing = Token.objects.filter(run_id=it.run.pk, node=node).exclude(phase=LANE)
    if scope is not None:
        token = standing.filter(scope_id=scope).first()
        if token is None:
            message = f'Step "{step.key}" does not stand in scope {scope}: it has ended there or never was there.'
            raise StepNotOpen(f"{message} A failed one is retried with its container.")
        return token
    found = standing.order_by("scope_id")[:2]
    if len(found) == 1:
        return found[0]
    assert step.parent is not None, "a step of the top level stands in no scope"
    around = it.plan.steps[step.parent].key
    message = f'Step "{step.key}" stands inside "{around}"'
    if not found:
        raise StepInside(f'{message} and has no run of its own. Choose "{around}".')
    raise StepInside(f'{message}, in {standing.count()} items or turns at once. Say in which: "scope" of its step run.')


def require_turn(token: Token, key: str) -> None:
    """A step that must not begin before others have ended is not passed over. Raises StepNotOpen."""
    if turn_of(token) is not None:
        raise StepNotOpen(f'Step "{key}" waits for its turn or for a lock: nothing behind it may begin before that.')
