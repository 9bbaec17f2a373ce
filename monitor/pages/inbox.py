"""The inbox: what waits for this person."""

from django.http import HttpResponse

from monitor.pages.live import live_page, socket_config
from orchestrator.api import Action, inbox, may, narrowed, stuck_runs, task_counts
from orchestrator.web.access import WorkspaceRequest, workspace_view

TABS = {"mine": "Mine", "groups": "My groups", "done": "Done"}


@workspace_view
def inbox_page(request: WorkspaceRequest) -> HttpResponse:
    """/w/{workspace}/inbox/?tab="""
    actor = request.actor
    # Operators, editors and admins see what waits for others too.
    tabs = TABS if narrowed(actor, Action.TASK_READ) else TABS | {"all": "Everybody's"}
    counts = task_counts(actor)
    asked = request.GET.get("tab", "")
    # Who has nothing by name sees their groups' work at once.
    usual = "mine" if counts.mine or not counts.groups else "groups"
    tab = asked if asked in tabs else usual
    numbers = {"mine": counts.mine, "groups": counts.groups, "all": counts.all}
    context = {
        "tab": tab,
        "tabs": [(key, label, numbers.get(key)) for key, label in tabs.items()],
        "tasks": inbox(actor, tab),  # type: ignore[arg-type]  # one of the tabs: just tested
        # No task, and yet it waits for a person: an operator.
        "stuck": stuck_runs(actor) if may(actor, Action.RUN_CONTROL) else (),
        "live": socket_config(actor, {"watch": "tasks"}),
    }
    return live_page(request, "monitor/inbox.html", context)
