"""workflows/{slug}/runs/: start."""

from collections.abc import Callable
from functools import partial
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from designer.api import serializers as shape
from designer.errors import IdempotencyKeyInvalid, WaitInvalid
from designer.waiting import wait_for_end
from orchestrator.api import (
    Actor,
    Json,
    JsonObject,
    Seen,
    Workflow,
    detail_of_start,
    run_detail,
    start_run,
    startable_of,
    startable_workflow,
)
from orchestrator.rest.asked import Asked
from orchestrator.rest.views import WorkspaceView

MOST_INPUT_BYTES = 8_200_000
MOST_WAIT = 30  # seconds
LONGEST_KEY = 200
HEADER = "Idempotency-Key"
#: Made once: its fields are copied for each that is made, and validating changes none of them.
_REQUEST = shape.RunRequest()


class StartView(WorkspaceView):
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
        found = partial(startable_workflow, self.actor, kwargs["slug"])
        status, shown = start(self.actor, found, request.data, request.headers.get(HEADER), wait=seconds)
        return Response(shown, status=status)


def start(
    actor: Actor, found: Callable[[], Workflow], body: Json, key: str | None, *, wait: int = 0, seen: Seen | None = None
) -> tuple[int, JsonObject]:
    """Start what the body asks for; the status and the run. Raises what `start_run` does, ValidationError, NotFound."""
    asked = taken(body)
    workflow = found()
    correlation_id, business_key = asked.get("correlation_id"), asked.get("business_key")
    started = start_run(
        workflow=workflow,
        input=asked["input"],
        actor=actor,
        correlation_id=correlation_id,
        business_key=business_key,
        idempotency_key=idempotency_key(key),
        priority=asked.get("priority"),
        deadline=asked.get("deadline"),
        seen=seen,
    )
    if wait:
        wait_for_end(started.run_id, actor.workspace_id, wait)
    if wait or started.beginning is None:
        detail = run_detail(actor, started.run_id)
    else:
        begun = started.beginning
        detail = detail_of_start(
            actor,
            workflow,
            run_id=started.run_id,
            version=begun.version,
            started_at=begun.started_at,
            seq=begun.seq,
            input=asked["input"],
            correlation_id=correlation_id,
            business_key=business_key,
        )
    return (201 if started.created else 200), detail.as_json()


def taken(body: Json) -> dict[str, Any]:
    """What a body asks for. Raises ValidationError.

    The commonest, an input and nothing else, is what it is: asking every field of the serializer costs a tenth of
    the start.
    """
    if isinstance(body, dict) and body.keys() == {"input"} and body["input"] is not None:
        return body
    return dict(_REQUEST.run_validation({} if body is None else body))


def start_directly(asked: Asked) -> tuple[int, JsonObject]:
    """As StartView.post does it, for orchestrator.project.direct; `startable_along` was read along."""
    found = partial(startable_of, asked.along)
    return start(asked.actor, found, asked.body, asked.headers.get(HEADER.lower()), seen=asked.seen)


def wait_seconds(request: Request) -> int:
    """The seconds of `wait`, 0 without it. Raises WaitInvalid."""
    text = request.query_params.get("wait", "0")
    if text.isascii() and text.isdecimal() and len(text) < 4 and int(text) <= MOST_WAIT:
        return int(text)
    raise WaitInvalid(f'"wait" is "{text[:40]}". Give whole seconds from 0 to {MOST_WAIT}.')


def idempotency_key(key: str | None) -> str | None:
    """The key of the header, None without it. Raises IdempotencyKeyInvalid."""
    if key is None or (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        return key
    raise IdempotencyKeyInvalid(f'"{HEADER}" must be 1 to {LONGEST_KEY} printable characters.')
