"""events/: accepting CloudEvents, and what they reached."""

import json
from random import Random
from string import ascii_letters, digits
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orchestrator.models import AuditEntry, Delivery, Event, HumanTask, Token
from orchestrator.rest import throttle
from tests.api.run_cast import RunCast
from tests.run_factories import make_delivery, make_event, make_event_wait, make_task

pytestmark = pytest.mark.django_db(transaction=True)

STRUCTURED = "application/cloudevents+json"
PAID = {"specversion": "1.0", "id": "p-1", "source": "/bank", "type": "order.paid", "key": "order-7"}


@pytest.fixture
def cast(valkey: str) -> RunCast:
    return RunCast()


def send(cast: RunCast, status: int = 201, content_type: str = STRUCTURED, **changes: Any) -> dict[str, Any]:
    body = json.dumps(PAID | {"data": {"amount": 12}} | changes)
    response = cast.client.generic("POST", cast.url("events/"), body, content_type)
    assert response.status_code == status, response.content
    told: dict[str, Any] = response.json()
    return told


def signal_of(token: Token) -> dict[str, Any]:
    assert isinstance(token.signal, dict)
    return token.signal


def test_an_event_reaches_whoever_waits_for_it(cast: RunCast) -> None:
    run = cast.run()
    of_key = make_event_wait(run, "b", "order.paid", "order-7")
    of_any = make_event_wait(run, "c", "order.paid")
    make_event_wait(cast.run(), "a", "order.paid", "order-8")
    make_event_wait(cast.run(), "a", "order")
    told = send(cast)
    assert told == {"id": told["id"], "event": "p-1", "duplicate": False, "delivered_to": 2}
    reached = Token.objects.filter(state="R").order_by("pk")
    assert [token.pk for token in reached] == [of_key.pk, of_any.pk]
    assert signal_of(reached[0])["event"]["data"] == {"amount": 12}
    assert Delivery.objects.filter(event_id=told["id"], state="D").count() == 2


def test_binary_mode_says_the_same(cast: RunCast) -> None:
    make_event_wait(cast.run(), "a", "order.paid", "größe 7")
    headers = {f"ce-{name}": value for name, value in PAID.items()} | {"ce-key": "gr%C3%B6%C3%9Fe%207"}
    response = cast.client.generic(
        "POST", cast.url("events/"), '{"amount": 12}', "application/json", headers=headers | {"ce-tenant": "a b"}
    )
    assert response.status_code == 201, response.content
    assert response.json()["delivered_to"] == 1
    shown = cast.get(f"events/{response.json()['id']}/")["event"]
    assert (shown["key"], shown["data"], shown["tenant"]) == ("größe 7", {"amount": 12}, "a b")


def test_binary_mode_needs_no_body(cast: RunCast) -> None:
    headers = {f"ce-{name}": value for name, value in PAID.items()}
    response = cast.client.generic("POST", cast.url("events/"), headers=headers)
    assert response.status_code == 201, response.content
    assert cast.get(f"events/{response.json()['id']}/")["event"]["data"] is None


def test_the_longest_attributes_fit_their_indexes(cast: RunCast) -> None:
    """PostgreSQL refuses an index row over 2,704 bytes: four a letter, and nothing to compress."""
    letters = Random(2026)

    def wide(length: int) -> str:
        return "".join(chr(letters.randrange(0x20000, 0x2A6D0)) for _ in range(length))

    type_, key = "".join(letters.choices(ascii_letters + digits, k=200)), wide(200)
    make_event_wait(cast.run(), "a", type_, key)
    longest: dict[str, Any] = {"id": wide(200), "source": wide(400), "subject": wide(400), "tenant": wide(1_000)}
    told = send(cast, type=type_, key=key, data=None, **longest)
    assert told["delivered_to"] == 1
    shown = cast.get(f"events/{told['id']}/")["event"]
    assert longest | {"key": key} == {name: shown[name] for name in (*longest, "key")}


def test_a_repeated_event_changes_nothing(cast: RunCast) -> None:
    first = send(cast)
    make_event_wait(cast.run(), "a", "order.paid")
    again = send(cast, 200, data={"amount": 13})
    assert again == {"id": first["id"], "event": "p-1", "duplicate": True, "delivered_to": 0}
    assert Event.objects.get().data == {"amount": 12}
    assert Token.objects.get().state == "W"
    assert send(cast, 201, source="/other")["duplicate"] is False


