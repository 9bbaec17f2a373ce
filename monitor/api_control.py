"""runs/{id}/{cancel,pause,resume}/: what an operator does to a whole run."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from monitor.api_base import MonitorView, checked, path_id
from monitor.shapes import common, control, runs
from orchestrator.api import Actor, cancel_run, cancel_with_undo, find_run, pause_run, resume_run, run_detail

RUN = path_id("run")


class ControlView(MonitorView):
    """One change of a run's control; the answer is the run as it stands then."""

    def changed(self, request: Request, change: Callable[[UUID, Actor, str], object]) -> Response:
        reason = checked(common.ControlRequest, request)["reason"]
        run = find_run(self.actor, self.id_of("run"))
        change(run.pk, self.actor, reason)
        return Response(run_detail(self.actor, run.pk).as_json())


class CancelView(ControlView):
    """Cancelling."""

    @extend_schema(operation_id="run_cancel", parameters=[RUN], request=control.CancelRequest, responses=runs.RunDetail)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Let nothing more start; what runs has ten seconds to end. 409 when the run has ended.

        With `"undo": true` what happened in the run is then undone, in reverse causal order.
        """
        asked = checked(control.CancelRequest, request)
        run = find_run(self.actor, self.id_of("run"))
        if asked["undo"]:
            cancel_with_undo(run.pk, self.actor, asked["reason"])
        else:
            cancel_run(run.pk, self.actor, asked["reason"], hard=asked["hard"])
        return Response(run_detail(self.actor, run.pk).as_json())


class PauseView(ControlView):
    """Pausing."""

    @extend_schema(operation_id="run_pause", parameters=[RUN], request=common.ControlRequest, responses=runs.RunDetail)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Let steps that run end, and hold what follows. 409 when the run has ended, or is paused (run_paused)."""
        return self.changed(request, pause_run)


class ResumeView(ControlView):
    """Resuming."""

    @extend_schema(operation_id="run_resume", parameters=[RUN], request=common.ControlRequest, responses=runs.RunDetail)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Go on where the run was paused. 409 when the run has ended, or is not paused (run_not_paused)."""
        return self.changed(request, resume_run)
