"""Signing in: equal answers, limited tries, links that work once and only by the button."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orchestrator.models import AuditEntry, SigninLink, User
from orchestrator.services.signin import LinkInvalid, create_signin_link, use_signin_link
from tests.factories import PASSWORD, make_user
from tests.security.conftest import signed_in

#: Where a browser must not be taken. Each stays on this site or is dropped.
ELSEWHERE = [
    "//evil.test",
    "///evil.test",
    "////evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "\\/evil.test",
    "/\\/evil.test",
    "/\t/evil.test",
    "/\n/evil.test",
    "/\r/evil.test",
    "\t//evil.test",
    " //evil.test",
    "/ /evil.test",
    "/\x00/evil.test",
    "/\x0b/evil.test",
    "https:evil.test",
    "https:/evil.test",
    "https://evil.test",
    "https:///evil.test",
    "HTTPS://evil.test",
    "http:evil.test",
    "http://testserver@evil.test",
    "https://evil.test/testserver",
    "http://testserver.evil.test/",
    "http://testserver:80@evil.test/",
    "//testserver@evil.test/",
    "//user:pass@evil.test",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "ftp://evil.test",
    "evil.test",
    "@evil.test",
    ".evil.test",
    "//evil.test\\@testserver",
    "//[::1]/",
    "//evil。test",
    "/" + "a" * 3000,
]
#: Ways of our own that must keep working, and others that only look dangerous: a path is a path.
HERE = [
    "/",
    "/w/demo/runs/?state=failed&cursor=a%2Fb",
    "/%09/evil.test",
    "/w/demo/?next=https://evil.test",
    "/@evil.test",
]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_cache")]


def try_signin(client: Client, username: str, password: str, **fields: str) -> Any:
    return client.post("/signin/", {"username": username, "password": password, **fields})


def test_password_opens_a_new_session(client: Client) -> None:
    make_user("alice", password=PASSWORD)
    client.get("/signin/?next=/")
    client.session["planted"] = True
    before = client.session.session_key
    response = try_signin(client, "alice", PASSWORD)
    assert response.status_code == 302
    assert client.session.session_key != before
    assert client.get("/account/").status_code == 200


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "wrong"),  # the name exists
        ("nobody", PASSWORD),  # it does not
        ("closed", PASSWORD),  # the account is closed, the password right
        ("byLink", PASSWORD),  # no password at all
        ("alicé", PASSWORD),  # another name to us, whatever a database might fold
    ],
)
def test_every_refusal_is_the_same(client: Client, name: str, password: str) -> None:
    make_user("alice", password=PASSWORD)
    make_user("closed", password=PASSWORD, is_active=False)
    make_user("byLink")
    response = try_signin(client, name, password)
    assert response.status_code == 401
    text = response.content.decode().replace(f'value="{name}"', "")
    reference = try_signin(Client(), "somebody", "x").content.decode().replace('value="somebody"', "")
    assert without_tokens(text) == without_tokens(reference)
    assert AuditEntry.objects.filter(action="signin", actor_name=name, allowed=False).count() == 1


def without_tokens(html: str) -> list[str]:
    return [line for line in html.splitlines() if "csrfmiddlewaretoken" not in line and "X-CSRFToken" not in line]


def test_unknown_names_cost_the_hash_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(User, "set_password", lambda self, raw: hashed.append(raw))
    try_signin(client, "nobody", "some password")
    assert hashed == ["some password"]


@pytest.mark.parametrize("spelling", ["alice", "ALICE", "Alice"])
def test_tries_per_name_are_limited_from_all_addresses(client: Client, spelling: str) -> None:
    make_user("alice", password=PASSWORD)
    for number in range(5):
        answer = client.post("/signin/", {"username": "alice", "password": "x"}, REMOTE_ADDR=f"192.0.2.{number}")
        assert answer.status_code == 401
    answer = client.post("/signin/", {"username": spelling, "password": PASSWORD}, REMOTE_ADDR="192.0.2.99")
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0


def test_tries_per_address_are_limited_over_all_names(client: Client) -> None:
    for number in range(20):
        assert try_signin(client, f"name{number}", "x").status_code == 401
    assert try_signin(client, "another", "x").status_code == 429


def test_a_forged_forwarding_header_is_no_other_address(client: Client) -> None:
    for number in range(20):
        client.post(
            "/signin/", {"username": f"n{number}", "password": "x"}, headers={"X-Forwarded-For": f"198.51.100.{number}"}
        )
    answer = client.post("/signin/", {"username": "n", "password": "x"}, headers={"X-Forwarded-For": "198.51.100.200"})
    assert answer.status_code == 429


def test_a_locked_name_still_comes_in_by_link(client: Client) -> None:
    alice = make_user("alice", password=PASSWORD)
    for _ in range(6):
        try_signin(client, "alice", "x")
    assert client.post(create_signin_link(alice)).status_code == 302


@pytest.fixture
def no_valkey(fresh_cache: None, settings: Any) -> None:
    """A cache whose server is away."""
    away = {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": away}


@pytest.mark.usefixtures("no_valkey")
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_without_valkey_a_password_is_refused_and_the_way_out_is_said(client: Client, password: str) -> None:
    make_user("alice", password=PASSWORD)
    answer = try_signin(client, "alice", password)
    assert answer.status_code == 503
    assert answer["Retry-After"] == "60"
    assert "ask an administrator for a sign-in link" in answer.content.decode()
    assert "_auth_user_id" not in client.session


@pytest.mark.usefixtures("no_valkey")
def test_without_valkey_a_link_still_signs_in(client: Client) -> None:
    client.post(create_signin_link(make_user("alice")))
    assert "_auth_user_id" in client.session


@pytest.mark.parametrize("address", ELSEWHERE)
def test_next_never_leads_elsewhere(client: Client, address: str) -> None:
    make_user("alice", password=PASSWORD)
    assert try_signin(client, "alice", PASSWORD, next=address)["Location"] == "/"
    if "\x00" not in address:  # refused before: no address holds NUL
        assert client.get("/signin/", {"next": address})["Location"] == "/"
    assert client.post("/theme/", {"theme": "dark", "next": address})["Location"] == "/"


@pytest.mark.parametrize("address", HERE)
def test_next_leads_back(client: Client, address: str) -> None:
    make_user("alice", password=PASSWORD)
    assert try_signin(client, "alice", PASSWORD, next=address)["Location"] == address


def test_looking_at_a_link_does_not_use_it_up(client: Client) -> None:
    path = create_signin_link(make_user("alice"))
    for method in (client.get, client.head, client.get):
        response = method(path)
        assert response.status_code == 200
        assert "sessionid" not in response.cookies
    assert SigninLink.objects.get().used_at is None
    assert response["Referrer-Policy"] == "same-origin"
    assert client.post(path).status_code == 302
    assert client.get("/account/").status_code == 200


@pytest.mark.parametrize("state", ["used", "old", "unknown", "closed"])
def test_a_dead_link_is_refused_whatever_killed_it(client: Client, state: str) -> None:
    alice = make_user("alice")
    path = create_signin_link(alice)
    if state == "used":
        Client().post(path)
    elif state == "old":
        SigninLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif state == "unknown":
        path = reverse("signin-link", args=["x" * 43])
    else:
        User.objects.update(is_active=False)
    response = client.post(path)
    assert response.status_code == 403
    assert "used already or is older than 15 minutes" in response.content.decode()
    assert client.get("/account/").status_code == 302


def test_the_database_keeps_no_link(client: Client) -> None:
    plain = create_signin_link(make_user("alice")).split("/")[-2]
    assert plain.encode() not in bytes(SigninLink.objects.get().digest)
    assert len(bytes(SigninLink.objects.get().digest)) == 32


@pytest.mark.django_db(transaction=True)
def test_of_ten_at_once_one_wins() -> None:
    plain = create_signin_link(make_user("alice")).split("/")[-2]
    barrier, wins = threading.Barrier(10), []

    def use() -> None:
        barrier.wait(timeout=10)
        try:
            wins.append(use_signin_link(plain))
        except LinkInvalid:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=use) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(wins) == 1


def test_signing_out_ends_the_session() -> None:
    client = signed_in(make_user("alice"))
    cookie = client.cookies["session"].value
    assert client.post("/signout/").status_code == 302
    client.cookies["session"] = cookie
    assert client.get("/account/").status_code == 302


def test_signing_out_by_get_is_refused() -> None:
    client = signed_in(make_user("alice"))
    assert client.get("/signout/").status_code == 405
    assert client.get("/account/").status_code == 200


def test_a_closed_account_is_out_at_once() -> None:
    alice = make_user("alice")
    client = signed_in(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert client.get("/account/").status_code == 302


def test_a_new_password_ends_the_other_sessions() -> None:
    alice = make_user("alice", password=PASSWORD)
    here, elsewhere = signed_in(alice), signed_in(alice)
    new = "another long passphrase"
    fields = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert here.post("/account/password/", fields).status_code == 302
    assert here.get("/account/").status_code == 200
    assert elsewhere.get("/account/").status_code == 302


def test_guessing_the_old_password_is_limited() -> None:
    client = signed_in(make_user("alice", password=PASSWORD))
    fields = {"old_password": "x", "new_password1": "another long phrase", "new_password2": "another long phrase"}
    answers = [client.post("/account/password/", fields).status_code for _ in range(6)]
    assert answers == [400] * 5 + [429]


def test_no_address_of_allauth_is_open(client: Client) -> None:
    for path in ("accounts/signup/", "accounts/login/", "accounts/password/reset/", "signup/", "admin/", "accounts/"):
        assert client.get(f"/{path}").status_code == 404, path
