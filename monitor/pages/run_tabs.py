"""What each tab of a run's page shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils import timezone

from monitor.pages.values import shown_output, shown_value
from monitor.timeline import lay_out
from orchestrator.api import (
    MOST_AWAITED,
    Action,
    CursorInvalid,
    ItemPlace,
    Run,
    Span,
    StepRunRows,
    awaited_of_run,
    captions_of,
    deliveries_of_run,
    delivery_views,
    document_of,
    history,
    may,
    may_read_data,
    place_words,
    run_detail,
    spans_of,
    step_run_rows,
    undo_ledger_of,
)
from orchestrator.web.access import WorkspaceRequest

PAGE_OF_STEPS = 100  # rows of the steps tab
PAGE_OF_LANES = 100  # rows of the timeline
PAGE_OF_HISTORY = 100  # lines
PAGE_OF_DELIVERIES = 100  # rows of the events tab


@dataclass(frozen=True, slots=True)
class Shown:
    """What a tab is made from: the step runs, where the page reads them, and the item to which it is narrowed."""

    steps: StepRunRows | None
    opened: ItemPlace | None

    @property
    def scope(self) -> int | None:
        return None if self.opened is None else self.opened.scope


def graph_context(request: WorkspaceRequest, found: Run, shown: Shown) -> dict[str, Any]:
    """What the canvas needs to watch this run."""
    slug, workflow = request.actor.workspace_slug, found.workflow.slug
    run_address = reverse("run", args=[slug, found.pk])
    config = {
        "mode": "watch",
        "workspace": slug,
        "workflow": workflow,
        "name": found.workflow.name,
        "csrf": get_token(request),
        "base": f"/api/v1/w/{slug}/",
        "socket": f"/ws/w/{slug}/",
        "run": str(found.pk),
        "document": document_of(found.version_id),
        "may": {
            "edit": may(request.actor, Action.DRAFT_EDIT),
            "publish": may(request.actor, Action.WORKFLOW_PUBLISH),
            "run": may(request.actor, Action.RUN_START),
        },
        "pages": {"runs": f"/w/{slug}/runs/", "run": f"/w/{slug}/runs/{{id}}/", "step": f"{run_address}steps/{{key}}/"},
    }
    return {"canvas_config": config}


def timeline_context(request: WorkspaceRequest, found: Run, shown: Shown) -> dict[str, Any]:
    spans = spans_of(found, scope=shown.scope)
    names = {key: caption.name for key, caption in captions_of(found.version_id).items()}
    drawn = lay_out(
        spans.items,
        **limits_of(spans.items, found, shown),
        names=names,
        first=first_lane(request),
        most=PAGE_OF_LANES,
    )
    places = place_words((lane.scope for lane in drawn.lanes), within=shown.scope)
    return {"timeline": drawn, "timeline_cut": spans.cut, "place_of": places}


def limits_of(spans: Sequence[Span], found: Run, shown: Shown) -> dict[str, datetime]:
    """Where the axis begins and ends: with the run, or with the item."""
    now = timezone.now()
    if shown.opened is None or not spans:
        return {"start": found.started_at, "end": found.finished_at or now}
    return {"start": min(span.begun for span in spans), "end": max(span.ended or now for span in spans)}


def first_lane(request: WorkspaceRequest) -> int:
    """The lane that a page of the timeline begins with. Raises CursorInvalid."""
    cursor = request.GET.get("cursor", "") or "0"
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= 6):
        raise CursorInvalid("The cursor was not made by this list. Start again without one.")
    return int(cursor)


def steps_context(request: WorkspaceRequest, found: Run, shown: Shown) -> dict[str, Any]:
    assert shown.steps is not None, "the steps tab reads them"
    captions = captions_of(found.version_id)
    steps = shown.steps
    if shown.opened is not None:
        steps = step_run_rows(found, scope=shown.scope, shown=may_read_data(request.actor, found))
    items, following = steps.page(request.GET.get("cursor", ""), PAGE_OF_STEPS)
    told = steps.keys
    ends = following is None and shown.opened is None
    unreached = [(key, caption) for key, caption in captions.items() if key not in told] if ends else []
    return {
        "steps": [(item, captions.get(item.key)) for item in items],
        "place_of": place_words((item.scope for item in items), within=shown.scope),
        "steps_next": following,
        "steps_count": len(steps.places),
        "unreached": unreached[:PAGE_OF_STEPS],
    }


def history_context(request: WorkspaceRequest, found: Run, shown: Shown) -> dict[str, Any]:
    asked = {"cursor": request.GET.get("cursor", ""), "limit": str(PAGE_OF_HISTORY)}
    page = history(request.actor, found.pk, asked, scope=shown.scope)
    places = place_words((one.scope for one in page.items), within=shown.scope)
    return {"history": page.items, "history_next": page.next, "place_of": places}


def events_context(request: WorkspaceRequest, found: Run, shown: Shown) -> dict[str, Any]:
    if not may_read_data(request.actor, found):
        return {"data_shown": False}
    awaited = awaited_of_run(found)
    page = deliveries_of_run(found, {"cursor": request.GET.get("cursor", ""), "limit": str(PAGE_OF_DELIVERIES)})
    deliveries = delivery_views(page.items)
    return {
        "data_shown": True,
        "awaited": awaited[:MOST_AWAITED],
        "more_awaited": len(awaited) > MOST_AWAITED,
        "deliveries": deliveries,
        "place_of": place_words([*(one.scope for one in awaited), *(one.scope for one in deliveries)]),
        "deliveries_next": page.next,
    }


def undo_context(request: WorkspaceRequest, found: Run, shown: Shown) -> dict[str, Any]:
    query = {"cursor": request.GET.get("cursor", ""), "limit": "200"}
    ledger = undo_ledger_of(request.actor, found.pk, query)
    return {"ledger": ledger, "place_of": place_words(line.scope for line in (*ledger.stuck, *ledger.items))}


def data_context(request: WorkspaceRequest, found: Run, shown: Shown) -> dict[str, Any]:
    detail = run_detail(request.actor, found.pk)
    base = reverse("run", args=[request.actor.workspace_slug, found.pk])
    return {
        "data_shown": detail.data_shown,
        "input": shown_value(detail.input, f"{base}values/input/"),
        "output": shown_output(request, detail.output, f"{base}values/output/"),
    }


TABS: dict[str, Callable[[WorkspaceRequest, Run, Shown], dict[str, Any]]] = {
    "graph": graph_context,
    "timeline": timeline_context,
    "steps": steps_context,
    "events": events_context,
    "history": history_context,
    "undo": undo_context,
    "data": data_context,
}
