"""One change to many runs: first what would become of each, then an honest account of what did."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render

from monitor.pages.repeat import reason_of
from monitor.pages.runs import read_filter
from orchestrator.api import BULK_ACTIONS, MOST_BULK_RUNS, change_runs, matching_runs, run_views, runs_named
from orchestrator.web.access import WorkspaceRequest, workspace_view


@workspace_view
def bulk(request: WorkspaceRequest) -> HttpResponse:
    """/w/{workspace}/runs/bulk/?action=&run=&run=... or ?action=&all=1 and the list's filter."""
    asked = request.POST or request.GET
    action = asked.get("action", "")
    if action not in BULK_ACTIONS:
        return redirect("runs", request.actor.workspace_slug)
    ids = chosen_runs(request, asked)
    wanted = ids[:MOST_BULK_RUNS]
    is_done = request.method == "POST"
    results = change_runs(action, wanted, request.actor, reason_of(request), dry_run=not is_done)
    views = {view.id: view for view in run_views(runs_named(request.actor, wanted))}
    rows = [(result, views[result.run_id]) for result in results if result.run_id in views]
    able = [result.run_id for result, _ in rows if result.ok]
    context: dict[str, Any] = {
        "action": action,
        "is_done": is_done,
        "rows": rows,
        "able": able,
        "refused": len(rows) - len(able),
        "queued": sum(result.ok and result.queued for result, _ in rows),
        "more": len(ids) > len(wanted),
        "most": MOST_BULK_RUNS,
    }
    return render(request, "monitor/bulk.html", context)


def chosen_runs(request: WorkspaceRequest, asked: QueryDict) -> list[UUID]:
    """The runs with a tick, or all that fit the filter. What is no id is left out."""
    if asked.get("all") == "1":
        return matching_runs(request.actor, read_filter(request).wanted, MOST_BULK_RUNS)
    found = (_id(text) for text in asked.getlist("run")[: MOST_BULK_RUNS + 1])
    return [run_id for run_id in found if run_id is not None]


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
