"""Who belongs to a workspace, and with which roles."""

import re
from collections.abc import Collection

from django.db import IntegrityError, transaction

from orchestrator import audit
from orchestrator.core.errors import BranchlineError, Conflict, NotFound
from orchestrator.models import Membership, User, Workspace
from orchestrator.models.workspace import Role
from orchestrator.policy import Action, Actor, require

GROUP = re.compile(r"[a-z][a-z0-9_-]{0,62}")
MOST_GROUPS = 50


class MemberInvalid(BranchlineError):
    """The wished membership cannot be. Codes: user_unknown, role_unknown, group_invalid."""

    code = "member_invalid"


class LastAdmin(Conflict):
    """Without an admin nobody could let anybody in again."""

    code = "last_admin"


def set_member(*, actor: Actor, username: str, roles: Collection[str], groups: Collection[str] = ()) -> Membership:
    """Add the person to the actor's workspace, or replace the roles and groups they have there.

    Raises MemberInvalid for an unknown person, role or group name, LastAdmin when the last admin would stop being one.
    """
    require(actor, Action.MEMBER_MANAGE, target=f"member {username[:150]}")
    check(roles, groups)
    with transaction.atomic():
        lock(actor)
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise MemberInvalid(
                f'There is no account "{username[:150]}". An administrator of this machine makes one with '
                "`manage.py signin NAME`; then add it here.",
                code="user_unknown",
            )
        if Role.ADMIN not in roles:
            keep_an_admin(actor, without=user.pk)
        member, created = Membership.objects.update_or_create(
            workspace_id=actor.workspace_id,
            user=user,
            defaults={"roles": sorted(set(roles)), "groups": sorted(set(groups))},
        )
        detail = {"roles": member.roles, "groups": member.groups}
        audit.record(actor, "member.add" if created else "member.change", target=f"member {username}", detail=detail)
    return member


def remove_member(*, actor: Actor, username: str) -> None:
    """Take the person out of the actor's workspace; their tokens for it open nothing from then on.

    Raises NotFound for somebody who is no member, LastAdmin for the last admin.
    """
    require(actor, Action.MEMBER_MANAGE, target=f"member {username[:150]}")
    with transaction.atomic():
        lock(actor)
        member = Membership.objects.filter(workspace_id=actor.workspace_id, user__username=username).first()
        if member is None:
            raise NotFound("There is no such member here.")
        keep_an_admin(actor, without=member.user_id)
        member.delete()
        audit.record(actor, "member.remove", target=f"member {username}")


def create_workspace(*, slug: str, name: str, admin: User) -> Workspace:
    """Make a workspace with its first admin, for the machine's administrator. Raises Conflict for a taken slug."""
    try:
        with transaction.atomic():
            workspace = Workspace.objects.create(slug=slug, name=name)
            Membership.objects.create(workspace=workspace, user=admin, roles=[Role.ADMIN])
            audit.record(
                machine_actor(workspace),
                "workspace.create",
                target=f"workspace {slug}",
                detail={"admin": admin.username},
            )
    except IntegrityError as error:
        raise Conflict(f'There is a workspace "{slug}" already. Choose another slug.', code="slug_taken") from error
    return workspace


def machine_actor(workspace: Workspace) -> Actor:
    """The machine's administrator, who holds every role: for management commands."""
    return Actor(
        user_id=None,
        username="",
        label="administrator",
        workspace_id=workspace.pk,
        workspace_slug=workspace.slug,
        roles=frozenset(str(role) for role in Role),
        via="command",
    )


def check(roles: Collection[str], groups: Collection[str]) -> None:
    known = [str(role) for role in Role]
    if strange := sorted(set(roles) - set(known)):
        raise MemberInvalid(f'There is no role "{strange[0][:40]}". Roles: {", ".join(known)}.', code="role_unknown")
    wrong = [group for group in groups if not GROUP.fullmatch(group)]
    if wrong or len(groups) > MOST_GROUPS:
        raise MemberInvalid(
            f'"{wrong[0][:80] if wrong else len(groups)}" is no group we can keep. A group starts with a letter and '
            f"has up to 63 of a-z, 0-9, - and _; a person is in at most {MOST_GROUPS}.",
            code="group_invalid",
        )


def lock(actor: Actor) -> None:
    """One change of members at a time, so that two admins cannot remove each other at once."""
    Workspace.objects.select_for_update().get(pk=actor.workspace_id)


def keep_an_admin(actor: Actor, *, without: int) -> None:
    admins = Membership.objects.with_role(Role.ADMIN).filter(workspace_id=actor.workspace_id)
    if admins.filter(user_id=without).exists() and not admins.exclude(user_id=without).exists():
        raise LastAdmin("This is the workspace's last admin. Make somebody else an admin first.")
