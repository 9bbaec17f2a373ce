"""JSON values on a page: pretty, cut where they are long, whole as a download."""

from dataclasses import dataclass
from uuid import UUID

from django.http import HttpResponseBase
from django.urls import reverse

from monitor.pages.value_file import attachment, pretty
from monitor.words import size_words
from orchestrator.api import (
    Action,
    ItemOutputs,
    Json,
    NotFound,
    find_run,
    may_read_data,
    require,
    run_detail,
    step_detail,
)
from orchestrator.web.access import WorkspaceRequest, workspace_view

LONGEST = 20_000  # characters shown


@dataclass(frozen=True, slots=True)
class ShownValue:
    """A value as text. `address` leads to the whole when `cut`."""

    text: str
    cut: bool
    size: str
    address: str


@dataclass(frozen=True, slots=True)
class ShownOutputs:
    """Outputs of the items of a for-each that are too large to be one value.

    `items` leads to them, `address` to all of it as a file.
    """

    results: str
    size: str
    items: str
    address: str


def shown_output(request: WorkspaceRequest, value: Json, address: str) -> ShownValue | ShownOutputs | None:
    """The same for what a step or a run gave."""
    if not isinstance(value, ItemOutputs):
        return shown_value(value, address)
    items = reverse("run-step", args=[request.actor.workspace_slug, value.run, value.step])
    return ShownOutputs(f"{len(value):,}", size_words(value.bytes), items, address)


def shown_value(value: Json, address: str) -> ShownValue | None:
    """The beginning of a value for the page; None for nothing."""
    if value is None:
        return None
    text = pretty(value)
    return ShownValue(text[:LONGEST], len(text) > LONGEST, size_words(len(text.encode())), address)


@workspace_view
def run_value(request: WorkspaceRequest, run_id: UUID, name: str) -> HttpResponseBase:
    """/w/{workspace}/runs/{id}/values/{input|output}/: the whole value, always as a file."""
    require_data(request, run_id)
    detail = run_detail(request.actor, run_id)
    return attachment({"input": detail.input, "output": detail.output}, name, f"run-{run_id}")


@workspace_view
def step_value(request: WorkspaceRequest, run_id: UUID, key: str, name: str) -> HttpResponseBase:
    """/w/{workspace}/runs/{id}/steps/{key}/values/{input|output|definition}/"""
    require_data(request, run_id)
    detail = step_detail(request.actor, run_id, key, scope=request.GET.get("scope") or None)
    values: dict[str, Json] = {"input": detail.input, "output": detail.output, "definition": detail.definition}
    return attachment(values, name, f"run-{run_id}-{key}")


def require_data(request: WorkspaceRequest, run_id: UUID) -> None:
    """Approvers read the data of their own tasks' runs only: more than the route's table can say."""
    if not may_read_data(request.actor, find_run(request.actor, run_id)):
        require(request.actor, Action.RUN_READ_DATA)
        raise NotFound("No such value.")
