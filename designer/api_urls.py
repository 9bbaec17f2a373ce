"""API, mounted at /api/v1/w/<slug:workspace>/."""

from django.urls import path

from designer.api.drafts import DraftView, PreviewView, ProblemsView, UndoPlanView
from designer.api.kinds import KindsView
from designer.api.runs import StartView
from designer.api.transfer import ExportView, ImportView
from designer.api.versions import DiffView, LiveView, PublishView, VersionsView, VersionUndoPlanView, VersionView
from designer.api.workflows import CopyView, OneWorkflowView, WorkflowsView

ONE = "workflows/<slug:slug>/"

urlpatterns = [
    path("workflows/", WorkflowsView.as_view(), name="api-workflows"),
    # Before the slugs: no workflow may be called "import".
    path("workflows/import/", ImportView.as_view(), name="api-workflow-import"),
    path(ONE, OneWorkflowView.as_view(), name="api-workflow"),
    path(ONE + "copy/", CopyView.as_view(), name="api-workflow-copy"),
    path(ONE + "export/", ExportView.as_view(), name="api-workflow-export"),
    path(ONE + "draft/", DraftView.as_view(), name="api-draft"),
    path(ONE + "draft/problems/", ProblemsView.as_view(), name="api-draft-problems"),
    path(ONE + "draft/preview/", PreviewView.as_view(), name="api-draft-preview"),
    path(ONE + "draft/undo-plan/", UndoPlanView.as_view(), name="api-draft-undo-plan"),
    path(ONE + "publish/", PublishView.as_view(), name="api-publish"),
    path(ONE + "versions/", VersionsView.as_view(), name="api-versions"),
    path(ONE + "versions/<int:number>/", VersionView.as_view(), name="api-version"),
    path(ONE + "versions/<int:number>/diff/<int:other>/", DiffView.as_view(), name="api-version-diff"),
    path(ONE + "versions/<int:number>/undo-plan/", VersionUndoPlanView.as_view(), name="api-version-undo-plan"),
    path(ONE + "versions/<int:number>/live/", LiveView.as_view(), name="api-version-live"),
    path(ONE + "runs/", StartView.as_view(), name="api-workflow-runs"),
    path("step-kinds/", KindsView.as_view(), name="api-step-kinds"),
]
