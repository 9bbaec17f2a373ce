"""The audit trail: who did, or was refused, what. One row per deed, in the transaction of the deed itself."""

from orchestrator.core.actor import Actor
from orchestrator.core.json_types import JsonObject
from orchestrator.models.audit import AuditEntry


def record(
    actor: Actor,
    action: str,
    *,
    target: str = "",
    allowed: bool = True,
    detail: JsonObject | None = None,
) -> None:
    """Add one row within the caller's transaction, so that a deed and its record live or die together.

    `target` names the thing ("member alice", "run 0198…"); `detail` holds what changed, never a secret's value.
    """
    AuditEntry.objects.create(
        workspace_id=actor.workspace_id,
        actor_id=actor.user_id,
        actor_name=actor.username,
        via=actor.via,
        action=action,
        target=target[:255],
        allowed=allowed,
        detail=dict(detail or {}),
    )


def record_outside(
    action: str,
    *,
    user_id: int | None = None,
    username: str = "",
    target: str = "",
    allowed: bool = True,
    detail: JsonObject | None = None,
) -> None:
    """Add a row that belongs to no workspace: signing in and out, changing a password, making a workspace."""
    AuditEntry.objects.create(
        actor_id=user_id,
        actor_name=username[:150],
        via="session",
        action=action,
        target=target[:255],
        allowed=allowed,
        detail=dict(detail or {}),
    )
