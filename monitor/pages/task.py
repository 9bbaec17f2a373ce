"""The form of a human task: the request, its history, the decision. Opening it changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect

from monitor.pages.live import live_page, socket_config
from orchestrator.api import (
    Action,
    BranchlineError,
    Decided,
    Json,
    JsonObject,
    NotFound,
    TaskDetail,
    claim_task,
    decide_task,
    may,
    options_of,
    read_posted,
    release_task,
    task_detail,
)
from orchestrator.web.access import WorkspaceRequest, workspace_view

PREFIX = "field-"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldView:
    """One field as the form draws it. `value` is what was typed, or the default."""

    key: str
    kind: str
    label: str
    help: str
    placeholder: str
    required: bool
    value: str
    error: str
    options: tuple[tuple[str, str], ...]
    lowest: Json
    highest: Json
    longest: Json


@workspace_view
def task(request: WorkspaceRequest, task_id: UUID) -> HttpResponse:
    """/w/{workspace}/inbox/{task}/: the form (GET), the decision (POST)."""
    if request.method != "POST":
        return task_page(request, task_detail(request.actor, task_id))
    detail = task_detail(request.actor, task_id)
    try:
        decided = decide_task(
            task_id=task_id,
            actor=request.actor,
            outcome=request.POST.get("outcome", ""),
            values=posted_values(detail, request.POST),
            comment=request.POST.get("comment", ""),
            digest=request.POST.get("digest", ""),
        )
    except NotFound:
        raise
    except BranchlineError as error:
        # Read again: the task may be another one now. What was typed stays on the page.
        return task_page(request, task_detail(request.actor, task_id), typed=request.POST, refusal=error)
    messages.success(request, what_happened(detail, decided))
    return redirect("inbox", request.actor.workspace_slug)


def posted_values(detail: TaskDetail, posted: QueryDict) -> dict[str, Json]:
    """The form's values; fields nobody drew and repeated ones are passed on, to be refused by name."""
    values = read_posted(detail.fields, lambda key: posted.get(PREFIX + key))
    for name in posted:
        key = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and (key not in values or len(posted.getlist(name)) > 1):
            values[key] = posted.getlist(name)
    return values


def what_happened(detail: TaskDetail, decided: Decided) -> str:
    label = next((str(one.get("label") or "") for one in detail.outcomes if one.get("key") == decided.outcome), "")
    words = f'"{label or decided.outcome}" on "{detail.card.title}" counts.'
    if decided.closed:
        return f"{words} The run goes on."
    return f"{words} {decided.given} of {decided.quorum} agree so far; the run waits for the others."


def task_page(
    request: WorkspaceRequest,
    detail: TaskDetail,
    *,
    typed: QueryDict | None = None,
    refusal: BranchlineError | None = None,
) -> HttpResponse:
    """The form, with what was typed and why it was refused, answered by the refusal's own status."""
    actor = request.actor
    errors = errors_of(refusal)
    waits = detail.card.closed_at is None
    context = {
        "task": detail,
        "card": detail.card,
        "fields": [field_view(one, typed, errors) for one in detail.fields],
        "unknown": {key: text for key, text in errors.items() if not known(detail, key)},
        "comment": typed.get("comment", "") if typed else "",
        "refusal": refusal,
        "waits": waits,
        "can_decide": waits and detail.card.refusal is None,
        "can_reassign": waits and may(actor, Action.TASK_REASSIGN) and may_hand_on(request, detail),
        "can_release": waits and detail.card.claimed_by is not None and may_release(request, detail),
        "answers": [(one, shown_values(detail, one.values)) for one in detail.decisions],
        "live": socket_config(actor, {"watch": "tasks"}),
    }
    status = refusal.status if refusal else 200
    return live_page(request, "monitor/task.html", context, status=status)


def errors_of(refusal: BranchlineError | None) -> dict[str, str]:
    """One sentence per field that was refused."""
    errors = refusal.details.get("fields") if refusal else None
    return {str(key): str(text) for key, text in errors.items()} if isinstance(errors, Mapping) else {}


def known(detail: TaskDetail, key: str) -> bool:
    return any(one.get("key") == key for one in detail.fields)


def may_hand_on(request: WorkspaceRequest, detail: TaskDetail) -> bool:
    refusal = detail.card.refusal
    return "admin" in request.actor.roles or refusal is None or refusal.code in {"claimed", "already_decided"}


def may_release(request: WorkspaceRequest, detail: TaskDetail) -> bool:
    return "admin" in request.actor.roles or detail.card.claimed_by_me


def field_view(form_field: JsonObject, typed: QueryDict | None, errors: dict[str, str]) -> FieldView:
    """A field with what was typed; on first sight with its default."""
    key = str(form_field.get("key"))
    value = typed.get(PREFIX + key, "") if typed is not None else text_of(form_field.get("default"))
    return FieldView(
        key=key,
        kind=str(form_field.get("kind")),
        label=str(form_field.get("label") or key),
        help=text_of(form_field.get("help")),
        placeholder=text_of(form_field.get("placeholder")),
        required=form_field.get("required") is True,
        value=value,
        error=errors.get(key, ""),
        options=tuple(options_of(form_field)),
        lowest=form_field.get("min"),
        highest=form_field.get("max"),
        longest=form_field.get("max_length"),
    )


def text_of(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def shown_values(detail: TaskDetail, values: JsonObject) -> list[tuple[str, str]]:
    """A given answer in the form's own words."""
    shown = []
    for one in detail.fields:
        value = values.get(str(one.get("key")))
        labels = dict(options_of(one))
        text = labels.get(value, value) if isinstance(value, str) else text_of(value)
        if text:
            shown.append((str(one.get("label") or one.get("key")), text))
    return shown


@workspace_view
def task_claim(request: WorkspaceRequest, task_id: UUID) -> HttpResponse:
    """/w/{workspace}/inbox/{task}/claim/"""
    claim_task(task_id=task_id, actor=request.actor)
    messages.success(request, "You keep this now. Others see that you are on it.")
    return redirect("task", request.actor.workspace_slug, task_id)


@workspace_view
def task_release(request: WorkspaceRequest, task_id: UUID) -> HttpResponse:
    """/w/{workspace}/inbox/{task}/release/"""
    release_task(task_id=task_id, actor=request.actor)
    messages.success(request, "Released: everybody it was for can take it.")
    return redirect("task", request.actor.workspace_slug, task_id)
