"""Two workspaces with one member for each role, and the clients they use."""

import pytest
from django.core.cache import cache
from django.test import Client

from orchestrator.models import User, Workspace
from tests.factories import five_roles, make_member, make_workspace


@pytest.fixture
def ours(db: None) -> Workspace:
    return make_workspace("ours")


@pytest.fixture
def theirs(db: None) -> Workspace:
    return make_workspace("theirs")


@pytest.fixture
def people(ours: Workspace) -> dict[str, User]:
    """A member for each role, and one without any ("none")."""
    return {**five_roles(ours), "none": make_member(ours, username="ours-none")}


@pytest.fixture
def stranger(theirs: Workspace) -> User:
    """An admin of the other workspace."""
    return make_member(theirs, "admin", username="stranger")


@pytest.fixture
def fresh_cache(running_servers: None) -> None:
    cache.clear()


def signed_in(user: User, *, csrf: bool = False) -> Client:
    """A browser of the user. With `csrf` it checks tokens as a real server does."""
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client
