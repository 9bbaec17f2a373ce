"""Every address of Branchline, composed from its parts."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView

from orchestrator.project import health
from orchestrator.web.docs import docs

WORKSPACE_PAGES = "w/<slug:workspace>/"
WORKSPACE_API = "api/v1/w/<slug:workspace>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs/", docs, name="api-docs"),
    path(WORKSPACE_API, include("orchestrator.rest.urls")),
    path(WORKSPACE_API, include("designer.api_urls")),
    path(WORKSPACE_API, include("monitor.api_urls")),
    path(WORKSPACE_PAGES, include("designer.urls")),
    path(WORKSPACE_PAGES, include("monitor.pages.urls")),
    path("", include("orchestrator.web.urls")),
]

handler400 = "orchestrator.web.errors.bad_request"
handler403 = "orchestrator.web.errors.forbidden"
handler404 = "orchestrator.web.errors.not_found"
handler500 = "orchestrator.web.errors.failed"
