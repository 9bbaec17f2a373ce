"""One run: header, tabs, the panel of a step."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from monitor.pages.live import is_fragment, live_page, socket_config
from monitor.pages.values import shown_value
from monitor.timeline import lay_out
from orchestrator.api import (
    FINAL_RUN,
    Action,
    Actor,
    Items,
    Run,
    RunState,
    RunView,
    StepDetail,
    StepRunRows,
    StepRunState,
    captions_of,
    document_of,
    find_run,
    history,
    items_of,
    may,
    run_detail,
    run_views,
    spans_of,
    step_detail,
    step_run_rows,
    tasks_of_run,
    undo_counts,
    undo_ledger_of,
)
from orchestrator.web.access import WorkspaceRequest, workspace_view

TABS = ("graph", "timeline", "steps", "history", "undo", "data")
UNDO_BEGUN = frozenset({"undoing", "undone", "undo_stuck"})
PAGE_OF_STEPS = 200  # rows of the steps tab
OPEN_STATES = {RunState.RUNNING, RunState.PAUSED}
PARKED = {StepRunState.READY, StepRunState.WAITING, StepRunState.RETRYING, StepRunState.HELD}
LONGEST_SCOPE = 18  # digits
MOST_REASONS = 5  # lines "waiting because" in the header


@workspace_view
def run(request: WorkspaceRequest, run_id: UUID) -> HttpResponse:
    """/w/{workspace}/runs/{id}/?tab="""
    return live_page(request, "monitor/run.html", run_context(request, find_run(request.actor, run_id)))


@workspace_view
def run_step(request: WorkspaceRequest, run_id: UUID, key: str) -> HttpResponse:
    """/w/{workspace}/runs/{id}/steps/{key}/: the panel alone for htmx, else the run's page with the panel open."""
    found = find_run(request.actor, run_id)
    panel = panel_context(request, found, key)
    if is_fragment(request):
        return render(request, "monitor/run.html#panel", {"run": view_of(found), "tab": tab_of(request), **panel})
    return live_page(request, "monitor/run.html", {**run_context(request, found), **panel})


def tab_of(request: WorkspaceRequest) -> str:
    asked = request.GET.get("tab", "")
    return asked if asked in TABS else TABS[0]


def view_of(found: Run) -> RunView:
    (view,) = run_views([found])
    return view


def run_context(request: WorkspaceRequest, found: Run) -> dict[str, Any]:
    """The header, and what the chosen tab shows."""
    actor, tab, view = request.actor, tab_of(request), view_of(found)
    is_open = view.state not in FINAL_RUN
    steps = step_run_rows(found) if is_open or tab == "steps" else None
    waiting = steps.waiting(MOST_REASONS) if steps and is_open else ()
    captions = captions_of(found.version_id)
    undo = undo_counts(found.pk)
    tasks = tasks_of_run(actor, found.pk) if is_open and may(actor, Action.TASK_READ) else ()
    return {
        "run": view,
        "tab": tab,
        "tabs": TABS,
        "is_open": is_open,
        "ended": view.finished_at or timezone.now(),
        "captions": captions,
        "reasons": [(item, captions.get(item.key)) for item in waiting],
        "tasks": [task for task in tasks if task.closed_at is None],
        "undo": undo,
        "undo_stuck": undo["stuck"] + undo["unknown"],
        "undoable": view.state not in UNDO_BEGUN,
        "live": socket_config(actor, {"watch": "run", "id": str(found.pk), "after": view.seq}),
        **TAB_CONTEXTS[tab](request, found, steps),
    }


def graph_context(request: WorkspaceRequest, found: Run, steps: StepRunRows | None) -> dict[str, Any]:
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


def timeline_context(request: WorkspaceRequest, found: Run, steps: StepRunRows | None) -> dict[str, Any]:
    spans = spans_of(found)
    names = {key: caption.name for key, caption in captions_of(found.version_id).items()}
    drawn = lay_out(spans.items, start=found.started_at, end=found.finished_at or timezone.now(), names=names)
    return {"timeline": drawn, "timeline_cut": spans.cut}


