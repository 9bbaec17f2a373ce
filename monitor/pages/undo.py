"""Undoing a run: what it would come to, beginning it, settling what is stuck."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from monitor.pages.run import view_of
from orchestrator.api import (
    FINAL_RUN,
    BranchlineError,
    find_run,
    foreseen_undo,
    place_words,
    settle_undo,
    tasks_of_run,
    undo_run,
)
from orchestrator.web.access import WorkspaceRequest, workspace_view

LONGEST_REASON = 400  # characters
SETTLED = {
    "retry": "The undo is tried again.",
    "skip": "The step stays as it is; earlier steps go on being undone.",
    "by_hand": "Noted as done by hand; earlier steps go on being undone.",
}


@workspace_view
def run_undo(request: WorkspaceRequest, run_id: UUID) -> HttpResponse:
    """/w/{workspace}/runs/{id}/undo/: what would happen (GET), and doing it (POST)."""
    actor = request.actor
    found = find_run(actor, run_id)
    if request.method == "POST":
        try:
            undo_run(run_id, actor, reason_of(request))
            messages.success(request, "The run is being undone, the latest step first.")
        except BranchlineError as error:
            messages.info(request, error.message)
        return redirect(undo_tab(actor.workspace_slug, run_id))
    foreseen = foreseen_undo(actor, run_id)
    context = {
        "run": view_of(found),
        "begun": found.state in {"undoing", "undone", "undo_stuck"},
        "open": found.state not in FINAL_RUN,
        "foreseen": foreseen,
        "place_of": place_words(line.scope for line in foreseen.items),
        "tasks": [task for task in tasks_of_run(actor, run_id) if task.closed_at is None],
    }
    return render(request, "monitor/undo.html", context)


@workspace_view
def run_undo_settle(request: WorkspaceRequest, run_id: UUID, entry: int) -> HttpResponse:
    """/w/{workspace}/runs/{id}/undo/{entry}/: one stuck line, by the button "how"."""
    find_run(request.actor, run_id)
    how = request.POST.get("how", "")
    try:
        if how not in SETTLED:
            messages.error(request, "Choose one of: try again, skip, done by hand.")
        else:
            settle_undo(run_id, min(entry, 2**63 - 1), how, request.actor, reason_of(request))  # type: ignore[arg-type]
            messages.success(request, SETTLED[how])
    except BranchlineError as error:
        messages.error(request, error.message)
    return redirect(undo_tab(request.actor.workspace_slug, run_id))


def reason_of(request: HttpRequest) -> str:
    return request.POST.get("reason", "").replace("\0", "").strip()[:LONGEST_REASON]


def undo_tab(workspace: str, run_id: UUID) -> str:
    return f"{reverse('run', args=[workspace, run_id])}?tab=undo"
