"""Commands called beside each other, or beside the first start: one makes what is missing, the other finds it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction

from orchestrator.models import Membership, SigninLink, User, Workspace
from orchestrator.project import samples
from orchestrator.project.people import account, member_with
from orchestrator.services.members import create_workspace
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def beside(command: Callable[[], object]) -> Iterator[None]:
    """What the block writes is not committed before the command, in its own thread, waits for it."""
    raised: list[BaseException] = []

    def work() -> None:
        try:
            command()
        except BaseException as error:
            raised.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    with transaction.atomic():
        yield
        thread.start()
        wait_until(lambda: raised or is_somebody_waiting(), 20, "the command to wait for the other")
    thread.join(20)
    assert raised == []


def is_somebody_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_locks WHERE NOT granted LIMIT 1")
        return cursor.fetchone() is not None


def token(*arguments: str) -> Callable[[], str]:
    out = StringIO()

    def called() -> str:
        call_command("token", "--workspace", "demo", *arguments, stdout=out)
        return out.getvalue()

    return called


def signin() -> None:
    call_command("signin", "--user", "admin", stdout=StringIO())


@pytest.mark.parametrize("command", [token("--user", "admin", "--roles", "editor"), signin])
def test_beside_the_first_start_the_samples_are_loaded_once(command: Callable[[], object]) -> None:
    with beside(command):
        samples.load_when_wanted()
    assert list(Workspace.objects.values_list("slug", flat=True)) == [samples.WORKSPACE]
    assert list(User.objects.values_list("username", flat=True)) == [samples.ADMINISTRATOR]


@pytest.fixture
def demo() -> Workspace:
    return create_workspace(slug="demo", name="Demo", admin=User.objects.create(username="owner"))


def test_two_commands_make_one_account(demo: Workspace) -> None:
    with beside(signin):
        account("admin")
    assert SigninLink.objects.get().user == User.objects.get(username="admin")


def test_two_commands_add_their_roles_to_each_other(demo: Workspace) -> None:
    account("alice")
    with beside(token("--user", "alice", "--roles", "viewer")):
        member_with(demo, "alice", ["editor"])
    assert Membership.objects.get(user__username="alice").roles == ["editor", "viewer"]
