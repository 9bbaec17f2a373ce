"""Members by service and API: last admin, foreign people, mass assignment, races."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from orchestrator.models import AuditEntry, Membership, User, Workspace
from orchestrator.policy import Denied
from orchestrator.services.members import LastAdmin, MemberInvalid, create_workspace, remove_member, set_member
from tests.factories import actor_of, make_member, make_user, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(ours: Workspace, client: Client) -> User:
    person = make_member(ours, "admin", username="admin")
    client.force_login(person)
    return person


def send(client: Client, method: str, path: str, body: object) -> Any:
    return getattr(client, method)(path, body, "application/json")


def test_adding_changing_and_removing_is_recorded(client: Client, admin: User, ours: Workspace) -> None:
    make_user("bob")
    path = reverse("api-members", args=["ours"])
    made = send(client, "post", path, {"username": "bob", "roles": ["viewer"], "groups": ["managers"]})
    assert made.status_code == 201
    assert made.json() | {"created_at": ""} == {
        "username": "bob",
        "name": "bob",
        "roles": ["viewer"],
        "groups": ["managers"],
        "active": True,
        "created_at": "",
    }
    one = reverse("api-member", args=["ours", "bob"])
    assert send(client, "patch", one, {"roles": ["operator"]}).json()["groups"] == ["managers"]
    assert client.delete(one).status_code == 204
    assert client.get(one).status_code == 404
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", "actor_name", "target"))
    assert actions == [(f"member.{what}", "admin", "member bob") for what in ("add", "change", "remove")]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"username": "bob"}, "invalid", "roles"),
        ({"roles": ["viewer"]}, "invalid", "username"),
        ({"username": "bob", "roles": "viewer"}, "invalid", "roles"),
        ({"username": "bob", "roles": ["root"]}, "invalid", "roles.0"),
        ({"username": "bob", "roles": [["viewer"]]}, "invalid", "roles.0"),
        ({"username": ["bob"], "roles": []}, "invalid", "username"),
        ({"username": "b" * 151, "roles": []}, "invalid", "username"),
        ({"username": "bob", "roles": [], "groups": ["x" * 64]}, "invalid", "groups.0"),
        ({"username": "bob", "roles": [], "is_superuser": True}, "unknown_field", "is_superuser"),
        ({"username": "bob", "roles": [], "user": 1, "workspace": 2}, "unknown_field", "user"),
        ({"username": "bob", "roles": [], "created_at": "2020-01-01"}, "unknown_field", "created_at"),
        ([], "invalid", "body"),
        ('"bob"', "invalid", "body"),
        ("null", "invalid", "body"),
    ],
)
def test_a_bad_body_names_its_field(client: Client, admin: User, body: object, code: str, field: str) -> None:
    make_user("bob")
    response = send(client, "post", reverse("api-members", args=["ours"]), body)
    assert response.status_code == 400
    assert response.json()["code"] == code
    assert field in response.json()["details"], response.json()
    assert Membership.objects.count() == 1


@pytest.mark.parametrize(
    ("username", "roles", "groups", "code"),
    [
        ("nobody", ["viewer"], [], "user_unknown"),
        ("closed", ["viewer"], [], "user_unknown"),
        ("bob", ["root"], [], "role_unknown"),
        ("bob", ["viewer"], ["Managers!"], "group_invalid"),
        ("bob", ["viewer"], ["x"] * 51, "group_invalid"),
    ],
)
def test_what_cannot_be_is_named(
    admin: User, ours: Workspace, username: str, roles: list[str], groups: list[str], code: str
) -> None:
    make_user("bob")
    make_user("closed", is_active=False)
    with pytest.raises(MemberInvalid) as caught:
        set_member(actor=actor_of(ours, admin), username=username, roles=roles, groups=groups)
    assert caught.value.error_code == code


def test_the_last_admin_stays(client: Client, admin: User, ours: Workspace) -> None:
    make_member(ours, "admin", user=make_user("closed", is_active=False))
    one = reverse("api-member", args=["ours", "admin"])
    for response in (client.delete(one), send(client, "patch", one, {"roles": ["viewer"]})):
        assert response.status_code == 409
        assert response.json()["code"] == "last_admin"
    assert Membership.objects.get(user=admin).roles == ["admin"]


@pytest.mark.django_db(transaction=True)
def test_two_admins_cannot_remove_each_other_at_once() -> None:
    ours = make_workspace("ours")
    pair = [make_member(ours, "admin", username=name) for name in ("anna", "bert")]
    actors = [actor_of(ours, person) for person in pair]
    barrier = threading.Barrier(2)
    refused: list[LastAdmin] = []

    def remove(number: int) -> None:
        barrier.wait(timeout=10)
        try:
            remove_member(actor=actors[number], username=pair[1 - number].username)
        except LastAdmin as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=remove, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(refused) == 1
    assert Membership.objects.count() == 1


def test_people_of_another_workspace_are_as_absent_as_nobody(client: Client, admin: User, theirs: Workspace) -> None:
    make_member(theirs, "viewer", username="carol")
    answers = set()
    for name in ("carol", "nobody"):
        one = reverse("api-member", args=["ours", name])
        for response in (client.get(one), client.delete(one), send(client, "patch", one, {"roles": ["admin"]})):
            assert response.status_code == 404
            answers.add((response.request["REQUEST_METHOD"], response.content))
    assert len(answers) == 3
    assert Membership.objects.get(user__username="carol").roles == ["viewer"]


def test_an_actor_who_lost_the_role_is_refused_by_the_service_too(ours: Workspace) -> None:
    viewer = make_member(ours, "viewer")
    with pytest.raises(Denied):
        set_member(actor=actor_of(ours, viewer), username=viewer.username, roles=["admin"])
    assert Membership.objects.get(user=viewer).roles == ["viewer"]
    assert AuditEntry.objects.filter(action="member.manage", allowed=False).count() == 1


def test_a_workspace_is_made_with_its_admin() -> None:
    boss = make_user("boss")
    workspace = create_workspace(slug="new", name="New", admin=boss)
    assert actor_of(workspace, boss).roles == {"admin"}
    assert AuditEntry.objects.get().via == "command"


def test_editors_read_their_own_part_of_the_trail(client: Client, admin: User, ours: Workspace) -> None:
    editor = make_member(ours, "editor", username="editor")
    set_member(actor=actor_of(ours, admin), username="editor", roles=["editor"], groups=["g"])
    client.force_login(editor)
    client.get(reverse("members", args=["ours"]))
    entries = client.get(reverse("api-audit", args=["ours"])).json()["items"]
    assert [(entry["actor"], entry["action"], entry["allowed"]) for entry in entries] == [
        ("editor", "member.manage", False)
    ]


def test_the_trail_holds_no_row_of_others(client: Client, admin: User, theirs: Workspace) -> None:
    boss = make_member(theirs, "admin", username="boss")
    set_member(actor=actor_of(theirs, boss), username="boss", roles=["admin"], groups=["marker"])
    assert client.get(reverse("api-audit", args=["ours"])).json()["items"] == []
    assert b"marker" not in client.get(reverse("audit", args=["ours"])).content
