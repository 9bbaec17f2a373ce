"""What the checks of a drawing must know of other workflows."""

from collections.abc import Collection

from django.db.models import Max

from orchestrator.core.problems_workflows import KnownWorkflow, KnownWorkflows
from orchestrator.models import Workflow

MOST_GUESSED = 1_000  # slugs to look through for the one that was meant


def known_workflows(workspace_id: int, slugs: Collection[str]) -> KnownWorkflows:
    """Those of these slugs that the workspace has; the others' nearest names where some are missing.

    Asks nothing when there is no slug, once when all are there, else twice. Served by workflow_slug_once.
    """
    if not slugs:
        return KnownWorkflows()
    own = Workflow.objects.filter(workspace_id=workspace_id)
    rows = own.filter(slug__in=slugs).annotate(newest=Max("versions__number"))
    named = {
        slug: KnownWorkflow(newest=newest or 0, is_live=live is not None, is_archived=archived_at is not None)
        for slug, newest, live, archived_at in rows.values_list("slug", "newest", "live_version_id", "archived_at")
    }
    if len(named) == len(slugs):
        return KnownWorkflows(named=named)
    others = own.filter(archived_at=None).order_by("slug").values_list("slug", flat=True)[:MOST_GUESSED]
    return KnownWorkflows(named=named, others=tuple(others))
