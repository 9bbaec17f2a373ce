"""Repeat a step and everything behind it, in a new generation: new idempotency keys, the kept steps' results stay."""

from dataclasses import dataclass
from uuid import UUID

from orchestrator.core.actor import Actor
from orchestrator.core.errors import Conflict, InputInvalid
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.plan import Plan
from orchestrator.core.replay import Replayed, descendants
from orchestrator.core.schema import check_input
from orchestrator.core.states import RunState, TokenState
from orchestrator.engine.identity import uuid7
from orchestrator.engine.values import Packed
from orchestrator.models import Payload, Run, Token, Version, Workflow
from orchestrator.services.as_of import require_unchanged
from orchestrator.services.open_way import OpenWay
from orchestrator.services.patience import patiently
from orchestrator.services.plans import plan_of
from orchestrator.services.reopen import Opened, any_node_of, finish, go_on_below, opened, reopen
from orchestrator.services.run_above import outermost
from orchestrator.services.run_limit import change_limit, input_of
from orchestrator.services.same_inside import VersionDiffers, require_same_inside
from orchestrator.services.standing import Scope
from orchestrator.services.way import Gone, StepRunning, require_enterable, way_to


class StepNeverRan(Conflict):
    """Control has not been at this step: there is nothing to repeat."""

    code = "step_never_ran"


class _Unchanged:
    """No other input than the run has."""


UNCHANGED = _Unchanged()


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """What a rerun would do, worked out under the lock: the plan to go on with and the steps to forget."""

    node: int
    #: The containers around it, the outermost first.
    way: tuple[Gone, ...]
    plan: Plan
    version: Version | None
    again: frozenset[int]
    standing: Replayed


def rerun_step(  # noqa: PLR0913  keyword-only: the whole request
    run_id: UUID,
    key: str,
    actor: Actor,
    reason: str = "",
    *,
    newest: bool = False,
    input: Json | _Unchanged = UNCHANGED,
    scope: int | None = None,
    as_of: int | None = None,
) -> RunState:
    """Run a step and everything behind it again. `newest`: by the live version; `input`: with another run input.

    `as_of`: of the preview that was looked at; what others have let go on since is not repeated unseen.

    Of a step inside containers `scope` says in which item or turn, if there are several: what is behind it there runs
    again, then later turns of a repeat, the end of the containers, and what is behind those.

    Raises NotFound, StepInside, StepNeverRan, VersionDiffers, StepRunning, InputInvalid, ExpressionFailed and
    LimitDiffers (by the limit that then holds), RunNotRepeatable, RunOfSubWorkflow, BusinessKeyOpen, NewerRunOpen,
    RunChanged, RunBusy.
    """

    def change() -> RunState:
        with opened(run_id, actor) as it:
            require_unchanged(it.run, as_of)
            repeat = worked_out(it, any_node_of(it, key), scope, newest=newest)
            detail: dict[str, Json] = {"step": key, "generation": it.run.generation + 1}
            detail |= {"scope": str(repeat.way[-1].inner)} if repeat.way else {}
            detail |= {"reason": reason} if reason else {}
            detail |= _change_version(it, repeat)
            if not isinstance(input, _Unchanged):
                detail |= _change_input(it.run, repeat.version, input)
            if "version" in detail or "former_input" in detail:
                change_limit(it.run, repeat.plan, input_of(it.run))
            return _repeat(it, actor, repeat, detail)

    return patiently(change)


def worked_out(it: Opened, node: int, scope: int | None, *, newest: bool) -> Repeat:
    """Raises StepInside, StepNeverRan, VersionDiffers, StepRunning."""
    way = way_to(it, node, scope)
    if way is None:
        title = it.plan.steps[node].title
        where = f"has never run in scope {scope}, or was entered anew since" if scope else "has never run in this run"
        raise StepNeverRan(f"Step {title} {where}. Choose a step that has.")
    outer = way[0].node if way else node
    _require_ran(it.scope, outer)
    require_enterable(it, way)
    again = descendants(it.plan, outer) | {outer}
    version = _newest(it.run) if newest else None
    if version is not None:
        plan = plan_of(version)
        again |= descendants(plan, outer)
        _require_same_place(it.scope, plan, version, again - ({outer} if way else set()))
        if way:
            require_same_inside(it.plan, plan, outer, version.number)
        it.scope.plan = plan
    standing = _standing_again(it.scope, outer, again)
    return Repeat(node=node, way=way, plan=it.scope.plan, version=version, again=again, standing=standing)


def _require_ran(scope: Scope, node: int) -> None:
    recorded = scope.recorded.get(node)
    if node not in scope.tokens and (recorded is None or recorded.attempt <= 0):
        title = scope.plan.steps[node].title
        raise StepNeverRan(f"Step {title} has never run {_here(scope)}. Choose a step that has.")


