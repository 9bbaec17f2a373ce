"""Headers on every answer, CSRF on every unsafe address, text nobody can store, no credentials by default."""

import re

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from orchestrator.models import AuditEntry, Membership, User, Workspace
from orchestrator.policy import ROUTES
from orchestrator.web.middleware import HEADERS
from tests.factories import ROLES, bearer, make_member
from tests.security.conftest import signed_in
from tests.security.routes import UNSAFE, Route, routes

pytestmark = pytest.mark.django_db

every_route = pytest.mark.parametrize("route", routes(), ids=lambda route: route.name)
unsafe = [(route, method) for route in routes() for method in UNSAFE if method in ROUTES.get(route.name, {})]


@pytest.fixture
def everything(ours: Workspace) -> User:
    """A member with all roles."""
    return make_member(ours, *ROLES, username="everything")


@every_route
def test_every_answer_carries_the_walls(route: Route, everything: User, ours: Workspace) -> None:
    for client in (Client(), signed_in(everything)):
        response = client.get(route.path(ours.slug))
        for name, value in HEADERS.items():
            if (route.name, name) != ("signin-link", "Referrer-Policy"):
                assert response[name] == value, name
        assert response["X-Frame-Options"] == "DENY"
        assert len(response["X-Request-ID"]) >= 8


def test_the_policy_allows_nothing_inline_and_nothing_foreign() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "*" not in policy
    assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy.split("; "))


@every_route
def test_no_page_holds_inline_script_or_style(route: Route, everything: User, ours: Workspace) -> None:
    response = signed_in(everything).get(route.path(ours.slug))
    if "text/html" not in response.headers.get("Content-Type", ""):
        return
    html = response.content.decode()
    for tag in re.findall(r"<script\b[^>]*>", html):
        assert " src=" in tag or 'type="application/json"' in tag, tag
    assert not re.search(r"<style\b|\sstyle=|\son[a-z]+=|javascript:|hx-on|hx-vals='js:", html)


@pytest.mark.parametrize(("route", "method"), unsafe, ids=[f"{method} {route.name}" for route, method in unsafe])
def test_no_unsafe_address_works_without_the_page_token(
    route: Route, method: str, everything: User, ours: Workspace
) -> None:
    entries = AuditEntry.objects.count()
    client = signed_in(everything, csrf=True)
    response = client.generic(method, route.path(ours.slug), b"{}", "application/json")
    assert response.status_code == 403
    if route.is_api:
        assert response.json()["code"] == "csrf"
    assert Membership.objects.count() == 1
    assert AuditEntry.objects.count() == entries


def test_the_page_token_opens_the_api(everything: User, ours: Workspace) -> None:
    client = signed_in(everything, csrf=True)
    page = client.get(reverse("members", args=[ours.slug])).content.decode()
    token = re.search(r'"X-CSRFToken": "(\w+)"', page)
    assert token
    body = {"name": "t", "roles": ["viewer"]}
    path = reverse("api-tokens", args=[ours.slug])
    answer = client.post(path, body, "application/json", headers={"X-CSRFToken": token[1]})
    assert answer.status_code == 201


def test_a_token_needs_no_page_token(everything: User, ours: Workspace) -> None:
    client = Client(enforce_csrf_checks=True)
    headers = bearer(ours, everything)
    body = {"name": "t", "roles": ["viewer"]}
    path = reverse("api-tokens", args=[ours.slug])
    assert client.post(path, body, "application/json", headers=headers).status_code == 201


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "http://testserver.evil.test"])
def test_other_origins_get_no_cors_and_no_write(everything: User, ours: Workspace, origin: str) -> None:
    client = signed_in(everything, csrf=True)
    page = client.get(reverse("members", args=[ours.slug])).content.decode()
    token = re.search(r'"X-CSRFToken": "(\w+)"', page)
    assert token
    path = reverse("api-tokens", args=[ours.slug])
    headers = {"Origin": origin, "X-CSRFToken": token[1]}
    answer = client.post(path, {"name": "t", "roles": ["viewer"]}, "application/json", headers=headers)
    assert answer.status_code == 403
    preflight = client.options(path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    for response in (answer, preflight, client.get(path, headers={"Origin": origin})):
        assert not [name for name in response.headers if name.lower().startswith("access-control-")]


@every_route
@pytest.mark.parametrize("query", ["a=%00", "%00", "a=%ed%a0%80", "a=%ff", "a=b%c0%80"])
def test_text_that_nobody_can_store_is_refused(route: Route, query: str, everything: User, ours: Workspace) -> None:
    response = signed_in(everything).get(f"{route.path(ours.slug)}?{query}")
    assert response.status_code == 400
    if route.is_api:
        assert response.json()["code"] == "text_invalid"


@pytest.mark.parametrize(
    "path",
    [
        "/w/ours%00/members/",
        "/api/v1/w/ours/members/a%00b/",
        "/api/v1/w/ours/members/%ed%a0%80/",
        "/api/v1/w/ours/members/%ff/",
        "/api/v1/w/ours/members/..%2f..%2fetc/",
        "/signin/link/%00/",
        "/api/v1/w/ours/tokens/99999999999999999999999999/",
        f"/api/v1/w/ours/tokens/{'9' * 5000}/",
    ],
)
def test_strange_paths_are_refused(everything: User, ours: Workspace, path: str) -> None:
    assert signed_in(everything).get(path).status_code in {400, 404}


@pytest.mark.parametrize(
    "path", ["/nothing/here/", "/api/v1/nothing/", "/w/elsewhere/members/", "/api/v1/w/no/tokens/"]
)
def test_absent_is_one_answer(everything: User, path: str) -> None:
    response = signed_in(everything).get(path)
    assert response.status_code == 404
    if path.startswith("/api/"):
        assert response.json() == {
            "code": "not_found",
            "message": "There is no such thing here, or you may not see it. Check the address and the workspace.",
            "details": {},
        }


def test_cookies_are_closed(client: Client) -> None:
    assert settings.SESSION_COOKIE_HTTPONLY
    assert settings.CSRF_COOKIE_HTTPONLY
    assert settings.SESSION_COOKIE_SAMESITE == settings.CSRF_COOKIE_SAMESITE == "Lax"


def test_a_fresh_database_holds_nobody() -> None:
    assert not User.objects.exists()
    assert len(settings.SECRET_KEY) >= 50
    assert "insecure" not in settings.SECRET_KEY


def test_a_given_request_id_is_kept_and_a_strange_one_is_not(client: Client) -> None:
    assert client.get("/signin/", headers={"X-Request-ID": "abc-12345678"})["X-Request-ID"] == "abc-12345678"
    answered = client.get("/signin/", headers={"X-Request-ID": "<script>alert(1)</script>"})["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", answered)
