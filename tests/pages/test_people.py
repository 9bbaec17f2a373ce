"""The pages around people: front door, account, members, tokens, audit trail."""

import re
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from orchestrator.models import ApiToken, Membership, User, Workspace
from tests.factories import PASSWORD, actor_of, bearer, make_member, make_user, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo(db: None) -> Workspace:
    return make_workspace("demo", "Demo payments")


@pytest.fixture
def admin(demo: Workspace, client: Client) -> User:
    person = make_member(demo, "admin", "editor", user=make_user("maren", first_name="Maren", last_name="Aldag"))
    client.force_login(person)
    return person


def text(response: object) -> str:
    return response.content.decode()  # type: ignore[attr-defined, no-any-return]


def test_the_door_sends_strangers_to_sign_in_and_back(client: Client, demo: Workspace) -> None:
    assert client.get("/")["Location"] == "/signin/"
    make_member(demo, "admin", user=make_user("maren", password=PASSWORD))
    sent = client.get("/w/demo/members/?edit=x")["Location"]
    assert sent == "/signin/?next=%2Fw%2Fdemo%2Fmembers%2F%3Fedit%3Dx"
    form = text(client.get(sent))
    wished = re.search(r'name="next" value="([^"]+)"', form)
    assert wished
    answer = client.post("/signin/", {"username": "maren", "password": PASSWORD, "next": wished[1]})
    assert answer["Location"] == "/w/demo/members/?edit=x"


def test_the_door_leads_to_the_first_workspace(client: Client, admin: User) -> None:
    make_member(make_workspace("zoo", "Zoo"), "viewer", user=admin)
    assert client.get("/")["Location"] == "/w/demo/"


def test_without_a_workspace_the_door_says_what_to_do(client: Client) -> None:
    client.force_login(make_user("alone"))
    page = text(client.get("/"))
    assert "You belong to no workspace yet" in page
    assert "alone" in page


def test_a_fragment_s_request_moves_the_window_to_sign_in(client: Client, demo: Workspace) -> None:
    response = client.get("/w/demo/members/", headers={"HX-Request": "true"})
    assert (response.status_code, response["HX-Redirect"]) == (401, "/signin/")


def test_pages_are_not_kept_by_caches(client: Client, admin: User) -> None:
    assert "no-store" in client.get("/w/demo/members/")["Cache-Control"]


def test_the_switcher_lists_own_workspaces_only(client: Client, admin: User) -> None:
    make_member(make_workspace("zoo", "Zoo"), "viewer", user=admin)
    make_workspace("hidden", "Hidden marker")
    page = text(client.get("/w/demo/members/"))
    assert 'href="/w/zoo/"' in page
    assert "Hidden marker" not in page


@pytest.mark.parametrize(
    ("roles", "shown", "hidden"),
    [
        (["admin"], ["members", "tokens", "audit", "workflows", "runs", "inbox"], []),
        (["approver"], ["tokens", "runs", "inbox"], ["members", "audit", "workflows"]),
        (["viewer"], ["tokens", "workflows", "runs"], ["members", "audit", "inbox"]),
    ],
)
def test_the_bar_offers_what_the_roles_allow(
    client: Client, demo: Workspace, roles: list[str], shown: list[str], hidden: list[str]
) -> None:
    client.force_login(make_member(demo, *roles))
    page = text(client.get("/w/demo/tokens/"))
    for route in shown:
        assert f'href="{reverse(route, args=["demo"])}"' in page
    for route in hidden:
        assert f'href="{reverse(route, args=["demo"])}"' not in page


