"""Retry, re-run from a step, skip a step: each page says what would run again and which effects that has, then asks."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from monitor.pages.control import LONGEST_REASON
from monitor.pages.run import view_of
from monitor.pages.value_file import pretty
from orchestrator.api import (
    UNCHANGED,
    BranchlineError,
    Json,
    NotFound,
    Run,
    captions_of,
    find_run,
    parse_json,
    place_words,
    preview_rerun,
    preview_retry,
    rerun_step,
    retry_run,
    retry_step,
    run_detail,
    skip_step,
    told_skip,
)
from orchestrator.web.access import WorkspaceRequest, workspace_view

LONGEST_SCOPE = 18  # digits
LONGEST_VALUE = 100_000  # characters of an input or output typed in a form


@workspace_view
def run_retry(request: WorkspaceRequest, run_id: UUID) -> HttpResponse:
    """/w/{workspace}/runs/{id}/retry/"""
    found = find_run(request.actor, run_id)
    return _asked(
        request,
        found,
        "monitor/repeat.html",
        look=lambda: {"preview": preview_retry(run_id, request.actor), "what": "retry"},
        act=lambda: retry_run(run_id, request.actor, reason_of(request)),
        done="The run goes on from its failure.",
    )


@workspace_view
def step_retry(request: WorkspaceRequest, run_id: UUID, key: str) -> HttpResponse:
    """/w/{workspace}/runs/{id}/steps/{key}/retry/?scope="""
    found = find_run(request.actor, run_id)
    scope = _scope(request)
    return _asked(
        request,
        found,
        "monitor/repeat.html",
        look=lambda: {
            "preview": preview_retry(run_id, request.actor, key, scope=scope),
            "what": "retry",
            **_step(found, key),
        },
        act=lambda: retry_step(run_id, key, request.actor, reason_of(request), scope=scope),
        done="The step is tried again.",
    )


@workspace_view
def step_rerun(request: WorkspaceRequest, run_id: UUID, key: str) -> HttpResponse:
    """/w/{workspace}/runs/{id}/steps/{key}/rerun/?newest=1&scope="""
    found = find_run(request.actor, run_id)
    scope = _scope(request)
    newest = (request.POST or request.GET).get("newest") == "1"

    def look() -> dict[str, Any]:
        detail = run_detail(request.actor, run_id)
        return {
            "preview": preview_rerun(run_id, key, request.actor, newest=newest, scope=scope),
            "what": "rerun",
            "scope": scope,
            "newest": newest,
            "input": pretty(detail.input) if detail.data_shown else "",
            "data_shown": detail.data_shown,
            **_step(found, key),
        }

    def act() -> object:
        value: Any = UNCHANGED
        if request.POST.get("edit_input") == "1":
            value = _typed(request, "input")
        change = {"newest": newest, "input": value, "scope": scope, "as_of": _as_of(request)}
        return rerun_step(run_id, key, request.actor, reason_of(request), **change)

    return _asked(request, found, "monitor/repeat.html", look=look, act=act, done="The step runs again.")


@workspace_view
def step_skip(request: WorkspaceRequest, run_id: UUID, key: str) -> HttpResponse:
    """/w/{workspace}/runs/{id}/steps/{key}/skip/?scope="""
    found = find_run(request.actor, run_id)
    scope = _scope(request)

    def act() -> object:
        output = _typed(request, "output") if request.POST.get("output", "").strip() else None
        port = request.POST.get("port") or None
        return skip_step(run_id, key, request.actor, reason_of(request), output=output, port=port, scope=scope)

    return _asked(
        request,
        found,
        "monitor/skip.html",
        look=lambda: {
            "preview": told_skip(run_id, key, request.actor, scope=scope),
            "scope": scope,
            "place_of": place_words([scope]),
            **_step(found, key),
        },
        act=act,
        done="The run goes on without the step.",
    )


def _asked(
    request: WorkspaceRequest,
    found: Run,
    template: str,
    *,
    look: Callable[[], dict[str, Any]],
    act: Callable[[], object],
    done: str,
) -> HttpResponse:
    """What would happen (GET), or doing it (POST). A refusal is shown on the same page, with what was typed."""
    problem = ""
    if request.method == "POST":
        try:
            act()
        except NotFound:
            raise
        except BranchlineError as refused:
            problem = refused.message
        else:
            messages.success(request, done)
            return redirect("run", request.actor.workspace_slug, found.pk)
    context: dict[str, Any] = {"run": view_of(found), "problem": problem, "typed": request.POST}
    try:
        context |= look()
    except NotFound:
        raise
    except BranchlineError as refused:
        context |= {"refused": refused.message}
    return render(request, template, context, status=409 if problem else 200)


def reason_of(request: WorkspaceRequest) -> str:
    """Why, as typed."""
    return request.POST.get("reason", "").replace("\0", "").strip()[:LONGEST_REASON]


def _step(found: Run, key: str) -> dict[str, str]:
    captions = captions_of(found.version_id)
    return {"step_key": key, "step_name": captions[key].name if key in captions else key}


def _scope(request: WorkspaceRequest) -> int | None:
    """Where the step stands, when it stands inside a container. Raises NotFound for what is no scope."""
    asked = request.GET.get("scope", "")
    if asked and (len(asked) > LONGEST_SCOPE or not asked.isdecimal()):
        raise NotFound("There is no such scope.")
    return int(asked) if asked else None


def _as_of(request: WorkspaceRequest) -> int | None:
    """What the operator had looked at; nothing of it in a request that no page of ours has sent."""
    said = request.POST.get("as_of", "")
    return int(said) if said.isdecimal() and len(said) <= LONGEST_SCOPE else None


def _typed(request: WorkspaceRequest, name: str) -> Json:
    return parse_json(request.POST.get(name, "")[:LONGEST_VALUE])
