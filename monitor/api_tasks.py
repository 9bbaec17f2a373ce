"""tasks/: the list, one task, and what a person does with it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from monitor.api_base import MonitorView, checked, path_id
from monitor.shapes import common, tasks
from orchestrator.api import (
    Actor,
    Json,
    JsonObject,
    Seen,
    card_for,
    claim_task,
    decide_task,
    reassign_task,
    release_task,
    task_detail,
    task_page,
)
from orchestrator.rest.asked import Asked
from orchestrator.rest.serializers import ErrorSerializer

TASK = path_id("task")
#: Made once: its fields are copied for each that is made, and validating changes none of them.
_DECISION = tasks.DecideRequest()


class TasksView(MonitorView):
    """The human tasks that you may see."""

    query = tasks.TaskQuery

    @extend_schema(operation_id="task_list", parameters=[tasks.TaskQuery], responses=tasks.TaskPage)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """Tasks of a tab: `mine`, `groups`, `done`, or (by default) `all` that wait."""
        tab = self.asked().get("tab", "all")
        page = task_page(self.actor, tab, request.query_params)
        return Response(page.body(lambda task: card_for(self.actor, task).as_json()))


class OneTaskView(MonitorView):
    """A view of one human task."""

    def shown(self) -> dict[str, Any]:
        return dict(task_detail(self.actor, self.id_of("task")).as_json())


class TaskView(OneTaskView):
    """One human task."""

    @extend_schema(operation_id="task_read", parameters=[TASK], responses=tasks.TaskDetail)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """The task with its form and the answers so far."""
        return Response(self.shown())


class TaskClaimView(OneTaskView):
    """Taking a task for oneself."""

    @extend_schema(operation_id="task_claim", parameters=[TASK], request=None, responses=tasks.TaskDetail)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Take it: nobody else decides it until you release it."""
        checked(common.Nothing, request)
        claim_task(task_id=self.id_of("task"), actor=self.actor)
        return Response(self.shown())


class TaskReleaseView(OneTaskView):
    """Giving a taken task back."""

    @extend_schema(operation_id="task_release", parameters=[TASK], request=None, responses=tasks.TaskDetail)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Give it back to everybody it was meant for."""
        checked(common.Nothing, request)
        release_task(task_id=self.id_of("task"), actor=self.actor)
        return Response(self.shown())


class TaskReassignView(OneTaskView):
    """Giving a task to others."""

    @extend_schema(
        operation_id="task_reassign",
        parameters=[TASK],
        request=tasks.ReassignRequest,
        responses={204: None},
    )
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Name who decides it from now on. You may not see it any more afterwards."""
        reassign_task(task_id=self.id_of("task"), actor=self.actor, **checked(tasks.ReassignRequest, request))
        return Response(status=204)


class TaskDecideView(OneTaskView):
    """Answering."""

    @extend_schema(
        operation_id="task_decide",
        parameters=[TASK],
        request=tasks.DecideRequest,
        responses={200: tasks.Decided, 412: ErrorSerializer},
    )
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Decide. 412 when the content is not what you were shown, 409 when it no longer waits."""
        return Response(decide(self.actor, self.id_of("task"), request.data))


def decide(
    actor: Actor, task_id: UUID, body: Json, seen: Sequence[Any] | None = None, still: Seen | None = None
) -> JsonObject:
    """Decide as the body says. Raises what `decide_task` does, ValidationError."""
    answer = _DECISION.run_validation({} if body is None else body)
    return asdict(decide_task(task_id=task_id, actor=actor, seen=seen, still=still, **answer))


def decide_directly(asked: Asked) -> tuple[int, JsonObject]:
    """As TaskDecideView.post does it, for orchestrator.project.direct; `seen_along` was read along."""
    return 200, decide(asked.actor, UUID(asked.parts["task"]), asked.body, asked.along, asked.seen)
