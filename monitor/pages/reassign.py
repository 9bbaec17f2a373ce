"""Handing a task on to somebody else."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from orchestrator.api import BranchlineError, NotFound, people_for, reassign_task, task_detail
from orchestrator.web.access import WorkspaceRequest, workspace_view


@workspace_view
def task_reassign(request: WorkspaceRequest, task_id: UUID) -> HttpResponse:
    """/w/{workspace}/inbox/{task}/reassign/: the choice (GET), the change (POST)."""
    detail = task_detail(request.actor, task_id)
    people, groups = people_for(request.actor)
    context: dict[str, Any] = {
        "task": detail,
        "card": detail.card,
        "people": people,
        "groups": groups,
        "chosen_users": detail.users,
        "chosen_groups": detail.groups,
    }
    if request.method != "POST":
        return render(request, "monitor/reassign.html", context)
    users, chosen = request.POST.getlist("users"), request.POST.getlist("groups")
    comment = request.POST.get("comment", "").replace("\0", "").strip()
    try:
        reassign_task(task_id=task_id, actor=request.actor, users=users, groups=chosen, comment=comment)
    except NotFound:
        raise
    except BranchlineError as error:
        context |= {"refusal": error, "chosen_users": users, "chosen_groups": chosen, "comment": comment}
        return render(request, "monitor/reassign.html", context, status=error.status)
    messages.success(request, "Handed on. The new people are told by mail.")
    return redirect("inbox", request.actor.workspace_slug)
