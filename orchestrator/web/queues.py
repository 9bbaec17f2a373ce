"""The queues page: what is at work and in line on each queue, and how the workspace limits it."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from orchestrator.queries.queues import Queue, queues_for_actor
from orchestrator.services.queue_limits import (
    QueueLimitInvalid,
    QueueUnknown,
    Rate,
    remove_queue_limit,
    set_queue_limit,
)
from orchestrator.web.access import WorkspacePage, WorkspaceRequest, workspace_view
from orchestrator.web.forms import QueueLimitForm


class Queues(WorkspacePage):
    """The list; `?queue=name` fills the form in with what limits that queue; POST limits one."""

    def get(self, request: WorkspaceRequest) -> HttpResponse:
        queues = queues_for_actor(request.actor)
        chosen = next((queue for queue in queues if queue.name == request.GET.get("queue")), None)
        return self.show(request, QueueLimitForm(initial=as_initial(chosen)), queues)

    def post(self, request: WorkspaceRequest) -> HttpResponse:
        form = QueueLimitForm(request.POST)
        if form.is_valid() and self.save(request, form):
            return HttpResponseRedirect(reverse("queues", args=[request.actor.workspace_slug]))
        return self.show(request, form, queues_for_actor(request.actor), status=400)

    def save(self, request: WorkspaceRequest, form: QueueLimitForm) -> bool:
        wish = form.cleaned_data
        rate = None
        if wish["starts"] is not None:
            rate = Rate(starts=wish["starts"], period=float(wish["period"]), burst=wish["burst"] or 1)
        try:
            set_queue_limit(actor=request.actor, queue=wish["queue"], concurrency=wish["concurrency"], rate=rate)
        except (QueueLimitInvalid, QueueUnknown) as error:
            form.add_error(str(error.details["field"]), error.message)
            return False
        messages.success(request, f"The queue {wish['queue']} is limited.")
        return True

    def show(
        self, request: WorkspaceRequest, form: QueueLimitForm, queues: list[Queue], *, status: int = 200
    ) -> HttpResponse:
        return render(request, "web/queues.html", {"queues": queues, "form": form}, status=status)


def as_initial(queue: Queue | None) -> dict[str, Any]:
    if queue is None:
        return {}
    values = {"queue": queue.name, "concurrency": queue.concurrency, "starts": queue.starts, "burst": queue.burst}
    return values | ({} if queue.period is None else {"period": f"{queue.period:g}"})


@workspace_view
def unlimit(request: WorkspaceRequest, queue: str) -> HttpResponse:
    """Take a queue's limit away."""
    remove_queue_limit(actor=request.actor, queue=queue)
    messages.success(request, f"The queue {queue} has no limit any more.")
    return HttpResponseRedirect(reverse("queues", args=[request.actor.workspace_slug]))