def steps_context(request: WorkspaceRequest, found: Run, steps: StepRunRows | None) -> dict[str, Any]:
    assert steps is not None, "the steps tab reads them"
    captions = captions_of(found.version_id)
    scope = item_of(request)
    if scope is not None:
        steps = step_run_rows(found, scope=scope)
    items, following = steps.page(request.GET.get("cursor", ""), PAGE_OF_STEPS)
    told = steps.keys
    ends = following is None and scope is None
    unreached = [(key, caption) for key, caption in captions.items() if key not in told] if ends else []
    return {
        "steps": [(item, captions.get(item.key)) for item in items],
        "steps_next": following,
        "steps_count": len(steps.places),
        "steps_item": scope,
        "unreached": unreached[:PAGE_OF_STEPS],
    }


def item_of(request: WorkspaceRequest) -> int | None:
    """The scope, an item's of a for-each, to which the steps tab is narrowed."""
    asked = request.GET.get("item", "")
    return int(asked) if asked.isascii() and asked.isdecimal() and len(asked) <= LONGEST_SCOPE else None


def history_context(request: WorkspaceRequest, found: Run, steps: StepRunRows | None) -> dict[str, Any]:
    page = history(request.actor, found.pk, {"cursor": request.GET.get("cursor", ""), "limit": "200"})
    return {"history": page.items, "history_next": page.next}


def undo_context(request: WorkspaceRequest, found: Run, steps: StepRunRows | None) -> dict[str, Any]:
    query = {"cursor": request.GET.get("cursor", ""), "limit": "200"}
    return {"ledger": undo_ledger_of(request.actor, found.pk, query)}


def data_context(request: WorkspaceRequest, found: Run, steps: StepRunRows | None) -> dict[str, Any]:
    detail = run_detail(request.actor, found.pk)
    base = reverse("run", args=[request.actor.workspace_slug, found.pk])
    return {
        "data_shown": detail.data_shown,
        "input": shown_value(detail.input, f"{base}values/input/"),
        "output": shown_value(detail.output, f"{base}values/output/"),
    }


TAB_CONTEXTS = {
    "graph": graph_context,
    "timeline": timeline_context,
    "steps": steps_context,
    "history": history_context,
    "undo": undo_context,
    "data": data_context,
}


def panel_context(request: WorkspaceRequest, found: Run, key: str) -> dict[str, Any]:
    """Everything about one step of the run."""
    scope = request.GET.get("scope") or None
    detail = step_detail(request.actor, found.pk, key, scope=scope)
    base = f"{reverse('run-step', args=[request.actor.workspace_slug, found.pk, key])}values/"
    suffix = f"?scope={scope}" if scope else ""
    return {
        "step": detail,
        "step_key": key,
        "step_name": str(detail.definition.get("name") or key),
        "step_caption": captions_of(found.version_id).get(key),
        "step_scope": scope,
        "step_input": shown_value(detail.input, f"{base}input/{suffix}"),
        "step_output": shown_value(detail.output, f"{base}output/{suffix}"),
        "step_definition": shown_value(detail.definition, f"{base}definition/"),
        "step_task": waiting_task(request.actor, found, key),
        "step_may": actions_of(detail, found),
        "step_items": items_context(request, found, detail, key),
    }


def items_context(request: WorkspaceRequest, found: Run, detail: StepDetail, key: str) -> Items | None:
    """A page of the items of a for-each that has begun."""
    if detail.step is None or detail.step.progress is None:
        return None
    asked = {"cursor": request.GET.get("items", "")}
    return items_of(request.actor, found.pk, key, asked, scope=detail.step.scope)


REPEATABLE_RUN = {*OPEN_STATES, RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}


def actions_of(detail: StepDetail, found: Run) -> dict[str, bool]:
    """Which buttons the panel offers; the page behind each says what would happen, or why it cannot."""
    step = detail.step
    if step is None or step.scope is not None or found.state not in REPEATABLE_RUN:
        return {}
    failed = step.state in {StepRunState.FAILED, StepRunState.TIMED_OUT}
    standing = found.state in OPEN_STATES and step.state in PARKED
    approval = detail.definition.get("kind") == "human_task"
    return {
        "retry": failed and step.attempt > 0,
        "rerun": step.attempt > 0,
        "skip": ((failed and step.attempt > 0) or standing) and not approval,
    }


def waiting_task(actor: Actor, found: Run, key: str) -> Any:
    """The form that this step waits for, when the person may see it."""
    if found.state in FINAL_RUN or not may(actor, Action.TASK_READ):
        return None
    tasks = tasks_of_run(actor, found.pk)
    return next((task for task in tasks if task.step_key == key and task.closed_at is None), None)
