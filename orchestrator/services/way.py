"""The way from the top level of a run to a step inside containers: which one it enters, and in which item or turn."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from orchestrator.core.document import FOR_EACH, REPEAT
from orchestrator.core.errors import Conflict
from orchestrator.core.json_types import Json
from orchestrator.core.plan import Plan
from orchestrator.core.states import TokenState
from orchestrator.engine.lease import LANE
from orchestrator.models import Scope, StepLog, Token
from orchestrator.services.reopen import Opened, StepInside

#: Outcomes of a last attempt that a skip may replace: it failed, was too late, is not known, or was cut short.
ENDED_BADLY = frozenset("FTUK")
MOST_PLACES = 1_000  # looked at where nobody said in which item or turn


class StepRunning(Conflict):
    """The step, or one that would be kept, is being worked on."""

    code = "step_running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """One container on the way: its block, and the scope in it that leads on."""

    node: int
    block: Scope
    inner: int

    @property
    def index(self) -> int:
        """The item's place plus one, the turn, or 1 of a scope."""
        return self.inner - self.block.pk


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One container on the way, for people. `number`: of the item or turn, from 1; None in a scope, which has one."""

    key: str
    name: str
    kind: str
    number: int | None

    def as_json(self) -> dict[str, Json]:
        return {"key": self.key, "name": self.name, "kind": self.kind, "number": self.number}


def require_enterable(it: Opened, way: tuple[Gone, ...]) -> None:
    """A container on the way has ended, or waits for what is in it. Raises StepRunning."""
    for gone in way:
        there = Token.objects.filter(run_id=it.run.pk, node=gone.node, scope_id=gone.block.parent).exclude(phase=LANE)
        for token in there:
            waiting = token.waiting or {}
            inside = waiting.get("kind") in {"body", "items"} and waiting.get("block") == gone.block.pk
            if token.state != TokenState.WAITING or not inside:
                message = f"{it.plan.steps[gone.node].title} is about to begin, to end or to be undone."
                raise StepRunning(f"{message} Try again once it has.")


def way_to(it: Opened, node: int, scope: int | None, only: Collection[str] = ()) -> tuple[Gone, ...] | None:
    """The containers around a step, the outermost first; none on the top level. `only`: looked for by how it ended.

    None when the step is in no such scope, or that belongs to a time before the container was entered last. Raises
    StepInside where the step stands in several and nobody says in which.
    """
    if it.plan.steps[node].parent is None:
        return None if scope else ()
    return _way(it, node, scope) if scope else _only_way(it, node, only)


def _only_way(it: Opened, node: int, only: Collection[str]) -> tuple[Gone, ...] | None:
    ways = [way for scope in _scopes(it, node, only) if (way := _way(it, node, scope)) is not None]
    if len(ways) > 1:
        step = it.plan.steps[node]
        assert step.parent is not None
        many = "many" if len(ways) >= MOST_PLACES else str(len(ways))
        message = f"Step {step.title} stands inside {it.plan.steps[step.parent].title}, in {many} items or turns."
        raise StepInside(f'{message} Say in which: "scope" of its step run.')
    return ways[0] if ways else None


def _scopes(it: Opened, node: int, only: Collection[str]) -> Iterable[int]:
    held = Token.objects.filter(run_id=it.run.pk, node=node).exclude(scope_id=0).values_list("scope_id", flat=True)
    rows = StepLog.objects.filter(run_id=it.run.pk, node=node, final=True).exclude(scope_id=0)
    newest = rows.order_by("-scope_id", "-generation", "-attempt").distinct("scope_id")
    logged = newest.values_list("scope_id", "outcome", "attempt")[:MOST_PLACES]
    known = [(scope, outcome) for scope, outcome, attempt in logged if outcome != "R" and attempt > 0]
    if only:
        return {scope for scope, outcome in known if outcome in only and outcome != "K"} or {
            scope for scope, outcome in known if outcome in only
        }
    return {*held, *(scope for scope, _ in known)}


def _way(it: Opened, node: int, scope: int) -> tuple[Gone, ...] | None:
    way: list[Gone] = []
    inner, parent = scope, it.plan.steps[node].parent
    while parent is not None:
        block = Scope.objects.filter(run_id=it.run.pk, node=parent, pk__lt=inner).order_by("-pk").first()
        if block is None or not 0 < inner - block.pk <= _most(it.plan, block) or not _is_newest(block):
            return None
        way.append(Gone(node=parent, block=block, inner=inner))
        inner, parent = block.parent, it.plan.steps[parent].parent
    return None if inner else tuple(reversed(way))


def _most(plan: Plan, block: Scope) -> int:
    kind = plan.steps[block.node].kind
    return block.total if kind == FOR_EACH else 131_071 if kind == REPEAT else 1


def _is_newest(block: Scope) -> bool:
    beside = Scope.objects.filter(run_id=block.run_id, node=block.node, parent=block.parent)
    return not beside.filter(pk__gt=block.pk).exists()


def places_of(plan: Plan, way: Iterable[Gone]) -> tuple[Place, ...]:
    """The way in words."""
    found = []
    for gone in way:
        step = plan.steps[gone.node]
        number = gone.index if step.kind in {FOR_EACH, REPEAT} else None
        found.append(Place(key=step.key, name=step.name, kind=step.kind, number=number))
    return tuple(found)
