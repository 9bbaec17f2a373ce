"""runs/{id}/undo/: the ledger, beginning an undo, settling what is stuck."""

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from monitor.api_base import MonitorView, checked, path_id
from monitor.shapes import undo as shape
from monitor.shapes.common import ControlRequest, PageQuery
from monitor.shapes.runs import RunDetail
from orchestrator.api import How, find_run, foreseen_undo, run_detail, settle_undo, undo_ledger_of, undo_run

RUN = path_id("run")
ENTRY = OpenApiParameter("entry", OpenApiTypes.INT64, OpenApiParameter.PATH, description="Of the ledger's line.")


class UndoView(MonitorView):
    """The undo of one run."""

    query = PageQuery

    @extend_schema(operation_id="run_undo_ledger", parameters=[RUN, PageQuery], responses=shape.UndoLedger)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """The ledger, the latest step first. Empty while no undo has begun. `stuck` is whole on every page."""
        return Response(undo_ledger_of(self.actor, self.id_of("run"), request.query_params).as_json())

    @extend_schema(operation_id="run_undo", parameters=[RUN], request=ControlRequest, responses=RunDetail)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Undo what happened in the run, in reverse causal order; an open run is stopped first. 409 not_undoable."""
        reason = checked(ControlRequest, request)["reason"]
        run = find_run(self.actor, self.id_of("run"))
        undo_run(run.pk, self.actor, reason)
        return Response(run_detail(self.actor, run.pk).as_json())


class UndoPreviewView(MonitorView):
    """What an undo would come to."""

    @extend_schema(operation_id="run_undo_preview", parameters=[RUN], responses=shape.ForeseenUndo)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """What an undo of this run would undo if it began now, the latest step first. Nothing is changed."""
        return Response(foreseen_undo(self.actor, self.id_of("run")).as_json())


class SettleView(MonitorView):
    """One stuck line of the ledger."""

    how: ClassVar[How]
    #: An entry that no run has: malformed ones are answered like absent ones.
    MOST = 2**63 - 1

    def settled(self, request: Request) -> Response:
        reason = checked(ControlRequest, request)["reason"]
        run = find_run(self.actor, self.id_of("run"))
        settle_undo(run.pk, min(self.kwargs["entry"], self.MOST), self.how, self.actor, reason)
        return Response(undo_ledger_of(self.actor, run.pk, {}).as_json())


class UndoRetryView(SettleView):
    """Trying again."""

    how = "retry"

    @extend_schema(
        operation_id="run_undo_retry", parameters=[RUN, ENTRY], request=ControlRequest, responses=shape.UndoLedger
    )
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Try the undo of this step again. 409 undo_item_not_stuck when it is not stuck."""
        return self.settled(request)


class UndoSkipView(SettleView):
    """Leaving it."""

    how = "skip"

    @extend_schema(
        operation_id="run_undo_skip", parameters=[RUN, ENTRY], request=shape.ReasonedRequest, responses=shape.UndoLedger
    )
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Leave this step as it is, for a reason, and go on with earlier ones. 400 reason_missing."""
        return self.settled(request)


class UndoByHandView(SettleView):
    """Done outside."""

    how = "by_hand"

    @extend_schema(
        operation_id="run_undo_by_hand",
        parameters=[RUN, ENTRY],
        request=shape.ReasonedRequest,
        responses=shape.UndoLedger,
    )
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Note that a person has undone this step, and how; go on with earlier ones. 400 reason_missing."""
        return self.settled(request)
