"""The front page: what runs, what waits, what needs this person."""

from django.http import HttpResponse

from monitor.pages.live import live_page, socket_config
from orchestrator.api import Action, dashboard, inbox, may, oldest_waiting, recent_runs, stuck_runs
from orchestrator.web.access import WorkspaceRequest, workspace_view

FOR_ME = 5  # tasks shown


@workspace_view
def front(request: WorkspaceRequest) -> HttpResponse:
    """/w/{workspace}/"""
    actor = request.actor
    counts = dashboard(actor)
    for_me = (inbox(actor, "mine") + inbox(actor, "groups"))[:FOR_ME] if counts.tasks.mine + counts.tasks.groups else ()
    context = {
        "counts": counts,
        "for_me": for_me,
        "more_for_me": counts.tasks.mine + counts.tasks.groups - len(for_me),
        "oldest": oldest_waiting(actor) if counts.waiting_for_people and may(actor, Action.TASK_READ) else (),
        "stuck": stuck_runs(actor) if counts.undo_stuck else (),
        "recent": recent_runs(actor),
        "live": socket_config(actor, {"watch": "dashboard"}, {"watch": "tasks"}),
    }
    return live_page(request, "monitor/front.html", context)
