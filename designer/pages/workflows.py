"""The list of workflows, with everything that is done to one as a whole."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from designer.queries.workflows import draft_state, find_workflow, listed
from designer.services.transfer import MOST_BYTES, import_document
from designer.services.workflows import archive_workflow, create_workflow, duplicate_workflow
from orchestrator.api import BranchlineError, parse_json
from orchestrator.queries.cursor import page_of
from orchestrator.web.access import WorkspacePage, WorkspaceRequest

#: Of an import's report, beside the count of all.
MOST_CHANGES_SHOWN = 8
LONGEST_SEARCH = 200


class WorkflowsPage(WorkspacePage):
    """Search is in the address; htmx replaces the list while typing. POST carries an `action`."""

    def get(self, request: WorkspaceRequest, **kwargs: Any) -> HttpResponse:
        template = "designer/workflows.html#list" if request.htmx else "designer/workflows.html"
        return render(request, template, list_context(request))

    def post(self, request: WorkspaceRequest, **kwargs: Any) -> HttpResponse:
        action = ACTIONS.get(request.POST.get("action", "create"))
        if action is None:
            messages.error(request, "There is no such action. Nothing was done.")
            return to_list(request)
        try:
            return action(request)
        except BranchlineError as error:
            if error.status == 404:
                raise
            context = list_context(request) | {"error": error.message, "name": request.POST.get("name", "")}
            return render(request, "designer/workflows.html", context, status=error.status)


def list_context(request: WorkspaceRequest) -> dict[str, Any]:
    """One page of the list."""
    search = request.GET.get("q", "")[:LONGEST_SEARCH].replace("\x00", "")
    page = page_of(listed(request.actor, search), request.GET, order=("name", "pk"))
    rows = [{"workflow": workflow, "draft_state": draft_state(workflow)} for workflow in page.items]
    return {"rows": rows, "next": page.next, "search": search, "first": "cursor" not in request.GET}


def create(request: WorkspaceRequest) -> HttpResponse:
    workflow = create_workflow(name=request.POST.get("name", ""), actor=request.actor)
    return HttpResponseRedirect(reverse("workflow", args=[request.actor.workspace_slug, workflow.slug]))


def bring_in(request: WorkspaceRequest) -> HttpResponse:
    """Import a file. What was taken out of it is said on the list."""
    file = request.FILES.get("file")
    if file is None:
        messages.error(request, "Choose a file to import.")
        return to_list(request)
    imported = import_document(
        document=parse_json(file.read(MOST_BYTES + 1), max_bytes=MOST_BYTES), actor=request.actor
    )
    messages.success(request, f'Imported "{imported.workflow.name}" as a draft. Nothing runs before you publish it.')
    for change in imported.changes[:MOST_CHANGES_SHOWN]:
        messages.warning(request, f"{change['step'] or 'Output'}, {change['field']}: {change['message']}")
    if len(imported.changes) > MOST_CHANGES_SHOWN:
        messages.warning(request, f"{len(imported.changes)} values were taken out in all.")
    return to_list(request)


def copy(request: WorkspaceRequest) -> HttpResponse:
    made = duplicate_workflow(workflow=find_workflow(request.actor, request.POST.get("slug", "")), actor=request.actor)
    messages.success(request, f'"{made.name}" is a copy of the draft, not published yet.')
    return to_list(request)


def archive(request: WorkspaceRequest) -> HttpResponse:
    workflow = find_workflow(request.actor, request.POST.get("slug", ""))
    archive_workflow(workflow=workflow, actor=request.actor)
    messages.success(request, f'"{workflow.name}" is archived: it starts no more runs. Open runs go on.')
    return to_list(request)


ACTIONS: Mapping[str, Callable[[WorkspaceRequest], HttpResponse]] = {
    "create": create,
    "import": bring_in,
    "copy": copy,
    "archive": archive,
}


def to_list(request: WorkspaceRequest) -> HttpResponse:
    return HttpResponseRedirect(reverse("workflows", args=[request.actor.workspace_slug]))