def test_a_member_is_added_changed_and_removed(client: Client, admin: User) -> None:
    make_user("jonas", first_name="Jonas")
    path = "/w/demo/members/"
    added = client.post(path, {"username": "jonas", "roles": ["operator"], "groups": "managers, finance"}, follow=True)
    assert "jonas is saved." in text(added)
    assert "finance, managers" in text(added)
    form = text(client.get(f"{path}?edit=jonas"))
    assert re.search(r'value="operator"[^>]* checked', form)
    client.post(path, {"edit": "jonas", "username": "jonas", "roles": ["viewer", "approver"], "groups": ""})
    member = Membership.objects.get(user__username="jonas")
    assert (sorted(member.roles), member.groups) == (["approver", "viewer"], [])
    removed = client.post("/w/demo/members/jonas/remove/", follow=True)
    assert "jonas is no longer a member." in text(removed)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"username": "nobody", "roles": ["viewer"]}, "There is no account"),
        ({"username": "maren", "roles": ["viewer"]}, "is a member already"),
        ({"username": "", "roles": ["viewer"]}, "This field is required"),
        ({"username": "jonas", "roles": ["root"]}, "is not one of the available choices"),
        ({"username": "jonas", "groups": "No Good!"}, "is no group we can keep"),
        ({"edit": "maren", "username": "maren", "roles": ["viewer"]}, "Make somebody else an admin first"),
    ],
)
def test_a_refused_member_keeps_what_was_typed(
    client: Client, admin: User, fields: dict[str, object], complaint: str
) -> None:
    make_user("jonas")
    response = client.post("/w/demo/members/", {"groups": "typed-group", **fields})
    assert response.status_code == 400
    assert complaint in text(response)
    assert str(fields.get("groups", "typed-group")) in text(response)
    assert Membership.objects.get().roles == ["admin", "editor"]


def test_the_last_admin_cannot_be_removed(client: Client, admin: User) -> None:
    page = text(client.post("/w/demo/members/maren/remove/", follow=True))
    assert "Make somebody else an admin first." in page
    assert Membership.objects.exists()


def test_a_token_is_shown_once_and_works(client: Client, admin: User) -> None:
    response = client.post("/w/demo/tokens/", {"name": "Nightly", "roles": ["editor"], "lifetime": "30"})
    assert response.status_code == 201
    value = re.search(r'<code id="token-value">(brl_[\w-]+)</code>', text(response))
    assert value
    assert "no-store" in response["Cache-Control"]
    assert value[1] not in text(client.get("/w/demo/tokens/"))
    assert Client().get("/api/v1/w/demo/tokens/", headers={"Authorization": f"Bearer {value[1]}"}).status_code == 200
    token = ApiToken.objects.get()
    assert token.expires_at is not None
    page = text(client.post(f"/w/demo/tokens/{token.pk}/revoke/", follow=True))
    assert "It opens nothing any more" in page
    assert Client().get("/api/v1/w/demo/tokens/", headers={"Authorization": f"Bearer {value[1]}"}).status_code == 401


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "", "roles": ["editor"], "lifetime": "30"},
        {"name": "t", "lifetime": "30"},
        {"name": "t", "roles": ["operator"], "lifetime": "30"},  # not a role of hers
        {"name": "t", "roles": ["editor"], "lifetime": "31"},
    ],
)
def test_a_token_that_cannot_be_is_not_made(client: Client, admin: User, fields: dict[str, object]) -> None:
    response = client.post("/w/demo/tokens/", fields)
    assert response.status_code == 400
    assert 'class="errors"' in text(response)
    assert not ApiToken.objects.exists()


def test_members_see_their_own_tokens_and_cannot_end_others(client: Client, admin: User, demo: Workspace) -> None:
    bearer(demo, admin)
    client.force_login(make_member(demo, "viewer"))
    assert "No tokens yet" in text(client.get("/w/demo/tokens/"))
    assert client.post(f"/w/demo/tokens/{ApiToken.objects.get().pk}/revoke/").status_code == 404
    assert ApiToken.objects.get().revoked_at is None


def test_the_trail_is_filtered_and_paged_by_its_address(client: Client, admin: User, demo: Workspace) -> None:
    for number in range(60):
        client.post("/w/demo/members/", {"username": f"nobody{number}", "roles": ["viewer"]})
        make_user(f"person{number:02}")
        client.post("/w/demo/members/", {"username": f"person{number:02}", "roles": ["viewer"]})
    first = text(client.get("/w/demo/audit/"))
    assert "member person59" in first
    assert "member person00" not in first
    onward = re.search(r'href="(\?[^"]*cursor=[^"]+)">Older', first)
    assert onward
    assert "member person00" in text(client.get("/w/demo/audit/" + onward[1].replace("&amp;", "&")))
    client.force_login(make_member(demo, "viewer", username="nosy"))
    client.get("/w/demo/members/")
    client.force_login(admin)
    refused = text(client.get("/w/demo/audit/?refused=yes"))
    assert "nosy" in refused
    assert "member person" not in refused
    assert "Nothing matches this filter" in text(client.get("/w/demo/audit/?person=nosuch"))


