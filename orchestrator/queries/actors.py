"""Who somebody is in a workspace at this moment. Read at every request, so a lost role counts at once."""

import hashlib

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from orchestrator.core.actor import Actor, Via
from orchestrator.models import ApiToken, Membership, User, Workspace


def actor_in(workspace_slug: str, user: User, *, token: ApiToken | None = None) -> Actor | None:
    """The user as a member of the workspace, or None. A token cuts the roles to its own, and to its workspace."""
    # Served by the unique indexes on workspace.slug and (workspace, user).
    member = (
        Membership.objects.select_related("workspace")
        .filter(workspace__slug=workspace_slug, user_id=user.pk, user__is_active=True)
        .first()
    )
    if member is None or (token is not None and token.workspace_id != member.workspace_id):
        return None
    return actor_as(member, user, token=token)


def actor_as(member: Membership, user: User, *, token: ApiToken | None = None) -> Actor:
    """The member, fetched with its workspace, as an actor."""
    roles = frozenset(member.roles)
    via: Via = "session" if token is None else "token"
    return Actor(
        user_id=user.pk,
        username=user.username,
        label=user.label,
        workspace_id=member.workspace_id,
        workspace_slug=member.workspace.slug,
        roles=roles if token is None else roles & frozenset(token.roles),
        groups=frozenset(member.groups),
        via=via,
        token_id=None if token is None else token.pk,
    )


def present_actor(actor: Actor) -> Actor | None:
    """The same person as they stand now, or None when they lost membership, account or token. For live sockets."""
    user = None if actor.user_id is None else User.objects.filter(pk=actor.user_id, is_active=True).first()
    if user is None:
        return None
    token = None
    if actor.token_id is not None:
        token = valid_tokens().filter(pk=actor.token_id).first()
        if token is None:
            return None
    return actor_in(actor.workspace_slug, user, token=token)


def token_digest(plain: str) -> bytes:
    """What is kept of a token or one-time link. The values are 256 random bits, so one fast hash is enough."""
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()


def valid_tokens() -> QuerySet[ApiToken]:
    """Tokens that open something now: not revoked, not expired, the owner's account active."""
    return ApiToken.objects.select_related("user").filter(
        Q(expires_at=None) | Q(expires_at__gt=Now()), revoked_at=None, user__is_active=True
    )


def find_token(plain: str) -> ApiToken | None:
    """The valid token with this value. Found by its digest in a unique index: comparing leaks no prefix."""
    return valid_tokens().filter(digest=token_digest(plain)).first()


def workspaces_of(user_id: int) -> QuerySet[Workspace]:
    """The workspaces a person belongs to, by name: the switcher's list."""
    return Workspace.objects.filter(memberships__user_id=user_id).order_by("name", "pk")
