"""Limits of queues by service, API and page: who sets them, what is refused, what is recorded."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from orchestrator.core.errors import NotFound
from orchestrator.models import AuditEntry, QueueLimit, User, Workspace
from orchestrator.policy import Denied
from orchestrator.queries.queues import queues_for_actor
from orchestrator.services.queue_limits import (
    QueueLimitInvalid,
    QueueUnknown,
    Rate,
    remove_queue_limit,
    set_queue_limit,
)
from tests.factories import actor_of, make_member
from tests.run_factories import make_session

pytestmark = pytest.mark.django_db
API = "/api/v1/w/ours/queues/"
PAGE = "/w/ours/queues/"
PER_MINUTE = {"starts": 10, "period": "PT1M", "burst": 2}
UNLIMITED = {"concurrency": None, "rate": None}
FREE = {"queue": "mail", "served": True, **UNLIMITED, "at_work": 0, "in_line": 0, "next_start_at": None}


@pytest.fixture
def admin(ours: Workspace, client: Client) -> User:
    make_session("mail", "reports")
    person = make_member(ours, "admin", username="admin")
    client.force_login(person)
    return person


def put(client: Client, body: object, queue: str = "mail") -> Any:
    return client.put(f"{API}{queue}/", body, "application/json")


def limits() -> list[tuple[Any, ...]]:
    return list(QueueLimit.objects.values_list("queue", "concurrency", "starts", "period", "burst"))


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_a_limit_is_set_changed_and_taken_away(client: Client, admin: User) -> None:
    assert reverse("api-queue", args=["ours", "mail"]) == f"{API}mail/"
    assert client.get(f"{API}mail/").json() == FREE
    bodies: list[dict[str, Any]] = [
        {"concurrency": 2, "rate": None},
        {"concurrency": 2},
        {"concurrency": None, "rate": PER_MINUTE},
        {"concurrency": 3, "rate": {"starts": 1, "period": "P1D"}},
    ]
    for body in bodies:
        answer = put(client, body)
        rate = body.get("rate")
        wanted = {**FREE, "concurrency": body["concurrency"], "rate": rate and {"burst": 1, **rate}}
        assert (answer.status_code, answer.json()) == (200, wanted)
        assert client.get(f"{API}mail/").json() == wanted
    assert client.delete(f"{API}mail/").status_code == 204
    assert client.get(f"{API}mail/").json() == FREE
    assert client.delete(f"{API}mail/").status_code == 404
    entries = AuditEntry.objects.order_by("pk").values_list("action", "target", "detail__before", "detail__after")
    two = {"concurrency": 2, "rate": None}
    rated = {"concurrency": None, "rate": PER_MINUTE}
    both = {"concurrency": 3, "rate": {"starts": 1, "period": "P1D", "burst": 1}}
    assert list(entries) == [
        ("queue_limit.change", "queue mail", before, after)
        for before, after in ((None, two), (two, rated), (rated, both), (both, None))
    ]


def test_the_list_names_every_queue(client: Client, admin: User) -> None:
    put(client, {"concurrency": 1}, "reports")
    items = client.get(API).json()["items"]
    assert [(item["queue"], item["concurrency"]) for item in items] == [("mail", None), ("reports", 1)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": -1}, "concurrency"),
        ({"concurrency": 10_001}, "concurrency"),
        ({"concurrency": 10**30}, "concurrency"),
        ({"concurrency": 1.5}, "concurrency"),
        ({"concurrency": "many"}, "concurrency"),
        ({"rate": 5}, "rate"),
        ({"rate": {"period": "PT1M"}}, "rate.starts"),
        ({"rate": {"starts": 5}}, "rate.period"),
        ({"rate": {"starts": 0, "period": "PT1M"}}, "rate.starts"),
        ({"rate": {"starts": 100_001, "period": "PT1M"}}, "rate.starts"),
        ({"rate": {"starts": 5, "period": "-PT1M"}}, "rate.period"),
        ({"rate": {"starts": 5, "period": "PT0.5S"}}, "rate.period"),
        ({"rate": {"starts": 5, "period": "P32D"}}, "rate.period"),
        ({"rate": {"starts": 5, "period": "P1M"}}, "rate.period"),
        ({"rate": {"starts": 5, "period": "minute"}}, "rate.period"),
        ({"rate": {"starts": 5, "period": "PT1M", "burst": 0}}, "rate.burst"),
        ({"rate": {"starts": 5, "period": "PT1M", "burst": 6}}, "rate.burst"),
        ({"rate": {"starts": 5, "period": "PT1M", "per": 1}}, "rate.per"),
        ({"concurrency": 1, "limit": 2}, "limit"),
        ([], "body"),
    ],
)
def test_a_bad_body_names_its_field(client: Client, admin: User, body: object, field: str) -> None:
    answer = put(client, body)
    assert answer.status_code == 400
    assert field in answer.json()["details"], answer.json()
    assert (limits(), AuditEntry.objects.count()) == ([], 0)


@pytest.mark.parametrize("body", [{}, {"concurrency": None}, {"concurrency": None, "rate": None}])
def test_what_limits_nothing_is_refused(client: Client, admin: User, body: object) -> None:
    answer = put(client, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "queue_limit_invalid")
    assert "take its limit away" in answer.json()["message"]


@pytest.mark.parametrize(
    ("queue", "said"), [("mial", 'Did you mean "mail"?'), ("somewhere-else", "Known: mail, reports.")]
)
def test_an_unknown_queue_is_told(client: Client, admin: User, queue: str, said: str) -> None:
    answer = put(client, {"concurrency": 1}, queue)
    assert (answer.status_code, answer.json()["code"]) == (400, "queue_unknown")
    assert f'"{queue}"' in answer.json()["message"]
    assert said in answer.json()["message"]
    assert client.get(f"{API}{queue}/").status_code == 404
    assert limits() == []


def test_a_limit_can_be_changed_although_nobody_uses_the_queue_now(ours: Workspace, admin: User) -> None:
    actor = actor_of(ours, admin)
    set_queue_limit(actor=actor, queue="mail", concurrency=1)
    make_session("mail").__class__.objects.all().delete()
    set_queue_limit(actor=actor, queue="mail", concurrency=2)
    assert limits() == [("mail", 2, None, None, None)]
    assert [queue.name for queue in queues_for_actor(actor)] == ["mail"]


@pytest.mark.parametrize(
    ("concurrency", "rate", "field"),
    [
        (0, None, "concurrency"),
        (-3, None, "concurrency"),
        (10_001, None, "concurrency"),
        (None, Rate(starts=0, period=60), "starts"),
        (None, Rate(starts=5, period=0.5), "period"),
        (None, Rate(starts=5, period=10**9), "period"),
        (None, Rate(starts=5, period=60, burst=6), "burst"),
        (None, Rate(starts=5, period=60, burst=0), "burst"),
        (None, None, "concurrency"),
    ],
)
def test_the_service_refuses_it_too(
    ours: Workspace, admin: User, concurrency: int | None, rate: Rate | None, field: str
) -> None:
    with pytest.raises(QueueLimitInvalid) as refused:
        set_queue_limit(actor=actor_of(ours, admin), queue="mail", concurrency=concurrency, rate=rate)
    assert refused.value.details == {"field": field}
    assert limits() == []


@pytest.mark.parametrize("role", ["viewer", "operator", "approver", "editor"])
def test_only_admins_set_it(client: Client, ours: Workspace, role: str) -> None:
    make_session("mail")
    person = make_member(ours, role)
    client.force_login(person)
    answers = (
        client.get(API),
        client.get(f"{API}mail/"),
        put(client, {"concurrency": 1}),
        client.delete(f"{API}mail/"),
        client.get(PAGE),
        client.post(PAGE, {"queue": "mail", "concurrency": "1"}),
        client.post(f"{PAGE}mail/unlimit/"),
    )
    assert {answer.status_code for answer in answers} == {403}
    actor = actor_of(ours, person)
    with pytest.raises(Denied):
        set_queue_limit(actor=actor, queue="mail", concurrency=1)
    with pytest.raises(Denied):
        remove_queue_limit(actor=actor, queue="mail")
    assert queues_for_actor(actor) == []
    assert limits() == []


def test_another_workspace_is_left_alone(client: Client, admin: User, ours: Workspace, theirs: Workspace) -> None:
    QueueLimit.objects.create(workspace=theirs, queue="mail", concurrency=7, changed_at="2020-01-01T00:00:00Z")
    assert client.get(f"{API}mail/").json() == FREE
    put(client, {"concurrency": 1})
    with pytest.raises(NotFound):
        remove_queue_limit(actor=actor_of(ours, admin), queue="reports")
    client.delete(f"{API}mail/")
    assert limits() == [("mail", 7, None, None, None)]
    assert put(client, {"concurrency": 1}).status_code == 200
    assert client.put(f"{API.replace('ours', theirs.slug)}mail/", {}, "application/json").status_code == 404


# --- The page ---------------------------------------------------------------------------------------------------------


def test_the_page_sets_a_limit_by_a_plain_form(client: Client, admin: User) -> None:
    assert f'href="{PAGE}"' in text(client.get("/w/ours/members/"))
    shown = text(client.get(PAGE))
    assert "mail" in shown
    assert "no limit" in shown
    form = {"queue": "mail", "concurrency": "2", "starts": "10", "period": "3600", "burst": ""}
    saved = text(client.post(PAGE, form, follow=True))
    assert "The queue mail is limited." in saved
    assert "10 per hour" in saved
    assert limits() == [("mail", 2, 10, 3_600, 1)]
    filled = text(client.get(f"{PAGE}?queue=mail"))
    assert 'value="3600" selected' in filled
    gone = text(client.post(f"{PAGE}mail/unlimit/", follow=True))
    assert "The queue mail has no limit any more." in gone
    assert limits() == []
    assert client.post(f"{PAGE}mail/unlimit/").status_code == 404


def test_a_period_set_through_the_api_stays(client: Client, admin: User) -> None:
    put(client, {"rate": {"starts": 3, "period": "PT1M30S"}})
    assert "3 in 90 seconds" in text(client.get(PAGE))
    assert 'value="90" selected' in text(client.get(f"{PAGE}?queue=mail"))
    client.post(PAGE, {"queue": "mail", "starts": "4", "period": "90"})
    assert limits() == [("mail", None, 4, 90, 1)]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"queue": "mail", "concurrency": "0"}, "concurrency"),
        ({"queue": "mail", "concurrency": "-1"}, "concurrency"),
        ({"queue": "mail", "concurrency": "few"}, "concurrency"),
        ({"queue": "mail"}, "concurrency"),
        ({"queue": "mail", "starts": "0"}, "starts"),
        ({"queue": "mail", "starts": "2", "burst": "3"}, "burst"),
        ({"queue": "mail", "starts": "2", "period": "fortnight"}, "period"),
        ({"queue": "mail", "starts": "2", "period": "99999999"}, "period"),
        ({"queue": "mial", "concurrency": "1"}, "queue"),
        ({"queue": "", "concurrency": "1"}, "queue"),
    ],
)
def test_what_is_refused_is_shown_again(client: Client, admin: User, form: dict[str, str], field: str) -> None:
    answer = client.post(PAGE, form)
    assert answer.status_code == 400
    assert f'id="id_{field}_error"' in text(answer)
    assert limits() == []


def test_unknown_names_offer_the_known(client: Client, admin: User, ours: Workspace) -> None:
    with pytest.raises(QueueUnknown) as refused:
        set_queue_limit(actor=actor_of(ours, admin), queue="reprots", concurrency=1)
    assert refused.value.details["known"] == ["mail", "reports"]
