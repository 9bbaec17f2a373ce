"""Where a step inside containers stands that is to be skipped, and how those are opened again once it has failed."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from orchestrator.core.actor import Actor
from orchestrator.core.errors import Conflict
from orchestrator.core.plan import plan_of_body
from orchestrator.core.replay import Replayed, unhandled
from orchestrator.core.states import RunState
from orchestrator.engine.lease import LANE
from orchestrator.models import Scope, Token
from orchestrator.services.open_way import OpenWay
from orchestrator.services.parked import turn_of
from orchestrator.services.reopen import Opened, StepInside, go_on_below, reopen
from orchestrator.services.standing import Scope as Standing
from orchestrator.services.way import ENDED_BADLY, Gone, require_enterable, way_to


class StepNotOpen(Conflict):
    """The step neither waits nor has failed, or somebody else was faster."""

    code = "step_not_open"


def token_inside(it: Opened, node: int, scope: int | None) -> Token | None:
    """The step's token in this scope; without one, where it stands only once. None where it stands nowhere.

    Raises StepInside.
    """
    standing = Token.objects.filter(run_id=it.run.pk, node=node).exclude(phase=LANE)
    if scope is not None:
        return standing.filter(scope_id=scope).first()
    found = standing.order_by("scope_id")[:2]
    if len(found) > 1:
        step = it.plan.steps[node]
        assert step.parent is not None, "a step of the top level stands in no scope"
        message = f"Step {step.title} stands inside {it.plan.steps[step.parent].title}, in {standing.count()} items"
        raise StepInside(f'{message} or turns at once. Say in which: "scope" of its step run.')
    return found[0] if found else None


def require_turn(token: Token, title: str) -> None:
    """A step that must not begin before others have ended is not passed over. Raises StepNotOpen."""
    if turn_of(token) is not None:
        raise StepNotOpen(f"Step {title} waits for its turn or for a lock: nothing behind it may begin before that.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedInside:
    """A step that failed, or was cut short, inside containers that ended with it."""

    node: int
    way: tuple[Gone, ...]


def failed_inside(it: Opened, node: int, scope: int | None) -> FailedInside:
    """Raises StepInside, StepNotOpen, StepRunning."""
    title = it.plan.steps[node].title
    way = way_to(it, node, scope, only=ENDED_BADLY)
    if not way or it.run.state in {RunState.SUCCEEDED, RunState.CANCELLED}:
        taken = "the run has gone on without it" if it.run.state == RunState.SUCCEEDED else "nothing there is to skip"
        where = f"in scope {scope}" if scope else "in this run"
        raise StepNotOpen(f"Step {title} neither waits nor has failed {where}, or {taken}. Re-run from a step instead.")
    innermost = plan_of_body(it.plan, way[-1].node)
    standing_without(Standing(it.run, innermost, way[-1].inner), node)
    require_enterable(it, way)
    standing_without(it.scope, way[0].node)
    return FailedInside(node=node, way=way)


def standing_without(scope: Standing, node: int) -> Replayed:
    """How a level is to stand once this one failure is forgotten; every other one stands. Raises StepNotOpen."""
    recorded, title = scope.recorded.get(node), scope.plan.steps[node].title
    was_cut = recorded is not None and recorded.attempt > 0 and recorded.is_cut
    is_open = node in scope.tokens  # a container that is still at work: only its item, or branch, has failed
    if not is_open and not was_cut and node not in unhandled(scope.plan, scope.ports(), scope.replayed()):
        message = f"Step {title} has not failed, or its failure was taken where it happened"
        raise StepNotOpen(f"{message}: the run has gone on without it. Re-run from a step instead.")
    standing = scope.replayed(without={node})
    if node not in standing.holds:
        raise StepNotOpen(f"Step {title} lies on a path that another failed step opened. Retry that one first.")
    return standing


def _renewed(scope: Standing, node: int) -> tuple[Replayed, Collection[int]]:
    standing = standing_without(scope, node)
    scope.renew_forgotten(standing)
    return standing, ()


def go_on_inside(
    it: Opened, actor: Actor, failed: FailedInside, act: Callable[[Token], list[Token] | None]
) -> list[Token]:
    """Open the containers again and `act` on the step's token, see `OpenWay`; the tokens with which the run goes on.

    Raises StepInside, StepNotOpen, RunBusy.
    """
    reopen(it, it.run.generation)
    own: set[int] = set()

    def noted(token: Token) -> list[Token] | None:
        made = act(token)
        own.update(one.pk for one in made or ())
        return made

    opening = OpenWay(it.run, it.plan, failed.way, failed.node, stand=_renewed, act=noted)
    made = opening.level(it.scope, 0, *_renewed(it.scope, failed.way[0].node))
    return go_on_below(it, actor, made, anew=opening.fresh | own, retries=False)


def fails_again(it: Opened, way: tuple[Gone, ...]) -> bool:
    """Whether what else failed lets a container on the way, or the run, fail whatever comes of the step."""
    scope = Standing(it.run, it.plan)
    for gone in way:
        if unhandled(scope.plan, scope.ports(), scope.replayed()):
            return True
        block = Scope.objects.get(pk=gone.block.pk)
        if block.total and block.fail > block.tolerate:
            return True
        scope = Standing(it.run, plan_of_body(it.plan, gone.node), gone.inner)
    return bool(unhandled(scope.plan, scope.ports(), scope.replayed()))
