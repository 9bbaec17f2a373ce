"""What a retry or a rerun would do, told beforehand. Reads under the run's lock, changes nothing."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from orchestrator.core.actor import Actor
from orchestrator.core.document import REPEAT
from orchestrator.core.json_types import Json
from orchestrator.core.kinds import Effects
from orchestrator.core.plan import PlanStep, plan_of_body
from orchestrator.core.replay import descendants
from orchestrator.core.states import AttemptOutcome
from orchestrator.models import Run, Version
from orchestrator.services.as_of import last_change
from orchestrator.services.patience import patient, patiently
from orchestrator.services.reopen import (
    Opened,
    any_node_of,
    locked,
    opened,
    root_of_step,
    roots_of_run,
    standing_without,
)
from orchestrator.services.repeat_rows import Had, begun_anew, had_inside, inside
from orchestrator.services.repeat_trial import Standing, beside, moving, trial
from orchestrator.services.rerun import Repeat, rerun_step, worked_out
from orchestrator.services.retry_step import failed_step, retry_step
from orchestrator.services.run_limit import changed_limit, input_of, require_not_replaced
from orchestrator.services.skip_inside import FailedInside, fails_again
from orchestrator.services.standing import Scope
from orchestrator.services.way import Gone, Place, places_of
from orchestrator.steps.registered import function_named
from orchestrator.steps.registry import KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedStep:
    """One step that will, or may, run again. `had`: how it stood until now; None when control never was there.

    `inside`: the container that holds it. `new_key`: under a new idempotency key, so that other systems take it for a
    new request.
    """

    node: int
    key: str
    name: str
    kind: str
    effects: Effects
    had: Had | None
    inside: str | None = None
    new_key: bool = False

    def as_json(self) -> dict[str, Json]:
        return {
            "key": self.key,
            "name": self.name,
            "kind": self.kind,
            "effects": self.effects,
            "had": self.had,
            "inside": self.inside,
            "new_key": self.new_key,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatPreview:
    """`first` begin at once, `behind` follow as far as control reaches them; each container with what it holds.

    Of a step inside containers `places` says where it stands in them, the outermost first. `goes_on`: what had been cut
    short, or had not begun, when they ended, and goes on beside it now that they are open again. `fails_again`: whether
    what else has failed there, or in the run, stands and lets it fail all the same. `as_of`: what a re-run says so that
    it is refused where somebody else has let the run go on since.
    """

    first: tuple[RepeatedStep, ...]
    behind: tuple[RepeatedStep, ...]
    version: int
    places: tuple[Place, ...] = ()
    goes_on: tuple[RepeatedStep, ...] = ()
    fails_again: bool = False
    as_of: int = 0

    @property
    def external(self) -> tuple[RepeatedStep, ...]:
        """Those that act outside and have acted, or may have acted, before."""
        return tuple(step for step in (*self.first, *self.behind) if step.effects == "external" and step.had)

    @property
    def renewed(self) -> tuple[RepeatedStep, ...]:
        """Those that have been at work and would be again, under new idempotency keys."""
        return tuple(step for step in (*self.first, *self.behind) if step.new_key and step.had)

    @property
    def new_keys(self) -> bool:
        return any(step.new_key for step in (*self.first, *self.behind))

    def as_json(self) -> dict[str, Json]:
        return {
            "first": [step.as_json() for step in self.first],
            "behind": [step.as_json() for step in self.behind],
            "version": self.version,
            "new_keys": self.new_keys,
            "places": [place.as_json() for place in self.places],
            "goes_on": [step.as_json() for step in self.goes_on],
            "fails_again": self.fails_again,
            "as_of": self.as_of,
        }


def preview_retry(run_id: UUID, actor: Actor, key: str | None = None, *, scope: int | None = None) -> RepeatPreview:
    """What `retry_run`, or `retry_step` of one step, would try again. Raises as they do."""

    def look() -> RepeatPreview:
        with transaction.atomic(), opened(run_id, actor) as it:
            failed = None if key is None else failed_step(it, any_node_of(it, key), scope)
            if failed is not None:
                return _retry_inside(it, actor, failed)
            roots = roots_of_run(it) if key is None else root_of_step(it, key)
            forgotten = it.scope.forgotten(standing_without(it, roots))
            anew = begun_anew(it, actor, roots)
            # A container that begins anew keeps its own key; what it holds does not.
            told = _Told(it, forgotten | inside(it.plan, forgotten | anew) | (anew - set(it.plan.bodies)))
            behind = frozenset(n for root in roots for n in descendants(it.plan, root)) | forgotten
            return RepeatPreview(
                first=told.unfinished(roots),
                behind=told.unfinished(behind - roots),
                version=_number(it.run),
                as_of=last_change(it.run),
            )

    return patiently(look)


def _retry_inside(it: Opened, actor: Actor, failed: FailedInside) -> RepeatPreview:
    """Of a step that failed inside containers."""
    key, (*_, last) = it.plan.steps[failed.node].key, failed.way
    fails: list[bool] = []

    def look() -> Iterable[Standing]:
        with locked(it.run.pk, actor) as then:
            fails.append(fails_again(then, failed.way))
        return list(moving(it))

    before = frozenset(moving(it))
    found = trial(lambda: retry_step(it.run.pk, key, actor, scope=last.inner), look)
    others = frozenset(one.node for one in beside(it.plan, found - before, failed.way, failed.node))
    place = Scope(it.run, plan_of_body(it.plan, last.node), last.inner)
    told = _Told(it, frozenset())
    return RepeatPreview(
        first=tuple(one for one in told.all({failed.node}, place) if not (one.inside and one.had == "succeeded")),
        behind=told.behind(failed.way, failed.node),
        version=_number(it.run),
        places=places_of(it.plan, failed.way),
        goes_on=told_beside(it, others),
        fails_again=fails[0],
        as_of=last_change(it.run),
    )


@patient
def preview_rerun(
    run_id: UUID, key: str, actor: Actor, *, newest: bool = False, scope: int | None = None
) -> RepeatPreview:
    """What `rerun_step` would repeat. Raises as it does."""
    with transaction.atomic(), opened(run_id, actor) as it:
        repeat = worked_out(it, any_node_of(it, key), scope, newest=newest)
        others = _beside(it, actor, repeat, newest=newest) if repeat.way else frozenset()
        it.plan = repeat.plan
        changes = {} if repeat.version is None else changed_limit(it.run, repeat.plan, input_of(it.run))
        require_not_replaced(it.run, changes.get("concurrency_key", it.run.concurrency_key))
        number = repeat.version.number if repeat.version else _number(it.run)
        told = _Told(it, frozenset(step.node for step in it.plan.steps))
        if not repeat.way:
            behind = told.all(repeat.again - {repeat.node})
            first, as_of = told.all({repeat.node}), last_change(it.run)
            return RepeatPreview(first=first, behind=behind, version=number, as_of=as_of)
        place = Scope(it.run, plan_of_body(it.plan, repeat.way[-1].node), repeat.way[-1].inner)
        return RepeatPreview(
            first=told.all({repeat.node}, place),
            behind=told.behind(repeat.way, repeat.node),
            version=number,
            places=places_of(it.plan, repeat.way),
            goes_on=told_beside(it, others),
            as_of=last_change(it.run),
        )


def _beside(it: Opened, actor: Actor, repeat: Repeat, *, newest: bool) -> frozenset[int]:
    """What goes on beside the step that is done again."""
    run_id, key, scope = it.run.pk, it.plan.steps[repeat.node].key, repeat.way[-1].inner
    before = frozenset(moving(it))
    found = trial(lambda: rerun_step(run_id, key, actor, newest=newest, scope=scope), lambda: moving(it))
    return frozenset(one.node for one in beside(it.plan, found - before, repeat.way, repeat.node))


def told_beside(it: Opened, nodes: frozenset[int]) -> tuple[RepeatedStep, ...]:
    """Steps inside containers that go on, under the keys that they had."""
    return _Told(it, frozenset()).only(nodes)


def _number(run: Run) -> int:
    return Version.objects.values_list("number", flat=True).get(pk=run.version_id)


class _Told:
    """Tells of steps, and of what they hold, how they stood and whether they get new keys."""

    def __init__(self, it: Opened, renewed: frozenset[int]) -> None:
        self._it, self._renewed = it, renewed

    def all(self, nodes: Collection[int], place: Scope | None = None) -> tuple[RepeatedStep, ...]:
        """These steps, which stand in `place` (else on the top level), and all that they hold."""
        plan, held = self._it.plan, inside(self._it.plan, nodes)
        had: dict[int, Had | None] = {**had_inside(self._it.run.pk, held)}
        had |= {node: _had(place or self._it.scope, node) for node in nodes}
        return tuple(self._step(node, had.get(node)) for node in sorted({*nodes, *held}) if node < plan.end)

    def only(self, nodes: Collection[int]) -> tuple[RepeatedStep, ...]:
        """These steps, which stand inside containers."""
        had = had_inside(self._it.run.pk, nodes)
        return tuple(self._step(node, had.get(node)) for node in sorted(nodes))

    def behind(self, way: Sequence[Gone], node: int) -> tuple[RepeatedStep, ...]:
        """What follows a step inside containers: on each level, the outermost first, with the containers' own ends."""
        found: dict[int, RepeatedStep] = {}
        place, plan = self._it.scope, self._it.plan
        for gone in way:
            found[gone.node] = self._step(gone.node, _had(place, gone.node))
            found |= {one.node: one for one in self._following(place, gone.node)}
            place = Scope(self._it.run, plan_of_body(plan, gone.node), gone.inner)
        found |= {one.node: one for one in self._following(place, node)}
        turns = [gone.node for gone in way if plan.steps[gone.node].kind == REPEAT]
        later = self.only(inside(plan, turns) - set(found) - {node})
        return tuple(found.values()) + later

    def _following(self, place: Scope, node: int) -> tuple[RepeatedStep, ...]:
        return self.all(descendants(place.plan, node), place)

    def unfinished(self, nodes: Collection[int]) -> tuple[RepeatedStep, ...]:
        """Without what has succeeded inside a container and stays so."""
        return tuple(one for one in self.all(nodes) if not one.inside or one.had != "succeeded" or one.new_key)

    def _step(self, node: int, had: Had | None) -> RepeatedStep:
        steps = self._it.plan.steps
        step = steps[node]
        return RepeatedStep(
            node=node,
            key=step.key,
            name=step.name,
            kind=step.kind,
            effects=effects_of(step),
            had=had,
            inside=None if step.parent is None else steps[step.parent].key,
            new_key=node in self._renewed,
        )


def _had(scope: Scope, node: int) -> Had | None:
    token = scope.tokens.get(node)
    if token is not None:
        return "running" if token.state == "L" else "open"
    end = scope.recorded.get(node)
    if end is None or end.attempt <= 0:
        return None
    return "succeeded" if end.outcome == AttemptOutcome.SUCCESS else "failed"


def effects_of(step: PlanStep) -> Effects:
    """Whether repeating the step may be seen outside: as its kind says, of a call as its function says."""
    kind = KINDS.get(step.kind)
    if kind is None:
        return "external"
    function = function_named(str(step.config.get("function"))) if step.kind == "call" else None
    return function.effects if function else kind.effects
