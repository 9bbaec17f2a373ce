"""Bearer tokens: what they open, what they never open, and that losing anything counts at the next request."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orchestrator.models import ApiToken, AuditEntry, Membership, User, Workspace
from orchestrator.queries.actors import actor_in, present_actor
from orchestrator.services.tokens import TokenInvalid, create_token, revoke_token
from tests.factories import ROLES, actor_of, bearer, make_member
from tests.security.conftest import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(ours: Workspace) -> User:
    return make_member(ours, "admin", "editor", username="alice")


def members(client: Client, slug: str, headers: dict[str, str]) -> int:
    return client.get(reverse("api-members", args=[slug]), headers=headers).status_code


def test_a_token_opens_its_workspace(client: Client, alice: User, ours: Workspace) -> None:
    headers = bearer(ours, alice)
    assert members(client, "ours", headers) == 200
    token = ApiToken.objects.get()
    assert token.last_used_at is not None
    assert bytes(token.digest) not in headers["Authorization"].encode()


def test_a_token_opens_no_other_workspace_of_its_owner(
    client: Client, alice: User, ours: Workspace, theirs: Workspace
) -> None:
    make_member(theirs, "admin", user=alice)
    headers = bearer(ours, alice)
    assert members(client, "theirs", headers) == 404


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "bearer brl_unknown",
        "Bearer brl_" + "a" * 43,
        "Bearer " + "a" * 100_000,
        "Bearer \u00ff\u00fe",
        "Bearer null",
        "Bearer brl_a b",
        "Bearer\tbrl_a",
    ],
)
def test_a_bad_token_is_refused_even_beside_a_session(alice: User, ours: Workspace, value: str) -> None:
    client = signed_in(alice)
    response = client.get(reverse("api-members", args=["ours"]), headers={"Authorization": value})
    assert response.status_code in {200, 401}
    if value.lower().startswith("bearer ") or value == "Bearer":
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == 'Bearer realm="branchline"'
        assert response.json()["code"] == "unauthenticated"


def test_no_credentials_are_refused_with_the_way_to_give_them(client: Client, ours: Workspace) -> None:
    response = client.get(reverse("api-members", args=["ours"]))
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


def revoked(token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk).update(revoked_at=timezone.now())


def expired(token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())


def owner_closed(token: ApiToken) -> None:
    User.objects.filter(pk=token.user_id).update(is_active=False)


def owner_removed(token: ApiToken) -> None:
    Membership.objects.filter(user_id=token.user_id).delete()


def role_lost(token: ApiToken) -> None:
    Membership.objects.filter(user_id=token.user_id).update(roles=["editor"])


@pytest.mark.parametrize(
    ("loss", "status"),
    [(revoked, 401), (expired, 401), (owner_closed, 401), (owner_removed, 404), (role_lost, 403)],
)
def test_a_loss_counts_at_the_next_request(
    client: Client, alice: User, ours: Workspace, loss: Callable[[ApiToken], None], status: int
) -> None:
    headers = bearer(ours, alice)
    assert members(client, "ours", headers) == 200
    loss(ApiToken.objects.get())
    assert members(client, "ours", headers) == status


@pytest.mark.parametrize("loss", [revoked, expired, owner_closed, owner_removed])
def test_a_live_socket_hears_of_the_loss_when_it_asks_again(
    alice: User, ours: Workspace, loss: Callable[[ApiToken], None]
) -> None:
    bearer(ours, alice)
    token = ApiToken.objects.get()
    actor = actor_in("ours", alice, token=token)
    assert actor is not None
    assert present_actor(actor) == actor
    loss(token)
    assert present_actor(actor) is None


def test_a_role_gained_later_is_not_the_token_s(client: Client, ours: Workspace) -> None:
    bob = make_member(ours, "viewer", username="bob")
    headers = bearer(ours, bob)
    Membership.objects.filter(user=bob).update(roles=list(ROLES))
    assert members(client, "ours", headers) == 403


def test_a_token_makes_no_token_beyond_itself(client: Client, alice: User, ours: Workspace) -> None:
    headers = bearer(ours, alice, ["editor"])
    path = reverse("api-tokens", args=["ours"])
    answer = client.post(path, {"name": "more", "roles": ["admin"]}, "application/json", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["code"] == "token_invalid"
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "roles", "ends_in"),
    [
        (" ", ["admin"], None),  # nothing to tell it apart by
        ("t", [], None),  # opens nothing
        ("t", ["operator"], None),  # not the owner's role
        ("t", ["root"], None),  # nobody's role
        ("t", ["admin"], timedelta(seconds=-1)),  # past
    ],
)
def test_a_token_that_cannot_be_is_refused(
    alice: User, ours: Workspace, name: str, roles: list[str], ends_in: timedelta | None
) -> None:
    end = timezone.now() + ends_in if ends_in else None
    with pytest.raises(TokenInvalid):
        create_token(actor=actor_of(ours, alice), name=name, roles=roles, expires_at=end)


def test_the_value_is_in_one_answer_and_nowhere_else(client: Client, alice: User, ours: Workspace) -> None:
    client.force_login(alice)
    path = reverse("api-tokens", args=["ours"])
    made = client.post(path, {"name": "t", "roles": ["editor"]}, "application/json")
    assert made["Cache-Control"] == "no-store"
    plain = made.json()["token"]
    again = client.get(path).content + client.get(f"{path}{made.json()['id']}/").content
    assert plain.encode() not in again
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t::text FROM orchestrator_apitoken t UNION ALL SELECT a::text FROM orchestrator_auditentry a"
        )
        rows = " ".join(row for (row,) in cursor.fetchall())
    assert plain not in rows
    assert plain.encode().hex() not in rows


def test_people_see_their_own_tokens_and_admins_all(client: Client, alice: User, ours: Workspace) -> None:
    bob = make_member(ours, "viewer", username="bob")
    bearer(ours, alice)
    bearer(ours, bob)
    path = reverse("api-tokens", args=["ours"])
    client.force_login(bob)
    assert [token["username"] for token in client.get(path).json()["items"]] == ["bob"]
    client.force_login(alice)
    assert {token["username"] for token in client.get(path).json()["items"]} == {"alice", "bob"}


def test_a_foreign_token_is_as_absent_as_none(client: Client, alice: User, ours: Workspace, theirs: Workspace) -> None:
    bob = make_member(ours, "viewer", username="bob")
    carol = make_member(theirs, "admin", username="carol")
    bearer(ours, alice)
    of_alice = ApiToken.objects.get(user=alice).pk
    bearer(theirs, carol)
    of_carol = ApiToken.objects.get(user=carol).pk
    client.force_login(bob)
    answers = []
    for number in (of_alice, of_carol, 2**40):
        path = reverse("api-token", args=["ours", number])
        for method in (client.get, client.delete):
            response = method(path)
            answers.append((method.__name__, response.status_code, response.json()))
    assert all(status == 404 for _, status, _ in answers)
    assert len({(name, str(body)) for name, _, body in answers}) == 2
    assert not ApiToken.objects.exclude(revoked_at=None).exists()


def test_revoking_is_recorded_once(alice: User, ours: Workspace) -> None:
    bearer(ours, alice)
    actor = actor_of(ours, alice)
    for _ in range(2):
        revoke_token(actor=actor, token_id=ApiToken.objects.get().pk)
    assert AuditEntry.objects.filter(action="token.revoke").count() == 1
