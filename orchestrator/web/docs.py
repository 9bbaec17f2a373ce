"""The browsable reference of the API."""

from django.http import HttpResponse
from django.shortcuts import render

from orchestrator.web.access import PageRequest, page


@page
def docs(request: PageRequest) -> HttpResponse:
    """Swagger UI on our own page: its usual one holds inline script and style, which our headers refuse."""
    return render(request, "web/docs.html")
