"""workflows/import/ and workflows/{slug}/export/."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from designer.api import serializers as shape
from designer.api.base import WorkflowView
from designer.api.drafts import problems_of
from designer.api.shown import workflow_json
from designer.exports import export_response
from designer.queries.drafts import load_draft
from designer.queries.workflows import find_version, find_workflow
from designer.services.transfer import MOST_BYTES, import_document
from orchestrator.api import NotFound
from orchestrator.rest.views import WorkspaceView


class ImportView(WorkspaceView):
    """Bringing a document in."""

    max_body_bytes = MOST_BYTES

    @extend_schema(operation_id="workflows_import", request=OpenApiTypes.OBJECT, responses={201: shape.ImportedView})
    def post(self, request: Request, **kwargs: Any) -> Response:
        """A new workflow with the document as its draft. Nothing runs; `changes` names what was taken out."""
        imported = import_document(document=request.data, actor=self.actor)
        workflow = find_workflow(self.actor, imported.workflow.slug)
        problems = problems_of(workflow, load_draft(workflow).document)
        body = {"workflow": workflow_json(workflow), "changes": imported.changes, "problems": problems}
        return Response(body, status=201)


class ExportView(WorkflowView):
    """Taking a document out."""

    query_parameters = frozenset({"version"})

    @extend_schema(
        operation_id="workflows_export",
        parameters=[OpenApiParameter("version", OpenApiTypes.INT, description="A version; the draft without it.")],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, **kwargs: Any) -> HttpResponse:
        """The draft, or a version, as a file."""
        workflow = self.workflow()
        number = request.query_params.get("version")
        if number is None:
            return export_response(workflow.slug, load_draft(workflow).document)
        version = find_version(workflow, version_number(number))
        return export_response(f"{workflow.slug}-{version.number}", version.document)


def version_number(text: str) -> int:
    """The number in an address. Raises NotFound, as for a version that does not exist."""
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return int(text)
    raise NotFound(f'There is no version "{text[:40]}".')
