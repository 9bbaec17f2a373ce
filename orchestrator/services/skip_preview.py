"""What a skip would let go on, told beforehand. Reads under the run's lock, changes nothing."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from orchestrator.core.actor import Actor
from orchestrator.core.json_types import Json
from orchestrator.services.patience import patiently
from orchestrator.services.reopen import Opened, any_node_of, locked, opened
from orchestrator.services.repeat_preview import RepeatedStep, told_beside
from orchestrator.services.repeat_trial import Standing, beside, moving, trial
from orchestrator.services.skip import preview_skip, skip_step
from orchestrator.services.skip_inside import fails_again, token_inside
from orchestrator.services.way import ENDED_BADLY, Gone, Place, places_of, way_to


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipPreview:
    """`ports` by which control could leave the step, the usual one first.

    Of a step that failed inside containers: `places` says where, `goes_on` what was cut short beside it, or had not
    begun, and goes on; `fails_again` that what else failed there, or in the run, stands and lets it fail all the same.
    """

    ports: tuple[str, ...]
    places: tuple[Place, ...] = ()
    goes_on: tuple[RepeatedStep, ...] = ()
    fails_again: bool = False

    def as_json(self) -> dict[str, Json]:
        return {
            "ports": list(self.ports),
            "places": [place.as_json() for place in self.places],
            "goes_on": [step.as_json() for step in self.goes_on],
            "fails_again": self.fails_again,
        }


def told_skip(run_id: UUID, key: str, actor: Actor, *, scope: int | None = None) -> SkipPreview:
    """Raises as `skip_step` does."""

    def look() -> SkipPreview:
        ports = preview_skip(run_id, key, actor, scope=scope)
        with transaction.atomic(), opened(run_id, actor) as it:
            node = any_node_of(it, key)
            if it.plan.steps[node].parent is None or token_inside(it, node, scope):
                return SkipPreview(ports=ports)
            way = way_to(it, node, scope, only=ENDED_BADLY) or ()
            port = ports[0] if ports else None
            tried = _tried(it, actor, node, port, way)
            goes_on = told_beside(it, frozenset(one.node for one in tried.found))
            return SkipPreview(ports=ports, places=places_of(it.plan, way), goes_on=goes_on, fails_again=tried.fails)

    return patiently(look)


@dataclass(frozen=True, slots=True)
class _Tried:
    found: frozenset[Standing]
    fails: bool


def _tried(it: Opened, actor: Actor, node: int, port: str | None, way: tuple[Gone, ...]) -> _Tried:
    run_id, key, scope = it.run.pk, it.plan.steps[node].key, way[-1].inner
    fails = []

    def look() -> frozenset[Standing]:
        with locked(run_id, actor) as then:
            fails.append(fails_again(then, way))
        return frozenset(moving(it))

    before = frozenset(moving(it))
    found = trial(lambda: skip_step(run_id, key, actor, port=port, scope=scope), look)
    return _Tried(beside(it.plan, found - before, way, node), fails[0])
