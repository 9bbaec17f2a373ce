"""Who may open a socket, and for how long."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import override_settings
from django.utils import timezone

from orchestrator.models import ApiToken, Membership, Run, User, Workspace
from tests.factories import make_member, make_user
from tests.run_factories import make_token
from tests.sockets.conftest import HERE, Opener, announce, sign_in, with_token, write
from tests.sockets.live import Live

ACME = "/ws/w/acme/"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "null",
        None,  # no browser leaves it out
        "",
        "https://testserver",  # another scheme
        "http://testserver:81",  # another port
        "http://testserver.evil.test",
        "http://sub.testserver",
        "http://testserver/",  # not how browsers write it
        "http://testserver@evil.test",
        "testserver",
        "http://[",
        "http://tëstserver",
    ],
)
async def test_it_refuses_other_origins(workspace: Workspace, viewer: User, origin: str | None) -> None:
    headers = await write(sign_in, viewer)
    headers.pop("origin")
    live = Live(ACME, headers if origin is None else {**headers, "origin": origin})
    assert await live.open() == 4403
    await live.leave()


async def test_it_refuses_hosts_that_are_not_ours(workspace: Workspace, viewer: User) -> None:
    """A name that an attacker points at us makes Origin and Host agree; ALLOWED_HOSTS does not know it."""
    headers = await write(sign_in, viewer)
    live = Live(ACME, {**headers, "host": "rebound.test", "origin": "http://rebound.test"})
    assert await live.open() == 4403
    await live.leave()


@pytest.mark.parametrize(
    ("scheme", "origin", "trusted", "code"),
    [
        ("ws", "http://testserver", [], None),
        ("wss", "https://testserver", [], None),
        ("wss", "http://testserver", [], 4403),
        ("ws", "https://flow.example", ["https://flow.example"], None),  # behind a proxy that ends TLS
        ("ws", "http://testserver", ["https://flow.example"], 4403),  # the site has one address
    ],
)
async def test_it_admits_its_own_address(
    workspace: Workspace, viewer: User, valkey: str, scheme: str, origin: str, trusted: list[str], code: int | None
) -> None:
    headers = await write(sign_in, viewer)
    live = Live(ACME, {**headers, "origin": origin}, scheme=scheme)
    with override_settings(CSRF_TRUSTED_ORIGINS=trusted):
        assert await live.open() == code
    await live.leave()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cookie": "session=nonsense"},
        {"cookie": "\u00ff;;==;session"},
        {"authorization": "Bearer brl_unknown"},
        {"authorization": "Bearer " + "x" * 5_000},
        {"authorization": "Basic YTpi"},
    ],
)
async def test_it_refuses_strangers(workspace: Workspace, headers: dict[str, str]) -> None:
    live = Live(ACME, {**HERE, **headers})
    assert await live.open() == 4401
    await live.leave()


async def test_a_bad_token_is_not_saved_by_a_good_session(workspace: Workspace, viewer: User) -> None:
    live = Live(ACME, {**await write(sign_in, viewer), "authorization": "Bearer brl_unknown"})
    assert await live.open() == 4401
    await live.leave()


async def test_a_token_in_the_address_opens_nothing(workspace: Workspace, viewer: User) -> None:
    token = (await write(with_token, workspace, viewer))["authorization"].removeprefix("Bearer ")
    live = Live(f"{ACME}?token={token}&access_token={token}", HERE)
    assert await live.open() == 4401
    await live.leave()


@pytest.mark.parametrize("path", [ACME, "/ws/w/nowhere/", "/ws/w/../", "/ws/", "/", "/ws/w/acme/more/"])
async def test_others_see_no_difference_between_foreign_and_absent(workspace: Workspace, path: str) -> None:
    stranger = await write(make_user)
    live = Live(path, await write(sign_in, stranger))
    assert await live.open() == 4403
    await live.leave()


async def test_a_member_without_any_role_is_refused(workspace: Workspace) -> None:
    live = Live(ACME, await write(sign_in, await write(make_member, workspace)))
    assert await live.open() == 4403
    await live.leave()


def lose_membership(user: User) -> None:
    Membership.objects.filter(user=user).delete()


def lose_roles(user: User) -> None:
    Membership.objects.filter(user=user).update(roles=[])


def sign_out(user: User) -> None:
    Session.objects.all().delete()


def change_password(user: User) -> None:
    user.set_password("a new and better one")
    user.save()


def be_disabled(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def revoke_token(user: User) -> None:
    ApiToken.objects.filter(user=user).update(revoked_at=timezone.now())


def delete_token(user: User) -> None:
    ApiToken.objects.filter(user=user).delete()


@pytest.mark.parametrize("busy", [True, False], ids=["while frames flow", "in silence"])
@pytest.mark.parametrize(
    ("enter", "lose", "code"),
    [
        ("session", lose_membership, 4403),
        ("session", lose_roles, 4403),
        ("session", sign_out, 4401),
        ("session", change_password, 4401),
        ("session", be_disabled, 4401),
        ("token", revoke_token, 4401),
        ("token", delete_token, 4401),
        ("token", lose_roles, 4403),
    ],
)
async def test_who_loses_the_right_loses_the_socket(
    connect: Opener, viewer: User, run: Run, enter: str, lose: Callable[[User], None], code: int, busy: bool
) -> None:
    workspace = run.workspace
    headers = await write(sign_in, viewer) if enter == "session" else await write(with_token, workspace, viewer)
    live = await connect(workspace, headers)
    await live.say(watch="run", id=str(run.pk))
    await live.hear()
    await write(lose, viewer)
    if busy:
        await write(make_token, run, "a", state="L")
        await announce(run)
    # The very next thing is the end: no frame in between, and within the promised five seconds.
    message: Any = await asyncio.wait_for(live.next_message(), timeout=5)
    assert message == {"type": "websocket.close", "code": code}


async def test_a_lesser_role_goes_on_with_what_it_may(
    connect: Opener, workspace: Workspace, viewer: User, run: Run
) -> None:
    editor = await write(make_member, workspace, "editor", "viewer", username="ed")
    live = await connect(workspace, await write(sign_in, editor))
    await write(Membership.objects.filter(user=editor).update, roles=["viewer"])
    await live.say(watch="run", id=str(run.pk))
    await live.hear()
    await live.say(watch="tasks")
    assert await live.code_of_error() == "forbidden"
