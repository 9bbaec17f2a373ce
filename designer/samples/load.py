"""Putting the samples into a workspace. Apart from `functions`, which workers load without any of this."""

import json
from pathlib import Path
from typing import Any

from designer.queries.workflows import workflows_for
from designer.services.publishing import publish
from designer.services.workflows import create_workflow
from orchestrator.api import Actor, Workflow, Workspace

FOLDER = Path(__file__).parent
#: Also their slugs.
NAMES = ("order-payment", "trip-booking", "regional-report", "leave-request", "supplier-order")


def sample(name: str) -> dict[str, Any]:
    """The document of one sample."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return document


def load(workspace: Workspace, actor: Actor) -> list[Workflow]:
    """Add and publish the samples that the workspace does not hold yet; returns the new ones.

    Published by nobody, when the actor is the machine: then everybody but the requester may approve.
    """
    if actor.workspace_id != workspace.pk:
        raise ValueError(f'The actor belongs to workspace {actor.workspace_id}, not to "{workspace.slug}".')
    present = set(workflows_for(actor).values_list("slug", flat=True))
    return [_add(name, actor) for name in NAMES if name not in present]


def _add(name: str, actor: Actor) -> Workflow:
    document = sample(name)
    # Our own file, not an import: it names no secrets, and the roles of those who decide are meant.
    workflow = create_workflow(name=document["name"], actor=actor, document=document, slug=name)
    publish(workflow=workflow, note="The sample as it comes.", actor=actor)
    return workflow
