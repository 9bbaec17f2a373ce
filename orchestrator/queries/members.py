"""Members, tokens and the audit trail, as an actor may see them."""

from django.db.models import QuerySet

from orchestrator.models import ApiToken, AuditEntry, Membership
from orchestrator.policy import Action, Actor, may, narrowed


def members_for_actor(actor: Actor) -> QuerySet[Membership]:
    """The workspace's members, when the actor may manage them; else nobody."""
    if not may(actor, Action.MEMBER_MANAGE):
        return Membership.objects.none()
    return Membership.objects.filter(workspace_id=actor.workspace_id).select_related("user").order_by("user__username")


def tokens_for_actor(actor: Actor) -> QuerySet[ApiToken]:
    """The actor's own tokens in the workspace; everybody's for admins. Newest first."""
    if not may(actor, Action.TOKEN_MANAGE):
        return ApiToken.objects.none()
    tokens = ApiToken.objects.filter(workspace_id=actor.workspace_id).select_related("user").order_by("-pk")
    return tokens.filter(user__username=actor.username) if narrowed(actor, Action.TOKEN_MANAGE) else tokens


def audit_for_actor(actor: Actor) -> QuerySet[AuditEntry]:
    """The workspace's trail; for editors what they did themselves. Newest first, served by audit_by_workspace."""
    if not may(actor, Action.AUDIT_READ):
        return AuditEntry.objects.none()
    entries = AuditEntry.objects.filter(workspace_id=actor.workspace_id).order_by("-pk")
    return entries.filter(actor_id=actor.user_id) if narrowed(actor, Action.AUDIT_READ) else entries


def matching(entries: QuerySet[AuditEntry], *, person: str = "", refused: bool = False) -> QuerySet[AuditEntry]:
    """Of one person, by their user name at the time; only what was refused."""
    if person:
        entries = entries.filter(actor_name=person)
    return entries.filter(allowed=False) if refused else entries
