"""One shape for every refusal of the API, and nothing of ours in a breakdown."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from orchestrator.models import User, Workspace
from orchestrator.rest import members as views
from orchestrator.rest import throttle
from tests.factories import make_member, make_user

pytestmark = pytest.mark.django_db
PATH = "/api/v1/w/ours/members/"


@pytest.fixture
def admin(ours: Workspace, client: Client) -> User:
    person = make_member(ours, "admin", username="admin")
    client.force_login(person)
    return person


def shape(response: Any) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert set(body) == {"code", "message", "details"}
    assert body["message"]
    return body


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid"),
        (b"{", 400, "json_invalid"),
        (b"[" * 100_000, 400, "json_too_deep"),
        (b'{"a":' * 100_000, 400, "json_too_deep"),
        (b'{"username": NaN}', 400, "json_invalid"),
        (b'{"username": 1e999}', 400, "out_of_range"),
        (b'{"username": "a", "username": "b"}', 400, "json_invalid"),
        (b"\xef\xbb\xbf{}", 400, "json_invalid"),
        (b"\xff\xfe{}", 400, "text_invalid"),
        (b'{"username": "\\u0000"}', 400, "text_invalid"),
        (b'{"username": "\\ud800"}', 400, "text_invalid"),
        (b'{"username": "a\x00b"}', 400, "text_invalid"),
        (b'{"username": ' + b"9" * 5000 + b"}", 400, "json_invalid"),
        (b" " * 1_000_001, 413, "too_large"),
    ],
)
def test_odd_bodies_are_refused(client: Client, admin: User, body: bytes, status: int, code: str) -> None:
    response = client.generic("POST", PATH, body, "application/json")
    told = shape(response)
    assert (response.status_code, told["code"]) in {(status, code), (status, "out_of_range")}


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/xml", "x"]
)
def test_bodies_are_json(client: Client, admin: User, kind: str) -> None:
    response = client.generic("POST", PATH, b"a=b", kind)
    assert response.status_code == 415
    assert shape(response)["code"] == "unsupported_media_type"


def test_answers_are_json(client: Client, admin: User) -> None:
    response = client.get(PATH, headers={"Accept": "text/html"})
    assert response.status_code == 406
    assert shape(response)["code"] == "not_acceptable"
    assert client.get(PATH, headers={"Accept": "text/html, */*"}).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_are_refused_with_the_known_ones(client: Client, admin: User, method: str) -> None:
    response = client.generic(method, PATH)
    assert response.status_code == 405
    assert shape(response)["code"] == "method_not_allowed"
    assert "GET" in response["Allow"]


def test_a_body_of_unknown_length_is_refused(client: Client, admin: User) -> None:
    response = client.generic(
        "POST", PATH, b"", "application/json", headers={"Transfer-Encoding": "chunked"}, CONTENT_LENGTH=""
    )
    assert response.status_code == 411
    assert shape(response)["code"] == "length_required"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "limit_invalid"),
        ("limit=-1", "limit_invalid"),
        ("limit=1e6", "limit_invalid"),
        ("limit=²", "limit_invalid"),
        ("cursor=x", "cursor_invalid"),
        ("cursor=W10", "cursor_invalid"),
        ("cursor=WzFd", "cursor_invalid"),
        ("cursor=WyJhIl0", "cursor_invalid"),
        ("cursor=" + "A" * 2000, "cursor_invalid"),
        ("cursor=" + "W1" * 400, "cursor_invalid"),
        ("ordering=user__password", "unknown_parameter"),
        ("user__password__startswith=a", "unknown_parameter"),
    ],
)
def test_odd_queries_are_refused(client: Client, admin: User, query: str, code: str) -> None:
    response = client.get(f"{PATH}?{query}")
    assert response.status_code == 400
    assert shape(response)["code"] == code


def test_pages_are_cut_at_200_and_lead_on_to_the_end(client: Client, admin: User, ours: Workspace) -> None:
    for number in range(250):
        make_member(ours, "viewer", username=f"person{number:03}")
    first = client.get(f"{PATH}?limit=1000000").json()
    assert len(first["items"]) == 200
    second = client.get(f"{PATH}?limit=200&cursor={first['next']}").json()
    assert second["next"] is None
    names = [row["username"] for row in first["items"] + second["items"]]
    assert len(names) == len(set(names)) == 251


def test_a_breakdown_tells_the_request_id_only(client: Client, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_actor: object) -> None:
        raise RuntimeError("SELECT secret FROM /work/x.py")

    monkeypatch.setattr(views, "members_for_actor", broken)
    client.raise_request_exception = False
    response = client.get(PATH)
    assert response.status_code == 500
    body = shape(response)
    assert body["code"] == "internal"
    assert body["details"] == {"request_id": response["X-Request-ID"]}
    assert "SELECT" not in json.dumps(body)


def test_a_breakdown_of_a_page_tells_the_request_id_only(
    client: Client, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_actor: object) -> None:
        raise RuntimeError("SELECT secret FROM /work/x.py")

    monkeypatch.setattr("orchestrator.web.members.members_for_actor", broken)
    client.raise_request_exception = False
    response = client.get("/w/ours/members/")
    assert response.status_code == 500
    html = response.content.decode()
    assert response["X-Request-ID"] in html
    assert "SELECT" not in html
    assert "Traceback" not in html


def test_callers_who_do_not_stop_are_stopped(
    client: Client, admin: User, fresh_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "PER_CALLER", 3)
    answers = [client.get(PATH) for _ in range(8)]
    # The window may turn once while this runs: then three more pass.
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 2
    assert 1 <= int(refused[0]["Retry-After"]) <= 60
    assert shape(refused[0])["code"] == "throttled"


def test_what_is_counted_is_forgotten_after_its_window(fresh_cache: None) -> None:
    assert [throttle.counted("branchline:throttle:test:1") for _ in range(3)] == [1, 2, 3]
    assert 0 < throttle._counter().ttl("branchline:throttle:test:1") <= 2 * throttle.WINDOW


def test_names_from_outside_are_shown_as_text(client: Client, admin: User, ours: Workspace) -> None:
    poison = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    make_member(ours, "viewer", user=make_user("bob", first_name=poison))
    html = client.get(reverse("members", args=["ours"])).content.decode()
    assert "<img" not in html
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