@pytest.mark.parametrize(
    ("content_type", "changes", "status", "code"),
    [
        (STRUCTURED, {"type": "no type"}, 400, "event_invalid"),
        (STRUCTURED, {"specversion": "0.3"}, 400, "event_invalid"),
        (STRUCTURED, {"data_base64": "AAAA"}, 400, "event_invalid"),
        ("application/json", {"id": None}, 400, "event_invalid"),
        ("application/cloudevents-batch+json", {}, 415, "unsupported_media_type"),
        ("text/plain", {}, 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", {}, 415, "unsupported_media_type"),
        (STRUCTURED, {"data": "x" * 1_000_000}, 413, "too_large"),
        (STRUCTURED, {"data": json.loads("[" * 64 + "]" * 64)}, 400, "json_too_deep"),
        (STRUCTURED, {"data": "\x00"}, 400, "text_invalid"),
    ],
)
def test_what_is_no_event_is_refused(
    cast: RunCast, content_type: str, changes: dict[str, Any], status: int, code: str
) -> None:
    told = send(cast, status, content_type, **changes)
    assert told["code"] == code
    assert told["message"]
    assert not Event.objects.exists()


def test_every_attribute_at_fault_is_named(cast: RunCast) -> None:
    told = send(cast, 400, type="no type", time="today")
    assert {name: one[0]["code"] for name, one in told["details"].items()} == {
        "type": "event_type_invalid",
        "time": "time_invalid",
    }


def test_no_event_answers_a_human_task(cast: RunCast) -> None:
    """F8: whatever an event is called, only a decision lets an approval go on."""
    task = make_task(cast.run(), "a")
    token = Token.objects.get()
    names = (str(task.pk), str(token.pk), "person", "decision", "task.decided", f"task/{task.pk}", task.step_key)
    for number, name in enumerate(names):
        for key in (str(task.pk), str(token.pk), task.step_key):
            told = send(cast, type=name, key=key, id=f"{number}-{key}", data={"outcome": "approved"})
            assert told["delivered_to"] == 0
    token.refresh_from_db()
    assert (token.state, token.epoch, token.signal) == ("W", 0, None)
    assert HumanTask.objects.get().state == "open"


def test_a_key_is_no_way_into_another_topic(cast: RunCast) -> None:
    """A type holds no "#", so that no type and key together spell the topic of others."""
    waiting = make_event_wait(cast.run(), "a", "order.paid", "a#b")
    assert send(cast, 400, type="order.paid#a", key="b")["code"] == "event_invalid"
    assert send(cast, key="a#b")["delivered_to"] == 1
    assert Token.objects.get(pk=waiting.pk).state == "R"


def test_an_event_stays_in_its_workspace(cast: RunCast) -> None:
    neighbour = RunCast("globex")
    make_event_wait(neighbour.run(), "a", "order.paid", "order-7")
    told = send(cast)
    assert told["delivered_to"] == 0
    assert neighbour.get("events/")["items"] == []
    assert neighbour.client.get(neighbour.url(f"events/{told['id']}/")).status_code == 404
    # The same source and id are another event there.
    assert send(neighbour)["delivered_to"] == 1


def test_a_flood_is_stopped_for_the_workspace_as_a_whole(cast: RunCast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.event_ceiling.PER_WORKSPACE", 3)
    monkeypatch.setattr(throttle, "_leases", {})
    for number in range(3):
        send(cast, id=str(number))
    other = cast.member("operator")
    refused = other.generic("POST", cast.url("events/"), json.dumps(PAID), STRUCTURED)
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    assert send(RunCast("globex"))["duplicate"] is False


def test_the_list_is_filtered_and_pages(cast: RunCast) -> None:
    for number in range(5):
        make_event(cast.workspace, "order.paid", key=f"order-{number}", source=f"/bank/{number % 2}")
    make_event(cast.workspace, "order.sent", key="order-1")
    first = cast.get("events/", limit=4)
    rest = cast.get("events/", limit=4, cursor=first["next"])
    keys = [item["event"]["key"] for item in first["items"] + rest["items"]]
    assert keys == ["order-1", "order-4", "order-3", "order-2", "order-1", "order-0"]
    assert rest["next"] is None
    assert len(cast.get("events/", type="order.paid")["items"]) == 5
    assert len(cast.get("events/", key="order-1")["items"]) == 2
    assert len(cast.get("events/", key="order-1", type="order.sent")["items"]) == 1
    assert len(cast.get("events/", source="/bank/1")["items"]) == 2
    middle = cast.get("events/")["items"][2]["accepted_at"]
    assert len(cast.get("events/", since=middle)["items"]) == 3
    assert len(cast.get("events/", until=middle)["items"]) == 3
    assert cast.client.get(cast.url("events/"), {"since": "yesterday"}).status_code == 400
    assert cast.client.get(cast.url("events/"), {"kind": "x"}).json()["code"] == "unknown_parameter"


def test_an_event_names_what_it_reached(cast: RunCast) -> None:
    run = cast.run()
    event = make_event(cast.workspace, key="order-7", subject="an order", extra={"tenant": "a"})
    make_delivery(event, run, "a")
    fault = {"code": "expression_failed", "message": "There is no amount."}
    make_delivery(event, run, "b", "X", error=fault, scope_id=131_073)
    shown = cast.get(f"events/{event.pk}/")
    assert shown["event"] == {
        "specversion": "1.0",
        "id": event.event_id,
        "source": "/shop",
        "type": "order.paid",
        "key": "order-7",
        "subject": "an order",
        "tenant": "a",
        "time": shown["accepted_at"],
        "data": {"amount": 12},
    }
    assert shown["counts"] == {"pending": 0, "delivered": 1, "ignored": 0, "dead": 1}
    first, second = shown["deliveries"]["items"]
    assert (first["step"], first["run"], first["state"]) == ("a", str(run.pk), "delivered")
    assert (second["state"], second["error"], second["scope"]) == ("dead", fault, "131073")
    (listed,) = cast.get("events/")["items"]
    assert listed["deliveries"] == shown["counts"]
    assert "data" not in listed["event"]


def test_reading_costs_the_same_for_many_as_for_few(cast: RunCast) -> None:
    def cost(address: str) -> int:
        cast.get(address)  # drawings are kept in memory from here on
        with CaptureQueriesContext(connection) as captured:
            cast.get(address)
        return len(captured)

    run = cast.run()
    event = make_event(cast.workspace)
    make_delivery(event, run, "a", "X", error={"code": "a", "message": "b"})
    few = [cost(address) for address in ("events/", f"events/{event.pk}/", "dead-letters/")]
    for number in range(9):
        other = make_event(cast.workspace)
        for step in ("a", "b", "c"):
            make_delivery(other, run, step, "X", error={"code": "a", "message": "b"})
        make_delivery(event, cast.run(), "a", replay=number)
    assert [cost(address) for address in ("events/", f"events/{event.pk}/", "dead-letters/")] == few
    assert max(few) <= 6


def test_approvers_see_the_events_of_their_own_tasks_runs(cast: RunCast) -> None:
    mine = cast.run()
    make_task(mine, "a", users=["anna"])
    event, other = make_event(cast.workspace), make_event(cast.workspace)
    make_delivery(event, mine, "b")
    make_delivery(event, cast.run(), "b")
    make_delivery(other, cast.run(), "b")
    anna = cast.member("approver", username="anna")
    (shown,) = cast.get("events/", anna)["items"]
    assert shown["id"] == event.pk
    assert shown["deliveries"]["delivered"] == 1
    (delivery,) = cast.get(f"events/{event.pk}/", anna)["deliveries"]["items"]
    assert delivery["run"] == str(mine.pk)
    assert anna.get(cast.url(f"events/{other.pk}/")).status_code == 404


def test_a_dead_letter_is_replayed_to_a_step_that_waits_again(cast: RunCast) -> None:
    run = cast.run()
    event = make_event(cast.workspace, key="order-7")
    dead = make_delivery(event, run, "a", "X", error={"code": "expression_failed", "message": "no amount"})
    address = cast.url(f"dead-letters/{dead.pk}/replay/")
    (letter,) = cast.get("dead-letters/")["items"]
    assert letter["replayable"] is False
    refused = cast.client.post(address)
    assert (refused.status_code, refused.json()["code"]) == (409, "wait_is_over")
    elsewhere = make_event_wait(run, "a", "order.sent", "order-7")
    refused = cast.client.post(address)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_awaited")
    elsewhere.delete()
    token = make_event_wait(run, "a", "order.paid", "order-7")
    assert cast.get("dead-letters/")["items"][0]["replayable"] is True
    assert cast.client.post(address).status_code == 204
    token.refresh_from_db()
    assert token.state == "R"
    assert signal_of(token)["event"]["id"] == event.event_id
    rows = Delivery.objects.order_by("replay")
    assert [(row.state, row.replay) for row in rows] == [("I", 0), ("D", 1)]
    assert cast.client.post(address).json()["code"] == "not_dead"
    assert AuditEntry.objects.get(action="event.replay").target == f"delivery {dead.pk}"


def test_a_dead_letter_is_discarded_and_stays_in_the_history(cast: RunCast) -> None:
    fault = {"code": "expression_failed", "message": "no amount"}
    dead = make_delivery(make_event(cast.workspace), cast.run(), "a", "X", error=fault)
    address = cast.url(f"dead-letters/{dead.pk}/discard/")
    assert cast.client.post(address).status_code == 204
    assert cast.get("dead-letters/")["items"] == []
    (kept,) = cast.get(f"events/{dead.event_id}/")["deliveries"]["items"]
    assert (kept["state"], kept["error"]) == ("ignored", fault)
    assert cast.client.post(address).status_code == 409
    assert AuditEntry.objects.filter(action="event.discard").count() == 1


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_a_foreign_dead_letter_does_not_exist(cast: RunCast, verb: str) -> None:
    neighbour = RunCast("globex")
    dead = make_delivery(make_event(neighbour.workspace), neighbour.run(), "a", "X")
    assert cast.client.post(cast.url(f"dead-letters/{dead.pk}/{verb}/")).status_code == 404
    dead.refresh_from_db()
    assert dead.state == "X"
    assert cast.get("dead-letters/")["items"] == []
