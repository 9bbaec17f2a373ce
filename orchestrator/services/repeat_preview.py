"""What a retry or a rerun would do, told beforehand. Reads under the run's lock, changes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.db import transaction

from orchestrator.core.actor import Actor
from orchestrator.core.json_types import Json
from orchestrator.core.kinds import Effects
from orchestrator.core.plan import PlanStep
from orchestrator.core.replay import descendants
from orchestrator.core.states import AttemptOutcome
from orchestrator.models import Run, Version
from orchestrator.services.reopen import Opened, node_of, opened, root_of_step, roots_of_run, standing_without
from orchestrator.services.rerun import worked_out
from orchestrator.services.run_limit import changed_limit, input_of
from orchestrator.services.standing import Scope
from orchestrator.steps.registered import function_named
from orchestrator.steps.registry import KINDS

Had = Literal["succeeded", "failed", "running", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedStep:
    """One step that will, or may, run again. `had`: how it stood until now; None when control never was there."""

    key: str
    name: str
    kind: str
    effects: Effects
    had: Had | None

    def as_json(self) -> dict[str, Json]:
        return {"key": self.key, "name": self.name, "kind": self.kind, "effects": self.effects, "had": self.had}


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatPreview:
    """`first` begin at once, `behind` follow as far as control reaches them."""

    first: tuple[RepeatedStep, ...]
    behind: tuple[RepeatedStep, ...]
    version: int
    #: True: under new idempotency keys, so that other systems take it for a new request.
    new_keys: bool

    @property
    def external(self) -> tuple[RepeatedStep, ...]:
        """Those that act outside and have acted, or may have acted, before."""
        return tuple(step for step in (*self.first, *self.behind) if step.effects == "external" and step.had)

    def as_json(self) -> dict[str, Json]:
        return {
            "first": [step.as_json() for step in self.first],
            "behind": [step.as_json() for step in self.behind],
            "version": self.version,
            "new_keys": self.new_keys,
        }


def preview_retry(run_id: UUID, actor: Actor, key: str | None = None) -> RepeatPreview:
    """What `retry_run`, or `retry_step` of one step, would try again. Raises as they do."""
    with transaction.atomic(), opened(run_id, actor) as it:
        roots = roots_of_run(it) if key is None else root_of_step(it, key)
        standing_without(it, roots)
        behind = frozenset(n for root in roots for n in descendants(it.plan, root)) - roots
        return _preview(it, roots, behind, _number(it.run), new_keys=False)


def preview_rerun(run_id: UUID, key: str, actor: Actor, *, newest: bool = False) -> RepeatPreview:
    """What `rerun_step` would repeat. Raises as it does."""
    with transaction.atomic(), opened(run_id, actor) as it:
        repeat = worked_out(it, node_of(it.plan, run_id, key), newest=newest)
        it.plan = repeat.plan
        if repeat.version is not None:
            changed_limit(it.run, repeat.plan, input_of(it.run))
        number = repeat.version.number if repeat.version else _number(it.run)
        return _preview(it, {repeat.node}, repeat.again - {repeat.node}, number, new_keys=True)


def _number(run: Run) -> int:
    return Version.objects.values_list("number", flat=True).get(pk=run.version_id)


def _preview(it: Opened, first: Iterable[int], behind: Iterable[int], version: int, *, new_keys: bool) -> RepeatPreview:
    def told(nodes: Iterable[int]) -> tuple[RepeatedStep, ...]:
        return tuple(_step(it.plan.steps[node], it.scope) for node in sorted(nodes) if node < it.plan.end)

    return RepeatPreview(first=told(first), behind=told(behind), version=version, new_keys=new_keys)


def _step(step: PlanStep, scope: Scope) -> RepeatedStep:
    return RepeatedStep(
        key=step.key, name=step.name, kind=step.kind, effects=effects_of(step), had=_had(scope, step.node)
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
