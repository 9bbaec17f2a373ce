"""Who somebody is in a workspace at this moment. Read at every request, so a lost role counts at once."""

import hashlib
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from orchestrator.core.actor import Actor, Via
from orchestrator.engine.prepared import Along, Seen, fetch_one, see
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Whom a token's value stands for now: its row, with `user`, and its owner as an actor where it is used."""

    token: ApiToken
    #: None outside the token's own workspace, and for an owner who is no member any more.
    actor: Actor | None
    #: What was read along.
    along: tuple[Any, ...] = ()
    #: Where it was asked for: by which another statement can act only if all of this is still so.
    seen: Seen | None = None


# Served by the unique indexes on apitoken.digest and membership (workspace, user). As `valid_tokens`.
# What is read along may name the workspace (w) and the token's user (u).
_BEARER = """
SELECT t.id, t.workspace_id, t.user_id, t.roles, t.last_used_at, u.id, u.username, u.first_name, u.last_name,
    u.is_active, w.slug, m.roles, m.groups{columns}
FROM orchestrator_apitoken t JOIN orchestrator_user u ON u.id = t.user_id
LEFT JOIN orchestrator_workspace w ON w.id = t.workspace_id AND w.slug = %s
LEFT JOIN orchestrator_membership m ON m.workspace_id = w.id AND m.user_id = t.user_id
{tables}
WHERE t.digest = %s AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > statement_timestamp())
    AND u.is_active
"""
# In the order of the models, as `from_db` wants them.
_TOKEN_FIELDS = ("id", "workspace_id", "user_id", "roles", "last_used_at")
_USER_FIELDS = ("id", "username", "first_name", "last_name", "is_active")


NOTHING_ALONG = Along(columns="", tables="", parameters=())


def find_bearer(
    plain: str, workspace_slug: str, along: Along = NOTHING_ALONG, *, to_be_seen_again: bool = False
) -> Bearer | None:
    """The valid token with this value and its owner's standing in the workspace, in one statement."""
    statement = _BEARER.format(columns=along.columns and f", {along.columns}", tables=along.tables)
    parameters = [workspace_slug, *along.parameters, token_digest(plain)]
    seen: Seen | None = None
    if to_be_seen_again:
        found = see(statement, parameters)
        row, seen = (None, None) if found is None else found
    else:
        row = fetch_one(statement, parameters)
    if row is None:
        return None
    token = ApiToken.from_db("default", _TOKEN_FIELDS, row[:5])
    token.user = User.from_db("default", _USER_FIELDS, row[5:10])
    slug, roles, groups = row[10:13]
    if roles is None:
        return Bearer(token=token, actor=None)
    actor = Actor(
        user_id=token.user_id,
        username=token.user.username,
        label=token.user.label,
        workspace_id=token.workspace_id,
        workspace_slug=slug,
        roles=frozenset(roles) & frozenset(token.roles),
        groups=frozenset(groups),
        via="token",
        token_id=token.pk,
    )
    return Bearer(token=token, actor=actor, along=row[13:], seen=seen)


def workspaces_of(user_id: int) -> QuerySet[Workspace]:
    """The workspaces a person belongs to, by name: the switcher's list."""
    return Workspace.objects.filter(memberships__user_id=user_id).order_by("name", "pk")
