"""Reading workflows."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from orchestrator.api import FINAL_RUN, Actor, NotFound, Run, Version, Workflow


def workflows_for(actor: Actor) -> QuerySet[Workflow]:
    """The workflows of the actor's workspace that are not archived."""
    return Workflow.objects.filter(workspace_id=actor.workspace_id, archived_at=None)


def find_workflow(actor: Actor, slug: str) -> Workflow:
    """One workflow of the actor's workspace. Raises NotFound, in the same words whether it is foreign or absent."""
    found = workflows_for(actor).select_related("live_version").filter(slug=slug).first()
    if found is None:
        raise NotFound("There is no such workflow in this workspace.")
    return found


def find_version(workflow: Workflow, number: int) -> Version:
    """One published version of a workflow. Raises NotFound."""
    found = workflow.versions.select_related("published_by").filter(number=number).first()
    if found is None:
        raise NotFound(f'The workflow "{workflow.slug}" has no version {number}.')
    return found


def listed(actor: Actor, search: str = "") -> QuerySet[Workflow]:
    """Workflows as a list shows them, in one query: live version, draft, last run and open runs.

    `search` is found in name or slug, letter case aside. The subqueries are served by run_by_workflow.
    """
    runs = Run.objects.filter(workflow=OuterRef("pk")).order_by()
    last = runs.order_by("-id")
    open_runs = runs.exclude(state__in=sorted(FINAL_RUN)).values("workflow").annotate(count=Count("pk")).values("count")
    found = workflows_for(actor).select_related("live_version", "draft", "draft__saved_by")
    if search:
        found = found.filter(Q(name__icontains=search) | Q(slug__icontains=search))
    return found.annotate(
        last_run_id=Subquery(last.values("id")[:1]),
        last_run_state=Subquery(last.values("state")[:1]),
        last_run_at=Subquery(last.values("started_at")[:1]),
        open_runs=Coalesce(Subquery(open_runs), 0),
    ).order_by("name", "id")


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftState:
    """How the draft stands to what is published: a code for machines, words for people."""

    code: str
    text: str


def draft_state(workflow: Any) -> DraftState:  # a workflow of `listed`
    """What the list says about a draft."""
    draft = workflow.draft
    if draft.published_revision is None:
        return DraftState(code="unpublished", text="Never published")
    if draft.revision > draft.published_revision:
        return DraftState(code="changed", text="Unpublished changes")
    return DraftState(code="published", text="No unpublished changes")
