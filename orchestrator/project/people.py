"""Accounts and workspaces as the administrator of the machine names them on the command line."""

from collections.abc import Collection

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction

from orchestrator.core.actor import Actor
from orchestrator.models import Membership, User, Workspace
from orchestrator.models.workspace import Role
from orchestrator.queries.actors import actor_in
from orchestrator.services.members import lock, machine_actor, set_member


def account(username: str) -> User:
    """The active account of that name, made without a password where it is missing. Raises CommandError."""
    wanted = User(username=username)
    try:
        wanted.clean_fields(exclude=["password"])
    except ValidationError as error:
        raise CommandError(f'"{username}" cannot be a user name: {" ".join(error.messages)}') from error
    # Not "look, then make": a command that runs beside this one may make the same account.
    user, _made = User.objects.get_or_create(username=username, defaults={"password": make_password(None)})
    if not user.is_active:
        raise CommandError(f'The account "{username}" is closed.')
    return user


def workspace_named(slug: str) -> Workspace:
    """The workspace. Raises CommandError naming those that exist."""
    workspace = Workspace.objects.filter(slug=slug).first()
    if workspace is None:
        known = ", ".join(Workspace.objects.order_by("slug").values_list("slug", flat=True)[:20]) or "none yet"
        raise CommandError(f'There is no workspace "{slug}". There are: {known}.')
    return workspace


@transaction.atomic
def member_with(workspace: Workspace, username: str, roles: Collection[str]) -> Actor:
    """The person as a member who holds at least these roles; what was missing is added, nothing taken away."""
    known = [str(role) for role in Role]
    if strange := sorted(set(roles) - set(known)):
        raise CommandError(f'There is no role "{strange[0]}". Roles: {", ".join(known)}.')
    user = account(username)
    machine = machine_actor(workspace)
    lock(machine)  # else the roles that a command beside this one adds meanwhile would be taken away
    member = Membership.objects.filter(workspace=workspace, user=user).first()
    held, groups = (set(member.roles), member.groups) if member else (set(), [])
    if member is None or not held.issuperset(roles):
        wanted = held.union(roles)
        set_member(actor=machine, username=username, roles=wanted, groups=groups)
    actor = actor_in(workspace.slug, user)
    if actor is None:
        raise CommandError(f'"{username}" is no member of "{workspace.slug}".')
    return actor
