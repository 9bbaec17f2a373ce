"""What the admins of a workspace decide for all of it."""

from django.db import transaction

from orchestrator import audit
from orchestrator.core.errors import BranchlineError
from orchestrator.models import Workspace
from orchestrator.models.workspace import MOST_KEPT_DAYS
from orchestrator.policy import Action, Actor, require


class SettingInvalid(BranchlineError):
    """The wished setting cannot be."""

    code = "setting_invalid"


def keep_runs_for(*, actor: Actor, days: int | None) -> Workspace:
    """Keep ended runs of the actor's workspace for so many days; None: for ever. The keeper carries it out.

    Raises SettingInvalid for a number of days that is not from 1 to MOST_KEPT_DAYS.
    """
    require(actor, Action.SETTINGS_EDIT, target=f"workspace {actor.workspace_slug}")
    if days is not None and not 1 <= days <= MOST_KEPT_DAYS:
        raise SettingInvalid(
            f"Runs cannot be kept for {days} days. Give a number from 1 to {MOST_KEPT_DAYS}, "
            "or none to keep them for ever."
        )
    with transaction.atomic():
        workspace = Workspace.objects.select_for_update().get(pk=actor.workspace_id)
        before = workspace.keep_runs_days
        if before != days:
            workspace.keep_runs_days = days
            workspace.save(update_fields=["keep_runs_days"])
            detail = {"keep_runs_days": {"before": before, "after": days}}
            audit.record(actor, "settings.change", target=f"workspace {workspace.slug}", detail=detail)
    return workspace
