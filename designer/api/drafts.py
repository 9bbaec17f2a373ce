"""workflows/{slug}/draft/: read, save, validate, preview."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from designer.api import serializers as shape
from designer.api.base import WorkflowView, checked, needed_revision
from designer.preview import preview, shown_roots
from designer.problems import find
from designer.queries.drafts import load_draft
from designer.services.drafts import save_draft
from designer.undo_plan import undo_plan_of_draft
from orchestrator.api import Json, Workflow, parse_document

REVISION = OpenApiParameter(
    "If-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, required=True, description="The revision you started from."
)
STEP = OpenApiParameter("step", OpenApiTypes.STR, description="The key of the step that would evaluate it.")

UNDO = OpenApiParameter("undo", OpenApiTypes.BOOL, description="As the step's undo, which reads output and error, too.")
FAILING = OpenApiParameter("step", OpenApiTypes.STR, required=True, description="The key of the step that fails.")


def problems_of(workflow: Workflow, drawing: Json) -> list[Json]:
    """What is wrong with a drawing of this workflow."""
    return find(parse_document(drawing), workflow.workspace_id, workflow.slug).as_json()


class DraftView(WorkflowView):
    """The draft as a document."""

    @extend_schema(operation_id="draft_read", responses=shape.DraftView)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """The document with its revision (also the ETag) and its problems."""
        workflow = self.workflow()
        draft = load_draft(workflow)
        body = {
            "revision": draft.revision,
            "document": draft.document,
            "problems": problems_of(workflow, draft.document),
            "saved_at": draft.saved_at,
            "saved_by": draft.saved_by,
            "live_version": workflow.live_version.number if workflow.live_version else None,
        }
        return Response(body, headers={"ETag": f'"{draft.revision}"'})

    @extend_schema(
        operation_id="draft_save",
        parameters=[REVISION],
        request=OpenApiTypes.OBJECT,
        responses={200: shape.SavedView, 412: OpenApiTypes.OBJECT, 428: OpenApiTypes.OBJECT},
    )
    def put(self, request: Request, **kwargs: Any) -> Response:
        """Save the whole document. 412 with the current one when somebody else saved in between."""
        saved = save_draft(
            workflow=self.workflow(),
            document=request.data,
            base_revision=needed_revision(request),
            actor=self.actor,
        )
        body = {"revision": saved.revision, "problems": saved.problems, "saved_at": saved.saved_at}
        return Response(body, headers={"ETag": f'"{saved.revision}"'})


class ProblemsView(WorkflowView):
    """What is wrong with a drawing."""

    @extend_schema(operation_id="draft_problems", responses=shape.ProblemsView)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """The problems of the saved draft."""
        workflow = self.workflow()
        draft = load_draft(workflow)
        return Response({"revision": draft.revision, "problems": problems_of(workflow, draft.document)})

    @extend_schema(operation_id="draft_check", request=OpenApiTypes.OBJECT, responses=shape.ProblemsView)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """The problems of the sent document; nothing is saved."""
        return Response({"problems": problems_of(self.workflow(), request.data)})


class UndoPlanView(WorkflowView):
    """What is undone when a step fails."""

    query_parameters = frozenset({"step"})

    @extend_schema(operation_id="draft_undo_plan", parameters=[FAILING], responses=shape.UndoPlanView)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """What would be undone, and in which order, if this step of the saved draft failed for good.

        While the drawing has errors `why_not` says so. 400 step_missing, 404 for a step it does not have.
        """
        workflow = self.workflow()
        document = parse_document(load_draft(workflow).document)
        step = request.query_params.get("step", "")[:63]
        return Response(undo_plan_of_draft(document, step, workflow.workspace_id, workflow.slug))


class PreviewView(WorkflowView):
    """Trying expressions while drawing."""

    query_parameters = frozenset({"step", "undo"})

    @extend_schema(operation_id="draft_roots", parameters=[STEP, UNDO], responses=shape.RootsView)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """What an expression may read: the last run's real data where you may see it, else examples."""
        step, undo = request.query_params.get("step", "")[:63], request.query_params.get("undo") == "true"
        return Response({"roots": shown_roots(self.workflow(), step, self.actor, undo=undo)})

    @extend_schema(operation_id="draft_preview", request=shape.PreviewRequest, responses=shape.PreviewView)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """The value of an expression on these data. Evaluated in the sandbox; nothing is saved or run."""
        asked = checked(shape.PreviewRequest, request)
        return Response(
            preview(self.workflow(), asked["expression"], asked["step"] or "", self.actor, undo=asked["undo"])
        )
