"""workflows/: list, create, read, rename, archive, copy."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from designer.api import serializers as shape
from designer.api.base import WorkflowView, checked
from designer.api.shown import listed_json, workflow_json
from designer.queries.workflows import find_workflow, listed
from designer.services.workflows import archive_workflow, create_workflow, duplicate_workflow, rename_workflow
from orchestrator.queries.cursor import page_of
from orchestrator.rest.views import WorkspaceView

PAGE = [
    OpenApiParameter("cursor", OpenApiTypes.STR, description="Where the page before ended."),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200; 50 unless told."),
]


class WorkflowsView(WorkspaceView):
    """The workspace's workflows."""

    query_parameters = frozenset({"cursor", "limit", "search"})

    @extend_schema(
        operation_id="workflows_list",
        parameters=[*PAGE, OpenApiParameter("search", OpenApiTypes.STR, description="Found in name or slug.")],
        responses=shape.WorkflowPage,
    )
    def get(self, request: Request, **kwargs: Any) -> Response:
        """The workflows that are not archived, by name."""
        found = listed(self.actor, request.query_params.get("search", "")[:200])
        page = page_of(found, request.query_params, order=("name", "pk"))
        return Response(page.body(listed_json))

    @extend_schema(operation_id="workflows_create", request=shape.WorkflowCreate, responses={201: shape.WorkflowView})
    def post(self, request: Request, **kwargs: Any) -> Response:
        """A new workflow with an empty draft; its slug is made of the name."""
        workflow = create_workflow(name=checked(shape.WorkflowCreate, request)["name"], actor=self.actor)
        return Response(workflow_json(find_workflow(self.actor, workflow.slug)), status=201)


class OneWorkflowView(WorkflowView):
    """One workflow."""

    @extend_schema(operation_id="workflows_read", responses=shape.WorkflowView)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """The workflow by itself; its drawing is its draft or a version."""
        return Response(workflow_json(self.workflow()))

    @extend_schema(operation_id="workflows_rename", request=shape.WorkflowPatch, responses=shape.WorkflowView)
    def patch(self, request: Request, **kwargs: Any) -> Response:
        """Another name. Addresses stay."""
        workflow = self.workflow()
        rename_workflow(workflow=workflow, name=checked(shape.WorkflowPatch, request)["name"], actor=self.actor)
        return Response(workflow_json(workflow))

    @extend_schema(operation_id="workflows_archive", responses={204: None})
    def delete(self, request: Request, **kwargs: Any) -> Response:
        """Put it away: no new runs; open ones go on."""
        archive_workflow(workflow=self.workflow(), actor=self.actor)
        return Response(status=204)


class CopyView(WorkflowView):
    """A copy of one workflow."""

    @extend_schema(operation_id="workflows_copy", request=shape.WorkflowCopy, responses={201: shape.WorkflowView})
    def post(self, request: Request, **kwargs: Any) -> Response:
        """A new workflow with a copy of the draft."""
        checked(shape.WorkflowCopy, request)
        copy = duplicate_workflow(workflow=self.workflow(), actor=self.actor)
        return Response(workflow_json(find_workflow(self.actor, copy.slug)), status=201)