def _here(scope: Scope) -> str:
    return f"in scope {scope.scope_id}, or that is to be done again itself" if scope.scope_id else "in this run"


def _standing_again(scope: Scope, node: int, again: frozenset[int]) -> Replayed:
    # The step's own join, if it has one, stays fired: its branches are kept.
    standing = scope.replayed(without=again, reopened=again - {node})
    if node not in standing.holds:
        title = scope.plan.steps[node].title
        message = f"Step {title} waits for a step before it that is itself to run again. Re-run from there."
        raise StepNeverRan(message)
    return standing


def _inside_again(scope: Scope, node: int) -> tuple[Replayed, frozenset[int]]:
    """How one item, turn or scope is to stand: as the top level of the run."""
    _require_ran(scope, node)
    again = descendants(scope.plan, node) | {node}
    standing = _standing_again(scope, node, again)
    scope.renew(again | scope.forgotten(standing))
    return standing, again


def _newest(run: Run) -> Version | None:
    """The live version when it is another than the run's."""
    live = Workflow.objects.select_related("live_version").get(pk=run.workflow_id).live_version
    return None if live is None or live.pk == run.version_id else live


def _require_same_place(scope: Scope, plan: Plan, version: Version, again: frozenset[int]) -> None:
    """Rows name steps by number: whatever has rows must have kept its number; what is kept, its arrows too."""
    number = version.number
    for node in sorted(scope.nodes_with_rows()):
        old = scope.plan.steps[node]
        new = plan.steps[node] if node < plan.end else None
        if new is None or (new.key, new.kind) != (old.key, old.kind):
            message = f"Step {old.title} of this run is not at the same place in version {number}, or of another kind."
            raise VersionDiffers(f"{message} Re-run with the run's own version, or start a new run.")
        if node not in again and _led_to(scope.plan, node) != _led_to(plan, node):
            message = f"Step {old.title}, which would be kept, is led to by other arrows in version {number}."
            raise VersionDiffers(f"{message} Re-run from an earlier step, or with the run's own version.")
    working = Token.objects.filter(run_id=scope.run.pk, state=TokenState.LEASED, node__in=range(scope.plan.end))
    for node in working.values_list("node", flat=True):
        if outermost(scope.plan, node) not in again:
            message = f"Step {scope.plan.steps[node].title} is running with the old version. Wait for its end."
            raise StepRunning(message)


def _led_to(plan: Plan, node: int) -> set[tuple[str, str]]:
    return {(plan.steps[arrow.source].key, arrow.port) for arrow in plan.in_arrows.get(node, ())}


def _change_version(it: Opened, repeat: Repeat) -> dict[str, Json]:
    if repeat.version is None:
        return {}
    before, it.plan = it.plan, repeat.plan
    it.run.version_id = repeat.version.pk
    Run.objects.filter(pk=it.run.pk).update(version_id=repeat.version.pk)
    # Those inside containers that are kept, too. Another version has another number for the end.
    kept = Token.objects.filter(run_id=it.run.pk, node__gte=0).exclude(node=before.end, scope_id=0)
    kept.update(version_id=repeat.version.pk)
    return {"version": repeat.version.number}


def _change_input(run: Run, version: Version | None, value: Json) -> dict[str, Json]:
    """The new input is the run's from now on; the former one is kept as a payload that the record names."""
    document = (version or Version.objects.get(pk=run.version_id)).document
    found = check_input(document.get("input") or {}, value)
    if found:
        problems: list[Json] = [{"code": one.code, "message": one.message, "path": one.path} for one in found]
        raise InputInvalid(f"The input does not fit: {found[0].message}", details={"problems": problems})
    former = run.input_ref
    if former is None:
        former = Payload.objects.create(id=uuid7(), run_id=run.pk, body=run.input).pk
    packed = Packed({})
    packed.put(value, "input", "input_ref")
    Payload.objects.bulk_create(Payload(id=one["id"], run_id=run.pk, body=one["body"]) for one in packed.payloads)
    changes = {"input": packed.item.get("input"), "input_ref": packed.item.get("input_ref")}
    Run.objects.filter(pk=run.pk).update(**changes)
    run.input, run.input_ref = value, changes["input_ref"]
    return {"former_input": str(former)}


def _repeat(it: Opened, actor: Actor, repeat: Repeat, detail: JsonObject) -> RunState:
    generation = it.run.generation + 1
    it.scope.renew(repeat.again | it.scope.forgotten(repeat.standing))
    reopen(it, generation)
    opening = OpenWay(it.run, it.plan, repeat.way, repeat.node, stand=_inside_again, anew=True)
    made = opening.level(it.scope, 0, repeat.standing, repeat.again)
    made = go_on_below(it, actor, made, anew=opening.fresh, retries=False)
    return finish(it, actor, "rerun", detail, made)
