"""The cast of every test: people, workspaces, members, tokens. Made by the services where there is one."""

import itertools
from collections.abc import Iterable, Mapping

from orchestrator.core.actor import Actor
from orchestrator.models import Membership, User, Workspace
from orchestrator.models.workspace import Role
from orchestrator.queries.actors import actor_in
from orchestrator.services.tokens import create_token

PASSWORD = "correct horse battery staple"
ROLES = tuple(str(role) for role in Role)

numbers = itertools.count(1)


def make_user(username: str = "", *, password: str = "", **fields: object) -> User:
    """A person with an account; without a password they can only be signed in by force or link."""
    user = User(username=username or f"user{next(numbers)}", **fields)
    if password:
        user.set_password(password)
    else:
        user.set_unusable_password()
    user.save()
    return user


def make_workspace(slug: str = "", name: str = "") -> Workspace:
    """An empty workspace."""
    slug = slug or f"workspace{next(numbers)}"
    return Workspace.objects.create(slug=slug, name=name or slug.capitalize())


def make_member(
    workspace: Workspace,
    *roles: str,
    user: User | None = None,
    username: str = "",
    groups: Iterable[str] = (),
) -> User:
    """A person (new unless given) with these roles in the workspace."""
    person = user or make_user(username)
    Membership.objects.create(workspace=workspace, user=person, roles=list(roles), groups=list(groups))
    return person


def actor_of(workspace: Workspace, user: User) -> Actor:
    """The member as an actor, as they stand now."""
    actor = actor_in(workspace.slug, user)
    assert actor is not None, f"{user} is no member of {workspace}"
    return actor


def bearer(workspace: Workspace, user: User, roles: Iterable[str] | None = None) -> dict[str, str]:
    """Headers of a request by a new token of the member (all of their roles unless given)."""
    actor = actor_of(workspace, user)
    _, plain = create_token(actor=actor, name="test", roles=sorted(actor.roles if roles is None else roles))
    return {"Authorization": f"Bearer {plain}"}


def five_roles(workspace: Workspace) -> Mapping[str, User]:
    """One member for each role, named "{slug}-{role}"."""
    return {role: make_member(workspace, role, username=f"{workspace.slug}-{role}") for role in ROLES}
