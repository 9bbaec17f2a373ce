"""A workspace's settings, as an actor may see them."""

from django.db.models import QuerySet

from orchestrator.models import Workspace
from orchestrator.policy import Action, Actor, may


def workspace_for_settings(actor: Actor) -> QuerySet[Workspace]:
    """The actor's workspace, when they may change its settings; else nothing."""
    if not may(actor, Action.SETTINGS_EDIT):
        return Workspace.objects.none()
    return Workspace.objects.filter(pk=actor.workspace_id)
