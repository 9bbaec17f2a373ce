"""Sending an event by hand. What was typed stays on the page until it is accepted."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import pluralize

from monitor.event_ceiling import FULL, admits, seconds_left
from orchestrator.api import (
    CloudEvent,
    EventInvalid,
    Json,
    JsonInvalid,
    Published,
    checked_event,
    parse_json,
    publish_event,
)
from orchestrator.web.access import WorkspaceRequest, workspace_view

#: Of the form, in its order. An empty one is as if it were not there.
ATTRIBUTES = ("type", "key", "source", "subject", "id")
LONGEST_DATA = 1_000_000  # bytes
MOST_DEPTH = 63  # below the event itself, which nests no deeper than 64


@workspace_view
def event_send(request: WorkspaceRequest) -> HttpResponse:
    """/w/{workspace}/events/send/?type=&key=: the form (GET), sending (POST)."""
    if request.method != "POST":
        return form_page(request, typed_first(request))
    typed = {name: request.POST.get(name, "").strip() for name in (*ATTRIBUTES, "data")}
    if not admits(request.actor):
        return too_many(request, typed)
    data, errors = data_of(typed["data"])
    try:
        event = event_of(typed, data)
    except EventInvalid as refusal:
        return form_page(request, typed, errors | errors_of(refusal))
    if errors:
        return form_page(request, typed, errors)
    published = publish_event(actor=request.actor, event=event.as_json())
    messages.success(request, what_happened(published))
    return redirect("event", request.actor.workspace_slug, published.number)


def typed_first(request: WorkspaceRequest) -> dict[str, str]:
    """What the form begins with. The id is made here, so that sending the form twice is one event."""
    asked = {name: request.GET.get(name, "")[:200] for name in ("type", "key")}
    return asked | {"source": f"/people/{request.actor.username}", "subject": "", "id": str(uuid4()), "data": ""}


def data_of(text: str) -> tuple[Json, dict[str, str]]:
    """The data as typed, and why it is refused."""
    try:
        return parse_json(text, max_bytes=LONGEST_DATA, max_depth=MOST_DEPTH) if text else None, {}
    except JsonInvalid as refusal:
        return None, {"data": refusal.message}


def event_of(typed: Mapping[str, str], data: Json) -> CloudEvent:
    """The event as typed. Raises EventInvalid."""
    attributes: dict[str, Json] = {name: typed[name] for name in ATTRIBUTES if typed[name]}
    return checked_event({"specversion": "1.0", **attributes}, data)


def what_happened(published: Published) -> str:
    if published.duplicate:
        return "This event had been sent before, so nothing happens again."
    if published.reached:
        steps = "1 step" if published.reached == 1 else f"{published.reached} steps"
        return f"Accepted. {steps} waited for it."
    return "Accepted. No step waits for it now; one that comes to wait may still get it."


def form_page(
    request: WorkspaceRequest, typed: Mapping[str, str], errors: Mapping[str, str] | None = None
) -> HttpResponse:
    return form_with(request, {"typed": typed, "errors": errors or {}}, 400 if errors else 200)


def too_many(request: WorkspaceRequest, typed: Mapping[str, str]) -> HttpResponse:
    """The form as it was typed, with why not now and when."""
    seconds = seconds_left()
    told = f"{FULL} Send yours in {seconds} second{pluralize(seconds)}; it stays here until then."
    answer = form_with(request, {"typed": typed, "errors": {"body": told}}, 429)
    answer["Retry-After"] = str(seconds)
    return answer


def form_with(request: WorkspaceRequest, context: Mapping[str, Any], status: int) -> HttpResponse:
    return render(request, "monitor/event_send.html", context, status=status)


def errors_of(refusal: EventInvalid) -> dict[str, str]:
    """One sentence per field that was refused."""
    return {name: first_of(told) for name, told in refusal.details.items()}


def first_of(told: Json) -> str:
    assert isinstance(told, Sequence)
    (first, *_) = told
    return str(first["message"]) if isinstance(first, Mapping) else str(first)
