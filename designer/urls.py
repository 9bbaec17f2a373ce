"""Pages, mounted at /w/<slug:workspace>/."""

from django.urls import path

from designer.pages.editor import EditorPage
from designer.pages.start import StartPage
from designer.pages.versions import VersionsPage
from designer.pages.workflows import WorkflowsPage

urlpatterns = [
    path("workflows/", WorkflowsPage.as_view(), name="workflows"),
    path("workflows/<slug:slug>/", EditorPage.as_view(), name="workflow"),
    path("workflows/<slug:slug>/versions/", VersionsPage.as_view(), name="workflow-versions"),
    path("workflows/<slug:slug>/start/", StartPage.as_view(), name="workflow-start"),
]
