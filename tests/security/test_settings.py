"""The workspace's settings by service, API and page."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from orchestrator.models import AuditEntry, User, Workspace
from orchestrator.policy import Denied
from orchestrator.services.settings import SettingInvalid, keep_runs_for
from tests.factories import actor_of, make_member

pytestmark = pytest.mark.django_db
API = "/api/v1/w/ours/settings/"


@pytest.fixture
def admin(ours: Workspace, client: Client) -> User:
    person = make_member(ours, "admin", username="admin")
    client.force_login(person)
    return person


def kept(workspace: Workspace) -> int | None:
    workspace.refresh_from_db()
    return workspace.keep_runs_days


def patch(client: Client, body: object) -> Any:
    return client.patch(API, body, "application/json")


def test_a_policy_is_set_changed_and_taken_away(client: Client, admin: User, ours: Workspace) -> None:
    assert reverse("api-settings", args=["ours"]) == API
    assert client.get(API).json() == {"keep_runs_days": None}
    for days in (90, 30, 30, None):
        answer = patch(client, {"keep_runs_days": days})
        assert (answer.status_code, answer.json()) == (200, {"keep_runs_days": days})
        assert client.get(API).json() == {"keep_runs_days": days}
    assert patch(client, {}).json() == {"keep_runs_days": None}
    entries = AuditEntry.objects.order_by("pk").values_list("action", "actor_name", "target", "detail")
    assert list(entries) == [
        ("settings.change", "admin", "workspace ours", {"keep_runs_days": {"before": before, "after": after}})
        for before, after in ((None, 90), (90, 30), (30, None))
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"keep_runs_days": 0}, "keep_runs_days"),
        ({"keep_runs_days": -5}, "keep_runs_days"),
        ({"keep_runs_days": 36_501}, "keep_runs_days"),
        ({"keep_runs_days": 10**30}, "keep_runs_days"),
        ({"keep_runs_days": 1.5}, "keep_runs_days"),
        ({"keep_runs_days": "soon"}, "keep_runs_days"),
        ({"keep_runs_days": [1]}, "keep_runs_days"),
        ({"keep_runs_days": 7, "allowed_hosts": ["db"]}, "allowed_hosts"),
        ([], "body"),
    ],
)
def test_a_bad_body_names_its_field(client: Client, admin: User, ours: Workspace, body: object, field: str) -> None:
    answer = patch(client, body)
    assert answer.status_code == 400
    assert field in answer.json()["details"], answer.json()
    assert kept(ours) is None
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("days", [0, -1, 36_501])
def test_the_service_refuses_an_absurd_number_too(admin: User, ours: Workspace, days: int) -> None:
    with pytest.raises(SettingInvalid, match=f"{days} days"):
        keep_runs_for(actor=actor_of(ours, admin), days=days)
    assert kept(ours) is None


@pytest.mark.parametrize("role", ["viewer", "operator", "approver", "editor"])
def test_only_admins_set_it(client: Client, ours: Workspace, role: str) -> None:
    person = make_member(ours, role)
    client.force_login(person)
    for answer in (
        client.get(API),
        patch(client, {"keep_runs_days": 1}),
        client.post(reverse("keep-runs", args=["ours"]), {"days": "1"}),
    ):
        assert answer.status_code == 403
    with pytest.raises(Denied):
        keep_runs_for(actor=actor_of(ours, person), days=1)
    assert kept(ours) is None
    assert set(AuditEntry.objects.values_list("action", "allowed")) == {("settings.edit", False)}


def test_another_workspace_is_left_alone(client: Client, admin: User, ours: Workspace, theirs: Workspace) -> None:
    patch(client, {"keep_runs_days": 5})
    assert (kept(ours), kept(theirs)) == (5, None)
    assert client.patch(API.replace("ours", theirs.slug), {"keep_runs_days": 1}, "application/json").status_code == 404
    assert kept(theirs) is None
