"""What the administrator of the machine does beside the pages: tokens and sign-in links."""

import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from orchestrator.models import ApiToken, Membership, SigninLink, User, Workspace
from orchestrator.queries.actors import actor_in, find_token
from orchestrator.services.members import create_workspace
from tests.project.up_process import manage


@pytest.fixture
def demo(db: None) -> Workspace:
    return create_workspace(slug="demo", name="Demo", admin=User.objects.create(username="owner"))


def token(*roles: str, workspace: str = "demo", user: str = "alice") -> None:
    call_command("token", "--workspace", workspace, "--user", user, "--roles", *roles)


def test_token_prints_one_token_and_nothing_else(demo: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    token("editor", "operator")
    printed = capsys.readouterr()
    assert re.fullmatch(r"brl_[\w-]{43}\n", printed.out)
    found = find_token(printed.out.strip())
    assert found is not None
    actor = actor_in("demo", found.user, token=found)
    assert actor is not None
    assert (actor.username, sorted(actor.roles)) == ("alice", ["editor", "operator"])
    assert not found.user.has_usable_password()


def test_token_adds_roles_and_takes_none_away(demo: Workspace) -> None:
    token("viewer")
    token("editor")
    token("viewer")
    assert Membership.objects.get(user__username="alice").roles == ["editor", "viewer"]
    assert [made.roles for made in ApiToken.objects.order_by("pk")] == [["viewer"], ["editor"], ["viewer"]]


def test_token_names_the_workspaces_there_are(demo: Workspace) -> None:
    with pytest.raises(CommandError, match=r'There is no workspace "dem"\. There are: demo'):
        token("viewer", workspace="dem")
    assert not User.objects.filter(username="alice").exists()


@pytest.mark.parametrize("name", ["a b", "", "x" * 151, "nul\0"])
def test_token_refuses_a_name_that_is_none(demo: Workspace, name: str) -> None:
    with pytest.raises(CommandError):
        token("viewer", user=name)
    assert list(User.objects.values_list("username", flat=True)) == ["owner"]


def test_token_refuses_a_closed_account(demo: Workspace) -> None:
    User.objects.create(username="alice", is_active=False)
    with pytest.raises(CommandError, match="is closed"):
        token("viewer")


def test_signin_prints_a_link(demo: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("signin", "--user", "bob")
    assert re.fullmatch(r"http://[^/]+/signin/link/[\w-]{43}/\n", capsys.readouterr().out)
    assert SigninLink.objects.get().user.username == "bob"


def test_they_start_the_servers_where_none_run(folder: Path) -> None:
    alone = manage(folder, "token", "--workspace", "demo", "--user", "alice", "--roles", "viewer")
    assert re.fullmatch(r"brl_[\w-]{43}\n", alone.stdout), alone.stderr
    assert alone.stderr == ""
