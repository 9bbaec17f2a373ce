"""Sockets as browsers and programs open them, against the real database and a real Valkey."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from channels.db import database_sync_to_async
from django.conf import settings
from django.test import Client

from orchestrator.engine import announcements
from orchestrator.models import Run, User, Workspace
from tests.factories import bearer, make_member, make_workspace
from tests.run_factories import drawn, make_run, make_version, make_workflow
from tests.sockets.live import Live

HERE = {"host": "testserver", "origin": "http://testserver"}
Opener = Callable[[Workspace, dict[str, str]], Awaitable[Live]]


def sign_in(user: User) -> dict[str, str]:
    """Handshake headers of a browser in which the user is signed in."""
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    return {**HERE, "cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"}


def with_token(workspace: Workspace, user: User) -> dict[str, str]:
    """Handshake headers of a program with a token of the user."""
    return {**HERE, **{name.lower(): value for name, value in bearer(workspace, user).items()}}


@pytest_asyncio.fixture
async def connect(valkey: str) -> AsyncIterator[Opener]:
    """Opens sockets of a workspace; they are closed after the test."""
    opened: list[Live] = []

    async def opener(workspace: Workspace, headers: dict[str, str]) -> Live:
        live = Live(f"/ws/w/{workspace.slug}/", headers)
        opened.append(live)
        assert await live.open() is None
        return live

    yield opener
    for live in opened:
        await live.leave()


@pytest.fixture
def workspace(transactional_db: None) -> Workspace:
    return make_workspace("acme")


@pytest.fixture
def viewer(workspace: Workspace) -> User:
    return make_member(workspace, "viewer", username="vera")


@pytest.fixture
def run(workspace: Workspace) -> Run:
    """A run of a -> b -> c that nobody works on."""
    return make_run(make_version(make_workflow(workspace), drawn("a -> b", "b -> c")))


def write(function: Callable[..., Any], *arguments: Any, **named: Any) -> Awaitable[Any]:
    """Call a factory from a test that is a coroutine."""
    found: Awaitable[Any] = database_sync_to_async(function)(*arguments, **named)
    return found


async def announce(run: Run, *, tasks: bool = False) -> None:
    """Say what a worker says after a commit."""
    assert announcements.tell(run.workspace_id, [run.pk], tasks=tasks)
