"""Events as an actor may see them: lists with filters, and one event with its deliveries."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from orchestrator.core.errors import NotFound
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.models import Delivery, Event
from orchestrator.policy import Action, Actor, may, narrowed
from orchestrator.queries.cursor import Page, page_of
from orchestrator.queries.deliveries import STATES, DeliveryView, deliveries_for, delivery_views, with_runs
from orchestrator.queries.runs import runs_for
from orchestrator.queries.step_run import rfc3339

ABSENT_EVENT = "No such event in this workspace."
#: Served by event_by_workspace.
NEWEST = ("-accepted_at", "-pk")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """What a list of events is narrowed to; every empty field admits all."""

    type: str = ""
    key: str = ""
    source: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def condition(self) -> Q:
        """The filter as a condition on events."""
        # Served by event_by_key (key, or key and type), event_by_type and event_once (source).
        wanted = {"type": self.type, "key": self.key, "source": self.source}
        condition = Q(**{name: value for name, value in wanted.items() if value})
        if self.since:
            condition &= Q(accepted_at__gte=self.since)
        return condition & Q(accepted_at__lt=self.until) if self.until else condition


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """One event. `event` is it in CloudEvents' JSON format, without its data. `counts`: deliveries by state."""

    id: int
    event: JsonObject
    #: When it says that it happened.
    time: datetime | None
    accepted_at: datetime
    published_by: str | None
    counts: Mapping[str, int]

    @property
    def reached(self) -> int:
        """How many steps it came to."""
        return sum(self.counts.values())

    def as_json(self) -> dict[str, Json]:
        """The EventView of the API."""
        return {
            "id": self.id,
            "event": self.event,
            "accepted_at": rfc3339(self.accepted_at),
            "published_by": self.published_by,
            "deliveries": {**self.counts},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDetail:
    """One event with its data, and a page of its deliveries, oldest first."""

    view: EventView
    data: Json
    deliveries: tuple[DeliveryView, ...]
    next: str | None

    def as_json(self) -> dict[str, Json]:
        shown = self.view.as_json()
        counts = shown.pop("deliveries")
        items = [one.as_json() for one in self.deliveries]
        event = {**self.view.event, "data": self.data}
        return {**shown, "event": event, "counts": counts, "deliveries": {"items": items, "next": self.next}}


def events_for(actor: Actor) -> QuerySet[Event]:
    """The events that the actor may read: the workspace's; for approvers those that reached runs of their tasks."""
    events = Event.objects.in_workspace(actor.workspace_id)
    if not may(actor, Action.RUN_READ_DATA):
        return events.none()
    if narrowed(actor, Action.RUN_READ_DATA):
        reached = Delivery.objects.filter(run_id__in=runs_for(actor).values("pk"))
        return events.filter(pk__in=reached.values("event_id"))
    return events


def list_events(actor: Actor, wanted: EventFilter, parameters: Mapping[str, str]) -> Page[Event]:
    """One page, the newest first, by `cursor` and `limit` of the query parameters. Show its items by `event_views`."""
    rows = events_for(actor).filter(wanted.condition()).select_related("published_by").defer("data")
    return page_of(rows, parameters, order=NEWEST)


def event_views(actor: Actor, events: Collection[Event]) -> list[EventView]:
    """The views of events that `list_events` read, in one more statement: it counts what each of them reached."""
    counts: dict[int, dict[str, int]] = {event.pk: dict.fromkeys(STATES.values(), 0) for event in events}
    # Served by delivery_once.
    rows = deliveries_for(actor).filter(event_id__in=list(counts)).order_by().values_list("event_id", "state")
    for event_id, state, count in rows.annotate(count=Count("pk")):
        counts[event_id][STATES[state]] = count
    return [view_of(event, counts[event.pk]) for event in events]


def event_detail(actor: Actor, event_id: int, parameters: Mapping[str, str]) -> EventDetail:
    """One event, and the page of its deliveries that `cursor` and `limit` ask for. Raises NotFound."""
    event = events_for(actor).select_related("published_by").filter(pk=event_id).first()
    if event is None:
        raise NotFound(ABSENT_EVENT)
    (view,) = event_views(actor, [event])
    page = page_of(with_runs(deliveries_for(actor).filter(event_id=event.pk)), parameters, order=("pk",))
    return EventDetail(view=view, data=event.data, deliveries=tuple(delivery_views(page.items)), next=page.next)


def view_of(event: Event, counts: Mapping[str, int]) -> EventView:
    by = event.published_by
    return EventView(
        id=event.pk,
        event=cloud_event_json(event),
        time=event.time,
        accepted_at=event.accepted_at,
        published_by=by.label if by else None,
        counts=counts,
    )


def cloud_event_json(event: Event) -> JsonObject:
    """The event as steps see it, without its data; see sql/events.sql."""
    optional = {"subject": event.subject, "key": event.key or None}
    return {
        **event.extra,
        "specversion": "1.0",
        "id": event.event_id,
        "source": event.source,
        "type": event.type,
        **{name: value for name, value in optional.items() if value is not None},
        "time": rfc3339(event.time or event.accepted_at),
    }
