"""workflows/{slug}/publish/ and versions/."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from designer.api import serializers as shape
from designer.api.base import WorkflowView, base_revision, checked
from designer.api.drafts import FAILING
from designer.api.shown import version_json
from designer.api.workflows import PAGE
from designer.diff import difference
from designer.queries.workflows import find_version
from designer.services.publishing import publish_draft, set_live
from designer.undo_plan import undo_plan
from orchestrator.api import plan_of
from orchestrator.queries.cursor import page_of

REVISION = OpenApiParameter(
    "If-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="Publish only this revision of the draft."
)


class PublishView(WorkflowView):
    """Publishing the draft."""

    @extend_schema(
        operation_id="draft_publish",
        parameters=[REVISION],
        request=shape.PublishRequest,
        responses={201: shape.PublishedView, 412: OpenApiTypes.OBJECT, 428: OpenApiTypes.OBJECT},
    )
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Freeze the draft as the next version and make it live. 400 draft_has_problems while it has errors."""
        note = checked(shape.PublishRequest, request)["note"]
        workflow = self.workflow()
        done = publish_draft(workflow=workflow, note=note, actor=self.actor, base_revision=base_revision(request))
        version = version_json(find_version(workflow, done.version.number), done.version.pk)
        return Response(version | {"warnings": done.findings.as_json()}, status=201)


class VersionsView(WorkflowView):
    """The published versions."""

    query_parameters = frozenset({"cursor", "limit"})

    @extend_schema(operation_id="versions_list", parameters=PAGE, responses=shape.VersionPage)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """The versions, the newest first."""
        workflow = self.workflow()
        rows = workflow.versions.select_related("published_by").defer("document", "plan")
        page = page_of(rows, request.query_params, order=("-number",))
        return Response(page.body(lambda version: version_json(version, workflow.live_version_id)))


class VersionView(WorkflowView):
    """One version."""

    @extend_schema(operation_id="versions_read", responses=shape.VersionDetail)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """The version with its drawing."""
        workflow = self.workflow()
        version = find_version(workflow, self.kwargs["number"])
        return Response(version_json(version, workflow.live_version_id) | {"document": version.document})


class DiffView(WorkflowView):
    """Two versions side by side."""

    @extend_schema(operation_id="versions_diff", responses=shape.DiffView)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """What changed from version {number} to version {other}, by step key."""
        workflow = self.workflow()
        older = find_version(workflow, self.kwargs["number"])
        newer = find_version(workflow, self.kwargs["other"])
        return Response(difference(older.document, newer.document).as_json())


class VersionUndoPlanView(WorkflowView):
    """What is undone when a step of a version fails."""

    query_parameters = frozenset({"step"})

    @extend_schema(operation_id="versions_undo_plan", parameters=[FAILING], responses=shape.UndoPlanView)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """What would be undone, and in which order, if this step of the version failed for good."""
        version = find_version(self.workflow(), self.kwargs["number"])
        return Response(undo_plan(plan_of(version.pk), request.query_params.get("step", "")[:63]))


class LiveView(WorkflowView):
    """Which version new runs use."""

    @extend_schema(operation_id="versions_make_live", request=shape.LiveRequest, responses=shape.VersionView)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Make this version live: roll back or forward. Open runs stay on theirs."""
        checked(shape.LiveRequest, request)
        workflow = self.workflow()
        version = find_version(workflow, self.kwargs["number"])
        set_live(workflow=workflow, version=version, actor=self.actor)
        return Response(version_json(version, version.pk))
