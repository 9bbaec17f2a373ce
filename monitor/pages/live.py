"""What pages share: a page or its live fragment, and what the browser must know to stay live."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from orchestrator.api import Actor, Json
from orchestrator.web.access import WorkspaceRequest


def live_page(request: WorkspaceRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """The whole page, or for a request of htmx only its part "live". The server chooses, the client never names it."""
    fragment = is_fragment(request)
    return render(
        request, f"{template}#live" if fragment else template, {**context, "fragment": fragment}, status=status
    )


def is_fragment(request: WorkspaceRequest) -> bool:
    """Whether htmx asks to renew a part of the page that is already shown."""
    return bool(request.htmx) and not request.htmx.boosted and not request.htmx.history_restore_request


def socket_config(actor: Actor, *watches: dict[str, Json]) -> dict[str, Json]:
    """For `monitor.js`: the socket's path and what to watch there."""
    return {"socket": f"/ws/w/{actor.workspace_slug}/", "watch": list(watches)}
