"""One run: header, tabs, the panel of a step."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from monitor.pages.live import is_fragment, live_page, socket_config
from monitor.pages.run_item import OPENED_TABS, items_context, items_tab, opened_item
from monitor.pages.run_tabs import TABS, Shown
from monitor.pages.values import shown_output, shown_value
from orchestrator.api import (
    FINAL_RUN,
    Action,
    Actor,
    Run,
    RunState,
    RunView,
    StepDetail,
    StepRunState,
    captions_of,
    find_run,
    held_undo,
    may,
    may_read_data,
    parent_of,
    place_words,
    run_views,
    step_detail,
    step_run_rows,
    tasks_of_run,
    undo_counts,
)
from orchestrator.web.access import WorkspaceRequest, workspace_view

UNDO_BEGUN = frozenset({"undoing", "undone", "undo_stuck"})
OPEN_STATES = {RunState.RUNNING, RunState.PAUSED}
PARKED = {StepRunState.READY, StepRunState.WAITING, StepRunState.RETRYING, StepRunState.HELD}
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
    return asked if asked in TABS else "graph"


def view_of(found: Run) -> RunView:
    (view,) = run_views([found])
    return view


def run_context(request: WorkspaceRequest, found: Run) -> dict[str, Any]:
    """The header, and what the chosen tab shows."""
    actor, tab, view = request.actor, tab_of(request), view_of(found)
    is_open = view.state not in FINAL_RUN
    opened = opened_item(request, found, tab)
    shown = may_read_data(actor, found)
    steps = step_run_rows(found, shown=shown) if is_open or tab == "steps" else None
    waiting = steps.waiting(MOST_REASONS) if steps and is_open else ()
    captions = captions_of(found.version_id)
    undo = undo_counts(found.pk)
    tasks = tasks_of_run(actor, found.pk) if is_open and may(actor, Action.TASK_READ) else ()
    return {
        "run": view,
        "tab": tab,
        "tabs": TABS,
        "is_open": is_open,
        "parent": parent_of(actor, found),
        "run_above": None if is_open else found.root_run_id,
        "ended": view.finished_at or timezone.now(),
        "captions": captions,
        "reasons": [(item, captions.get(item.key)) for item in waiting],
        "tasks": [task for task in tasks if task.closed_at is None],
        "undo": undo,
        "undo_held": held_undo(found),
        "undo_stuck": undo["stuck"] + undo["unknown"],
        "undoable": view.state not in UNDO_BEGUN,
        "live": socket_config(actor, {"watch": "run", "id": str(found.pk), "after": view.seq}),
        "opened": opened,
        "opened_tabs": OPENED_TABS,
        **TABS[tab](request, found, Shown(steps=steps, opened=opened)),
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
        "step_places": place_words(detail.scopes if len(detail.scopes) > 1 else ()),
        "step_input": shown_value(detail.input, f"{base}input/{suffix}"),
        "step_no_output": "It gave none." if detail.step and detail.step.finished_at else "None so far.",
        "step_output": shown_output(request, detail.output, f"{base}output/{suffix}"),
        "step_definition": shown_value(detail.definition, f"{base}definition/"),
        "step_task": waiting_task(request.actor, found, key),
        "step_may": actions_of(detail, found),
        "step_above": parent_of(request.actor, found) if found.state in FINAL_RUN & REPEATABLE_RUN else None,
        "step_items": items_context(request, found, detail, key),
        **items_tab(tab_of(request)),
    }


REPEATABLE_RUN = {*OPEN_STATES, RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}


def actions_of(detail: StepDetail, found: Run) -> dict[str, bool]:
    """Which buttons the panel offers; the page behind each says what would happen, or why it cannot."""
    step = detail.step
    if step is None or found.state not in REPEATABLE_RUN:
        return {}
    if found.parent_run_id is not None and found.state in FINAL_RUN:
        return {}  # it goes on with the run above it
    failed = step.state in {StepRunState.FAILED, StepRunState.TIMED_OUT}
    standing = found.state in OPEN_STATES and step.state in PARKED
    approval = detail.definition.get("kind") == "human_task"
    if step.scope is not None:
        open_failure = failed and step.attempt > 0 and found.state != RunState.SUCCEEDED
        return {
            "retry": open_failure,
            "rerun": step.attempt > 0,
            "skip": (standing or open_failure) and not approval,
        }
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
