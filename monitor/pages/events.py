"""Events: what was accepted, what it reached, and what gave up."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from monitor.pages.event_filter import read_filter
from monitor.pages.live import live_page, socket_config
from monitor.pages.runs import address_with
from monitor.pages.value_file import attachment
from monitor.pages.values import shown_value
from orchestrator.api import (
    Actor,
    Conflict,
    dead_letter_count,
    dead_letters,
    delivery_views,
    discard_delivery,
    event_detail,
    event_views,
    list_events,
    place_words,
    replay_delivery,
)
from orchestrator.web.access import WorkspaceRequest, workspace_view

PAGE_OF_DELIVERIES = "100"
#: What is told of an event beside what everybody asks for first.
TOLD = frozenset({"specversion", "id", "source", "type", "key", "subject", "time"})


@workspace_view
def events(request: WorkspaceRequest) -> HttpResponse:
    """/w/{workspace}/events/"""
    actor = request.actor
    chosen = read_filter(request)
    page = list_events(actor, chosen.wanted, {"cursor": request.GET.get("cursor", "")})
    context = {
        "events": event_views(actor, page.items),
        "filter": chosen,
        "filtered": any(chosen.typed.values()),
        "next": address_with(request.GET, cursor=page.next) if page.next else None,
        "first": address_with(request.GET, cursor=None) if request.GET.get("cursor") else None,
        **shared(actor),
    }
    return live_page(request, "monitor/events.html", context)


@workspace_view
def event(request: WorkspaceRequest, event_id: int) -> HttpResponse:
    """/w/{workspace}/events/{id}/"""
    actor = request.actor
    asked = {"cursor": request.GET.get("cursor", ""), "limit": PAGE_OF_DELIVERIES}
    detail = event_detail(actor, event_id, asked)
    context = {
        "view": detail.view,
        "event": detail.view.event,
        "extra": [(name, value) for name, value in detail.view.event.items() if name not in TOLD],
        "data": shown_value(detail.data, "data/"),
        "deliveries": detail.deliveries,
        "place_of": place_words(one.scope for one in detail.deliveries),
        "next": detail.next,
        "live": socket_config(actor, {"watch": "events"}),
    }
    return live_page(request, "monitor/event.html", context)


@workspace_view
def event_data(request: WorkspaceRequest, event_id: int) -> HttpResponseBase:
    """/w/{workspace}/events/{id}/data/: the whole data, always as a file."""
    detail = event_detail(request.actor, event_id, {"limit": "1"})
    return attachment({"data": detail.data}, "data", f"event-{event_id}")


@workspace_view
def letters(request: WorkspaceRequest) -> HttpResponse:
    """/w/{workspace}/events/dead-letters/"""
    page = dead_letters(request.actor, {"cursor": request.GET.get("cursor", "")})
    found = delivery_views(page.items)
    context = {
        "letters": found,
        "place_of": place_words(one.scope for one in found),
        "next": address_with(request.GET, cursor=page.next) if page.next else None,
        "first": address_with(request.GET, cursor=None) if request.GET.get("cursor") else None,
        **shared(request.actor),
    }
    return live_page(request, "monitor/dead_letters.html", context)


@workspace_view
def letter_settle(request: WorkspaceRequest, delivery_id: int, how: str) -> HttpResponse:
    """/w/{workspace}/events/dead-letters/{id}/{replay|discard}/"""
    settle, done = SETTLES[how]
    try:
        settle(actor=request.actor, delivery=delivery_id)
        messages.success(request, done)
    except Conflict as conflict:
        messages.info(request, conflict.message)
    return redirect("dead-letters", request.actor.workspace_slug)


SETTLES = {
    "replay": (replay_delivery, "Replayed: the step has the event again."),
    "discard": (discard_delivery, "Discarded. It stays with its event, with its reason."),
}


def shared(actor: Actor) -> dict[str, Any]:
    """What the pages below Events have in common."""
    return {"dead": dead_letter_count(actor), "live": socket_config(actor, {"watch": "events"})}
