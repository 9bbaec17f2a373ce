"""The audit trail's page."""

from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render

from orchestrator.policy import Action, narrowed
from orchestrator.queries.cursor import page_of
from orchestrator.queries.members import audit_for_actor, matching
from orchestrator.web.access import WorkspacePage, WorkspaceRequest


class Trail(WorkspacePage):
    """Who did, or was refused, what. The filter lives in the address."""

    def get(self, request: WorkspaceRequest) -> HttpResponse:
        wished = {name: request.GET.get(name, "").strip() for name in ("person", "refused")}
        entries = matching(audit_for_actor(request.actor), person=wished["person"], refused=wished["refused"] == "yes")
        page = page_of(entries, request.GET)
        kept = {name: value for name, value in wished.items() if value}
        context = {
            "page": page,
            "wished": wished,
            "narrowed": narrowed(request.actor, Action.AUDIT_READ),
            "onward": urlencode(kept | {"cursor": page.next}) if page.next else "",
            "later": bool(request.GET.get("cursor")),
            "first": urlencode(kept),
        }
        return render(request, "web/audit.html", context)
