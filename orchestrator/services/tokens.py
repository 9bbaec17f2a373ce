"""API tokens: made once, shown once, kept as a digest, cut to what their owner may do now."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from orchestrator import audit
from orchestrator.core.errors import BranchlineError, NotFound
from orchestrator.models import ApiToken
from orchestrator.policy import Action, Actor, narrowed, require

PREFIX = "brl_"
#: Seconds between two notes of a token's use: a row per token and minute, not per request.
NOTE_EVERY = 60


class TokenInvalid(BranchlineError):
    """The wished token cannot be made."""

    code = "token_invalid"


def create_token(
    *, actor: Actor, name: str, roles: Collection[str], expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a token of the actor in the actor's workspace; its value is returned here and never again.

    Raises TokenInvalid when a role is not the actor's own or the end is past; Denied without the action.
    """
    require(actor, Action.TOKEN_MANAGE)
    if actor.user_id is None:
        raise TokenInvalid("A token belongs to a person. Name one.")
    check(actor, name, roles, expires_at)
    plain = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = ApiToken.objects.create(
            workspace_id=actor.workspace_id,
            user_id=actor.user_id,
            name=name,
            digest=hashlib.sha256(plain.encode()).digest(),
            hint=plain[:10],
            roles=sorted(set(roles)),
            expires_at=expires_at,
        )
        audit.record(actor, "token.create", target=f"token {token.hint}", detail={"name": name, "roles": token.roles})
    return token, plain


def check(actor: Actor, name: str, roles: Collection[str], expires_at: datetime | None) -> None:
    if not name.strip():
        raise TokenInvalid("A token needs a name, so that it can be told apart later.")
    if not roles:
        raise TokenInvalid("A token needs at least one role.")
    if beyond := sorted(set(roles) - actor.roles):
        held = ", ".join(sorted(actor.roles)) or "none"
        raise TokenInvalid(f'You do not hold the role "{beyond[0]}", so a token of yours cannot. You hold: {held}.')
    if expires_at is not None and expires_at <= timezone.now():
        raise TokenInvalid("The token would have expired already. Choose a later end.")


def revoke_token(*, actor: Actor, token_id: int) -> None:
    """End a token at once. Raises NotFound for one that the actor may not manage; twice is once."""
    require(actor, Action.TOKEN_MANAGE)
    mine = Q(user_id=actor.user_id) if narrowed(actor, Action.TOKEN_MANAGE) else Q()
    with transaction.atomic():
        token = ApiToken.objects.select_for_update().filter(mine, pk=token_id, workspace_id=actor.workspace_id).first()
        if token is None:
            raise NotFound("There is no such token here, or you may not manage it.")
        if token.revoked_at is None:
            ApiToken.objects.filter(pk=token.pk).update(revoked_at=timezone.now())
            audit.record(actor, "token.revoke", target=f"token {token.hint}", detail={"name": token.name})


def note_use(token: ApiToken) -> None:
    """Remember that the token was used, at most once a minute."""
    if not is_use_noted(token):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now())


def is_use_noted(token: ApiToken) -> bool:
    """Whether its last use was noted not long ago."""
    stale = timezone.now() - timedelta(seconds=NOTE_EVERY)
    return token.last_used_at is not None and token.last_used_at >= stale
