"""What people call the steps of a version."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.core.json_types import Json
from orchestrator.models import Version, Workflow
from orchestrator.policy import Action, Actor, may

MOST_WORKFLOWS = 500  # of a filter's list


@dataclass(frozen=True, slots=True)
class Caption:
    """A step's name and kind, and the region that it belongs to: "Payment (sequence)", or nothing."""

    name: str
    kind: str
    region: str = ""


@lru_cache(maxsize=128)
def captions_of(version_id: int) -> Mapping[str, Caption]:
    """Step key -> caption; kept in memory, for a version never changes. Unknown versions have none."""
    found = Version.objects.filter(pk=version_id).values_list("document", "plan__regions").first()
    document, regions = found or ({}, ())
    region_of = {
        key: f"{one['name'] or one['key']} ({one['pattern']})" for one in regions or () for key in one["steps"]
    }
    return {
        step["key"]: Caption(step.get("name") or step["key"], step.get("kind", ""), region_of.get(step["key"], ""))
        for step in document.get("steps", ())
    }


def document_of(version_id: int) -> Mapping[str, Json]:
    """The whole drawing of a version, for the canvas."""
    document: Mapping[str, Json] = Version.objects.values_list("document", flat=True).get(pk=version_id)
    return document


def workflow_names(actor: Actor) -> tuple[tuple[str, str], ...]:
    """(slug, name) of the workspace's workflows, by name; nothing for actors who may not read workflows."""
    if not may(actor, Action.WORKFLOW_READ):
        return ()
    rows = Workflow.objects.filter(workspace_id=actor.workspace_id, archived_at=None).order_by("name", "pk")
    return tuple(rows.values_list("slug", "name")[:MOST_WORKFLOWS])
