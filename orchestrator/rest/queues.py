"""`queues/`: how many steps the workspace lets begin on each queue."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.core.durations import DurationInvalid, format_duration, parse_duration
from orchestrator.core.errors import NotFound
from orchestrator.core.json_types import JsonObject
from orchestrator.models.queue_limit import LONGEST_PERIOD, MOST_AT_ONCE, MOST_STARTS
from orchestrator.queries.queues import Queue, queues_for_actor
from orchestrator.rest.serializers import StrictSerializer
from orchestrator.rest.views import WorkspaceView
from orchestrator.services.queue_limits import Rate, remove_queue_limit, set_queue_limit

AT_ONCE = "Steps in workers' hands at once; null: as many as there are."
PERIOD = 'ISO 8601 duration, "PT1S" to "P31D".'


class RateSerializer(StrictSerializer):
    """So many starts in a time, evenly spaced."""

    starts = serializers.IntegerField(min_value=1, max_value=MOST_STARTS)
    period = serializers.CharField(max_length=64, help_text=PERIOD)
    burst = serializers.IntegerField(
        min_value=1, max_value=MOST_STARTS, default=1, help_text="Starts that may come at once after a quiet time."
    )

    def validate_period(self, text: str) -> str:
        try:
            seconds = parse_duration(text)
        except DurationInvalid as error:
            raise serializers.ValidationError(error.message, code=error.error_code) from error
        if not 1 <= seconds <= LONGEST_PERIOD:
            raise serializers.ValidationError(f'"{text}" is not between one second and 31 days.', code="period_invalid")
        return text

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["burst"] > attrs["starts"]:
            message = f"A burst of {attrs['burst']} is more than the {attrs['starts']} starts of the whole period."
            raise serializers.ValidationError({"burst": serializers.ErrorDetail(message, code="burst_invalid")})
        return attrs


class QueueLimitSerializer(StrictSerializer):
    """The whole limit of a queue; it replaces what was there."""

    concurrency = serializers.IntegerField(
        min_value=1, max_value=MOST_AT_ONCE, allow_null=True, default=None, help_text=AT_ONCE
    )
    rate = RateSerializer(allow_null=True, default=None)


class QueueSerializer(serializers.Serializer[Any]):
    """A queue that steps of the workspace use, or a worker serves."""

    queue = serializers.CharField()
    served = serializers.BooleanField(help_text="Whether a worker that lives serves it.")
    concurrency = serializers.IntegerField(allow_null=True, help_text=AT_ONCE)
    rate = RateSerializer(allow_null=True)
    at_work = serializers.IntegerField(help_text="Steps of this workspace in workers' hands; counted under a limit.")
    in_line = serializers.IntegerField(help_text="Steps of this workspace that wait for their turn.")
    next_start_at = serializers.DateTimeField(allow_null=True, help_text="When the rate allows the next of them.")


class QueuesSerializer(serializers.Serializer[Any]):
    """All of them: there are few."""

    items = QueueSerializer(many=True)


def show_queue(queue: Queue) -> JsonObject:
    rate: JsonObject | None = None
    if queue.starts is not None and queue.period is not None:
        rate = {"starts": queue.starts, "period": format_duration(queue.period), "burst": queue.burst}
    return {
        "queue": queue.name,
        "served": queue.is_served,
        "concurrency": queue.concurrency,
        "rate": rate,
        "at_work": queue.at_work,
        "in_line": queue.in_line,
        "next_start_at": queue.next_at.isoformat() if queue.next_at else None,
    }


class QueuesView(WorkspaceView):
    """The queues of the workspace."""

    query_parameters = frozenset()

    @extend_schema(operation_id="queues_list", responses=QueuesSerializer)
    def get(self, request: Request, workspace: str) -> Response:
        """List queues, their limits, and what waits for its turn."""
        return Response({"items": [show_queue(queue) for queue in queues_for_actor(self.actor)]})


class QueueView(WorkspaceView):
    """The limit of one queue."""

    query_parameters = frozenset()

    @extend_schema(operation_id="queue_get", responses=QueueSerializer)
    def get(self, request: Request, workspace: str, queue: str) -> Response:
        """Show one queue."""
        found = next((one for one in queues_for_actor(self.actor) if one.name == queue), None)
        if found is None:
            raise NotFound(f'No step of this workspace uses a queue "{queue}", and no worker serves it.')
        return Response(show_queue(found))

    @extend_schema(operation_id="queue_limit", request=QueueLimitSerializer, responses=QueueSerializer)
    def put(self, request: Request, workspace: str, queue: str) -> Response:
        """Limit a queue, from now on. What is at work goes on."""
        wish = QueueLimitSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        rate = wish.validated_data["rate"]
        set_queue_limit(
            actor=self.actor,
            queue=queue,
            concurrency=wish.validated_data["concurrency"],
            rate=rate and Rate(starts=rate["starts"], period=parse_duration(rate["period"]), burst=rate["burst"]),
        )
        return self.get(request, workspace, queue)

    @extend_schema(operation_id="queue_unlimit", responses={204: None})
    def delete(self, request: Request, workspace: str, queue: str) -> Response:
        """Take a queue's limit away."""
        remove_queue_limit(actor=self.actor, queue=queue)
        return Response(status=204)
