"""workflows/{slug}/runs/: start."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from designer.api import serializers as shape
from designer.api.base import WorkflowView, checked
from designer.errors import IdempotencyKeyInvalid, WaitInvalid
from designer.waiting import wait_for_end
from orchestrator.api import run_detail, start_run

MOST_INPUT_BYTES = 8_200_000
MOST_WAIT = 30  # seconds
LONGEST_KEY = 200
HEADER = "Idempotency-Key"


class StartView(WorkflowView):
    """Starting runs of a workflow."""

    max_body_bytes = MOST_INPUT_BYTES
    query_parameters = frozenset({"wait"})

    @extend_schema(
        operation_id="runs_start",
        parameters=[
            OpenApiParameter(HEADER, OpenApiTypes.STR, OpenApiParameter.HEADER, description="Starts at most one run."),
            OpenApiParameter("wait", OpenApiTypes.INT, description="Seconds to wait for the end, 0 to 30."),
        ],
        request=shape.RunRequest,
        responses={201: shape.StartedView, 200: shape.StartedView},
    )
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Start a run of the live version. 200 instead of 201 when the idempotency key has started it before."""
        seconds = wait_seconds(request)
        asked = checked(shape.RunRequest, request)
        started = start_run(
            workflow=self.workflow(),
            input=asked["input"],
            actor=self.actor,
            correlation_id=asked.get("correlation_id"),
            business_key=asked.get("business_key"),
            idempotency_key=idempotency_key(request),
        )
        if seconds:
            wait_for_end(str(started.run_id), self.actor.workspace_id, seconds)
        return Response(run_detail(self.actor, started.run_id).as_json(), status=201 if started.created else 200)


def wait_seconds(request: Request) -> int:
    """The seconds of `wait`, 0 without it. Raises WaitInvalid."""
    text = request.query_params.get("wait", "0")
    if text.isascii() and text.isdecimal() and len(text) < 4 and int(text) <= MOST_WAIT:
        return int(text)
    raise WaitInvalid(f'"wait" is "{text[:40]}". Give whole seconds from 0 to {MOST_WAIT}.')


def idempotency_key(request: Request) -> str | None:
    """The key of the header. Raises IdempotencyKeyInvalid."""
    key = request.headers.get(HEADER)
    if key is None or (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        return key
    raise IdempotencyKeyInvalid(f'"{HEADER}" must be 1 to {LONGEST_KEY} printable characters.')
