"""Deliveries: which step each event reached, what became of it, and what gave up (dead letters)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import BooleanField, Func, QuerySet

from orchestrator.core.json_types import Json
from orchestrator.models import Delivery, Run
from orchestrator.models.event import DeliveryQuerySet, DeliveryState
from orchestrator.policy import Action, Actor, may, narrowed
from orchestrator.queries.captions import captions_of
from orchestrator.queries.cursor import Page, page_of
from orchestrator.queries.drawing import drawing_of, step_of
from orchestrator.queries.runs import runs_for
from orchestrator.queries.step_run import rfc3339

STATES: Mapping[str, str] = {
    DeliveryState.PENDING: "pending",
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.IGNORED: "ignored",
    DeliveryState.DEAD: "dead",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """What whoever watches events is told whenever some came or were delivered."""

    dead: int

    def as_json(self) -> dict[str, Json]:
        """The sockets' form."""
        return {"dead": self.dead}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """One event at one step. `waits`: the step waits for such an event now (None: nobody asked)."""

    id: int
    event_id: int
    event_type: str
    event_key: str
    state: str
    run: UUID
    workflow: str
    workflow_name: str
    business_key: str | None
    step: str
    step_name: str
    scope: str | None
    replay: int
    made_at: datetime
    ended_at: datetime | None
    error: Mapping[str, Json] | None
    waits: bool | None = None

    def as_json(self) -> dict[str, Json]:
        """The DeliveryView of the API."""
        return {
            "id": self.id,
            "event": self.event_id,
            "type": self.event_type,
            "key": self.event_key,
            "state": self.state,
            "run": str(self.run),
            "workflow": self.workflow,
            "workflow_name": self.workflow_name,
            "business_key": self.business_key,
            "step": self.step,
            "scope": self.scope,
            "replay": self.replay,
            "made_at": rfc3339(self.made_at),
            "ended_at": rfc3339(self.ended_at),
            "error": self.error,
            "replayable": self.waits,
        }


#: As `branchline_replay` finds it.
WAITS = Func(template="branchline_waits_again(orchestrator_delivery) IS NOT NULL", output_field=BooleanField())


def deliveries_for(actor: Actor) -> DeliveryQuerySet:
    """The deliveries that the actor may read: of the workspace's events; for approvers those to runs of their tasks."""
    deliveries = Delivery.objects.filter(event__workspace_id=actor.workspace_id)
    if not may(actor, Action.RUN_READ_DATA):
        return deliveries.none()
    if narrowed(actor, Action.RUN_READ_DATA):
        return deliveries.filter(run_id__in=runs_for(actor).values("pk"))
    return deliveries


def dead_letters(actor: Actor, parameters: Mapping[str, str]) -> Page[Delivery]:
    """One page of deliveries that gave up, the newest first. Show its items by `delivery_views`."""
    return page_of(with_runs(_dead(actor)).annotate(waits=WAITS), parameters)


def dead_letter_count(actor: Actor) -> int:
    """How many there are, as far as it matters: no more than are told apart on a page."""
    return len(_dead(actor).values_list("pk", flat=True)[:MOST_COUNTED])


def event_counts(actor: Actor) -> EventCounts:
    """The counts of a socket that watches events."""
    return EventCounts(dead=dead_letter_count(actor))


def _dead(actor: Actor) -> DeliveryQuerySet:
    return deliveries_for(actor).dead_in(actor.workspace_id)


MOST_COUNTED = 100


def deliveries_of_run(run: Run, parameters: Mapping[str, str]) -> Page[Delivery]:
    """One page of what reached a run, the newest first. Served by delivery_by_run. The caller asked who may read."""
    return page_of(with_runs(Delivery.objects.filter(run_id=run.pk)), parameters)


def with_runs(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """What `delivery_views` reads beside the rows themselves."""
    names = (
        "event__type",
        "event__key",
        "run__version_id",
        "run__business_key",
        "run__workflow__slug",
        "run__workflow__name",
    )
    own = [field.attname for field in Delivery._meta.concrete_fields]
    return rows.select_related("event", "run", "run__workflow").only(*own, *names)


def delivery_views(deliveries: Collection[Delivery]) -> list[DeliveryView]:
    """The views of deliveries. Versions' drawings are kept in memory."""
    return [_view(one) for one in deliveries]


def _view(one: Delivery) -> DeliveryView:
    keys = drawing_of(one.run.version_id).keys
    node = step_of(one.node)
    key = keys[node] if node < len(keys) else ""  # a newer version, re-run since, may have fewer steps
    caption = captions_of(one.run.version_id).get(key)
    return DeliveryView(
        id=one.pk,
        event_id=one.event_id,
        event_type=one.event.type,
        event_key=one.event.key,
        state=STATES[one.state],
        run=one.run_id,
        workflow=one.run.workflow.slug,
        workflow_name=one.run.workflow.name,
        business_key=one.run.business_key,
        step=key,
        step_name=caption.name if caption else key,
        scope=str(one.scope_id) if one.scope_id else None,
        replay=one.replay,
        made_at=one.made_at,
        ended_at=one.ended_at,
        error=one.error and {"code": one.error.get("code", "error"), "message": one.error.get("message", "")},
        waits=getattr(one, "waits", None),
    )
