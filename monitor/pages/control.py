"""Buttons that act on a whole run. Each says beforehand what it does."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from monitor.pages.run import view_of
from orchestrator.api import (
    FINAL_RUN,
    Conflict,
    cancel_run,
    cancel_with_undo,
    captions_of,
    find_run,
    foreseen_undo,
    pause_run,
    place_words,
    resume_run,
    step_runs,
    tasks_of_run,
)
from orchestrator.web.access import WorkspaceRequest, workspace_view

LONGEST_REASON = 400  # characters


@workspace_view
def run_cancel(request: WorkspaceRequest, run_id: UUID) -> HttpResponse:
    """/w/{workspace}/runs/{id}/cancel/: what would happen (GET), and doing it (POST)."""
    actor = request.actor
    found = find_run(actor, run_id)
    if request.method == "POST":
        reason = request.POST.get("reason", "").replace("\0", "").strip()[:LONGEST_REASON]
        try:
            if request.POST.get("undo") and request.POST.get("hard"):
                messages.error(request, "An undo must know what happened: choose either it or not to wait.")
                return redirect("run-cancel", actor.workspace_slug, run_id)
            if request.POST.get("undo"):
                cancel_with_undo(run_id, actor, reason)
                messages.success(request, "The run is being stopped, then undone, the latest step first.")
                return redirect(f"{reverse('run', args=[actor.workspace_slug, run_id])}?tab=undo")
            cancel_run(run_id, actor, reason, hard=request.POST.get("hard") == "1")
            messages.success(request, "The run is being cancelled. No further step starts.")
        except Conflict as conflict:
            messages.info(request, conflict.message)
        return redirect("run", actor.workspace_slug, run_id)
    items = step_runs(found).items
    captions = captions_of(found.version_id)
    foreseen = foreseen_undo(actor, run_id)
    context = {
        "run": view_of(found),
        "ended": found.state in FINAL_RUN,
        "working": [captions[item.key].name for item in items if item.state == "running"],
        "parked": [captions[item.key].name for item in items if item.state in {"ready", "waiting", "retrying", "held"}],
        "foreseen": foreseen,
        "place_of": place_words(line.scope for line in foreseen.items),
        "finished": sum(1 for item in items if item.state == "succeeded"),
        "tasks": [task for task in tasks_of_run(actor, run_id) if task.closed_at is None],
    }
    return render(request, "monitor/cancel.html", context)


@workspace_view
def run_control(request: WorkspaceRequest, run_id: UUID, what: str) -> HttpResponse:
    """/w/{workspace}/runs/{id}/{pause|resume}/"""
    find_run(request.actor, run_id)
    try:
        (pause_run if what == "pause" else resume_run)(run_id, request.actor)
    except Conflict as conflict:
        messages.info(request, conflict.message)
    return redirect("run", request.actor.workspace_slug, run_id)
