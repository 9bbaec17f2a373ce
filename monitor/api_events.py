"""events/ and dead-letters/: accept CloudEvents, show what they reached, settle what gave up."""

from collections.abc import Mapping
from typing import IO, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from monitor.api_base import MonitorView, checked
from monitor.event_ceiling import admit
from monitor.shapes import common, events
from orchestrator.api import (
    Actor,
    CloudEvent,
    EventFilter,
    JsonObject,
    Seen,
    dead_letters,
    delivery_views,
    discard_delivery,
    event_detail,
    event_views,
    list_events,
    publish_event,
    read_event,
    replay_delivery,
    structured_event,
)
from orchestrator.rest.asked import Asked
from orchestrator.rest.errors import TooLarge
from orchestrator.rest.parsing import MOST_BYTES

BINARY = [
    OpenApiParameter(f"ce-{name}", str, OpenApiParameter.HEADER, description="Binary mode: an attribute of the event.")
    for name in ("specversion", "id", "source", "type", "key", "subject", "time")
]


class EventParser(BaseParser):
    """The body as it is: what it means is told by `read_event`."""

    media_type = "*/*"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise TooLarge(f"The body is larger than {MOST_BYTES:,} bytes.")
        return body


def event_of(request: Request) -> CloudEvent:
    """The event that a request holds, in either mode. Raises EventInvalid, EventUnsupported, JsonInvalid."""
    body: Any = request.data or b""  # no body: {}
    return read_event(request.content_type or "", request.headers, body, max_bytes=MOST_BYTES)


def publish(actor: Actor, event: CloudEvent, seen: Seen | None = None) -> tuple[int, JsonObject]:
    """Accept a checked event; the status and what is told of it. Raises what `publish_event` does."""
    published = publish_event(actor=actor, event=event.as_json(), seen=seen)
    return (200 if published.duplicate else 201), {
        "id": published.number,
        "event": event.id,
        "duplicate": published.duplicate,
        "delivered_to": published.reached,
    }


def publish_directly(asked: Asked) -> tuple[int, JsonObject]:
    """As EventsView.post does it in structured mode, for orchestrator.project.direct."""
    admit(asked.actor)
    return publish(asked.actor, structured_event(asked.body), asked.seen)


class EventsView(MonitorView):
    """The events of a workspace."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.query = events.EventQuery if request.method == "GET" else None
        super().initial(request, *args, **kwargs)

    def get_parsers(self) -> list[BaseParser]:
        return [EventParser()]

    @extend_schema(operation_id="event_list", parameters=[events.EventQuery], responses=events.EventPage)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """Events, the last accepted first."""
        asked = self.asked()
        wanted = EventFilter(**{name: asked[name] for name in FILTERS if name in asked})
        page = list_events(self.actor, wanted, request.query_params)
        return Response({"items": [view.as_json() for view in event_views(self.actor, page.items)], "next": page.next})

    @extend_schema(
        operation_id="event_publish",
        parameters=BINARY,
        request={
            "application/cloudevents+json": events.CloudEventRequest,
            "application/json": events.CloudEventRequest,
        },
        responses={201: events.Published, 200: events.Published},
    )
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Accept a CloudEvent and hand it to every step that waits for it.

        Structured mode: the event is the body. Binary mode: its attributes are headers `ce-*`, percent-encoded, and
        the body is its data. Data is JSON. 200 instead of 201 when its source had sent this id before: nothing happens
        again. 400 `event_invalid`: `details` names every attribute at fault. 429 also for all of a workspace together.
        """
        admit(self.actor)
        status, shown = publish(self.actor, event_of(request))
        return Response(shown, status=status)


FILTERS = ("type", "key", "source", "since", "until")


class EventView(MonitorView):
    """One event."""

    query = common.PageQuery

    @extend_schema(operation_id="event_read", parameters=[common.PageQuery], responses=events.EventDetail)
    def get(self, request: Request, event: int, **kwargs: Any) -> Response:
        """The event with its data, and its deliveries, the first first."""
        self.asked()
        return Response(event_detail(self.actor, event, request.query_params).as_json())


class DeadLettersView(MonitorView):
    """Deliveries that gave up."""

    query = common.PageQuery

    @extend_schema(operation_id="dead_letter_list", parameters=[common.PageQuery], responses=events.DeliveryPage)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """Dead letters with their reasons, the newest first."""
        self.asked()
        page = dead_letters(self.actor, request.query_params)
        return Response({"items": [one.as_json() for one in delivery_views(page.items)], "next": page.next})


LETTER = OpenApiParameter("delivery", OpenApiTypes.INT64, OpenApiParameter.PATH)


class ReplayView(MonitorView):
    """Replaying a dead letter."""

    @extend_schema(operation_id="dead_letter_replay", parameters=[LETTER], request=None, responses={204: None})
    def post(self, request: Request, delivery: int, **kwargs: Any) -> Response:
        """Hand it once more to its step, there or in a later turn.

        409 `not_awaited` when that does not wait for it now, `wait_is_over` when it has gone on; 409 `not_dead`.
        """
        checked(common.Nothing, request)
        replay_delivery(actor=self.actor, delivery=delivery)
        return Response(status=204)


class DiscardView(MonitorView):
    """Discarding a dead letter."""

    @extend_schema(operation_id="dead_letter_discard", parameters=[LETTER], request=None, responses={204: None})
    def post(self, request: Request, delivery: int, **kwargs: Any) -> Response:
        """Take it off the list; it stays with its event. 409 not_dead."""
        checked(common.Nothing, request)
        discard_delivery(actor=self.actor, delivery=delivery)
        return Response(status=204)