@pytest.mark.parametrize(("chosen", "kept"), [("dark", "dark"), ("light", "light"), ("", ""), ("<script>", "")])
def test_the_theme_is_kept_with_the_person(client: Client, admin: User, chosen: str, kept: str) -> None:
    client.post("/theme/", {"theme": chosen, "next": "/w/demo/tokens/"})
    admin.refresh_from_db()
    assert admin.theme == kept
    page = text(client.get("/account/"))
    assert (f'data-theme="{kept}"' in page) is bool(kept)


def test_the_theme_is_kept_before_signing_in(client: Client) -> None:
    assert urlsplit(client.post("/theme/", {"theme": "dark", "next": "/signin/"})["Location"]).path == "/signin/"
    assert 'data-theme="dark"' in text(client.get("/signin/"))


def test_people_who_came_by_link_can_set_a_password(client: Client, admin: User) -> None:
    assert "Set a password" in text(client.get("/account/"))
    new = {"new_password1": "a passphrase of length", "new_password2": "a passphrase of length"}
    assert client.post("/account/password/", new)["Location"] == "/account/"
    assert "Change password" in text(client.get("/account/"))


@pytest.mark.parametrize("weak", ["short", "elevenchars", "1q2w3e4r5t6y"])
def test_weak_passwords_are_refused(client: Client, admin: User, weak: str) -> None:
    response = client.post("/account/password/", {"new_password1": weak, "new_password2": weak})
    assert response.status_code == 400
    admin.refresh_from_db()
    assert not admin.has_usable_password()


def test_absent_pages_say_so_with_the_way_back(client: Client, admin: User) -> None:
    response = client.get("/w/demo/nothing/")
    assert response.status_code == 404
    assert "Go to the front page" in text(response)
    assert 'href="/w/demo/"' in text(response)


def test_the_reference_opens_for_people_and_holds_no_inline_script(client: Client, admin: User) -> None:
    page = text(client.get("/api/docs/"))
    assert 'data-schema="/api/v1/schema/"' in page


def test_an_actor_is_who_they_are_now(demo: Workspace, admin: User) -> None:
    Membership.objects.update(roles=["viewer"], groups=["g"])
    actor = actor_of(demo, admin)
    assert (actor.roles, actor.groups, actor.label) == (frozenset({"viewer"}), frozenset({"g"}), "Maren Aldag")


@pytest.mark.parametrize(
    ("typed", "days", "said"), [("90", 90, "for 90 days"), ("1", 1, "for 1 day."), ("", None, "for ever")]
)
def test_how_long_runs_are_kept_is_set_by_a_plain_form(
    client: Client, admin: User, demo: Workspace, typed: str, days: int | None, said: str
) -> None:
    Workspace.objects.update(keep_runs_days=7)
    page = text(client.get("/w/demo/members/"))
    assert 'action="/w/demo/keep-runs/"' in page
    assert re.search(r'name="days"[^>]* value="7"|value="7"[^>]* name="days"', page)
    saved = client.post("/w/demo/keep-runs/", {"days": typed}, follow=True)
    assert f"Ended runs are kept {said}" in text(saved)
    demo.refresh_from_db()
    assert demo.keep_runs_days == days


@pytest.mark.parametrize("typed", ["0", "-1", "36501", "soon", "1.5"])
def test_a_refused_number_of_days_is_shown_again(client: Client, admin: User, demo: Workspace, typed: str) -> None:
    answer = client.post("/w/demo/keep-runs/", {"days": typed})
    assert answer.status_code == 400
    assert f'value="{typed}"' in text(answer)
    assert 'id="id_days_error"' in text(answer)
    demo.refresh_from_db()
    assert demo.keep_runs_days is None
