"""Starting a run by a form made from the input schema. Works without JavaScript."""

import uuid
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from designer.queries.workflows import find_workflow
from designer.start_form import FILE, MOST_CHARACTERS, StartForm, blame, bound, form_for
from orchestrator.api import BranchlineError, InputInvalid, Workflow, start_run
from orchestrator.web.access import WorkspacePage, WorkspaceRequest

LONGEST_ONCE = 64


class StartPage(WorkspacePage):
    """The form; POST starts one run however often it is sent."""

    def get(self, request: WorkspaceRequest, slug: str, **kwargs: Any) -> HttpResponse:
        workflow = find_workflow(request.actor, slug)
        return show(request, workflow, form_for(schema_of(workflow)), str(uuid.uuid4()))

    def post(self, request: WorkspaceRequest, slug: str, **kwargs: Any) -> HttpResponse:
        workflow = find_workflow(request.actor, slug)
        file = request.FILES.get(FILE)
        data = file.read(MOST_CHARACTERS + 1) if file else None
        form = bound(schema_of(workflow), request.POST.dict(), data)
        once = request.POST.get("once", "")[:LONGEST_ONCE]
        if form.is_valid:
            try:
                run_id = started(request, workflow, form, once)
                return HttpResponseRedirect(f"/w/{request.actor.workspace_slug}/runs/{run_id}/")
            except InputInvalid as error:
                blame(form, error.details["problems"])  # type: ignore[arg-type]  # a list of objects
            except BranchlineError as error:
                form.errors.append(error.message)
        return show(request, workflow, form, once, status=400)


def schema_of(workflow: Workflow) -> dict[str, Any]:
    """The input schema of the live version; empty when nothing is published."""
    return dict(workflow.live_version.document["input"]) if workflow.live_version else {}


def started(request: WorkspaceRequest, workflow: Workflow, form: StartForm, once: str) -> str:
    """The id of the run: a form that is sent twice (a double click, Back) starts one."""
    run = start_run(
        workflow=workflow,
        input=form.input,
        actor=request.actor,
        trigger="person",
        idempotency_key=f"form:{request.actor.user_id}:{once}" if once else None,
    )
    return str(run.run_id)


def show(request: WorkspaceRequest, workflow: Workflow, form: StartForm, once: str, status: int = 200) -> HttpResponse:
    context = {"workflow": workflow, "form": form, "once": once, "file_name": FILE}
    return render(request, "designer/start.html", context, status=status)
