"""Events go the short way, too: accepted, refused and recorded as by the whole way."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.models import ApiToken, Event, Membership
from orchestrator.project.direct import Answer
from tests.factories import make_member
from tests.project.two_ways import House, asked, house, mine, statements

__all__ = ["house", "mine"]
pytestmark = pytest.mark.django_db(transaction=True)

EVENTS = "/api/v1/w/demo/events/"
TOLD = {"specversion": "1.0", "source": "/shop", "type": "order.paid"}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def told(**more: Any) -> dict[str, Any]:
    return {**TOLD, "id": uuid4().hex, **more}


def sent(house: House, headers: dict[str, str], **more: Any) -> Any:
    """The same event by each way, but for its id."""
    answers = []
    for app in (house.short, house.whole):
        content = more["content"] if "content" in more else json.dumps(told(**more.get("event", {}))).encode()
        answers.append(asyncio.run(asked(app, EVENTS, content=content, headers=headers)))
    one, other = answers
    assert one.status_code == other.status_code, (one.text, other.text)
    unlike = {"x-request-id", "content-length"}
    assert {k: v for k, v in one.headers.items() if k not in unlike} == {
        k: v for k, v in other.headers.items() if k not in unlike
    }
    apart = {"id", "event", "request_id"}
    shown = [{k: v for k, v in answer.json().items() if k not in apart} for answer in answers]
    assert shown[0] == shown[1]
    return one


@pytest.mark.parametrize("more", [{}, {"key": "17", "data": {"a": [1, None]}}, {"subject": "s", "traceparent": "00-x"}])
@pytest.mark.parametrize("headers", [{}, STRUCTURED])
def test_a_plain_event_is_answered_as_by_the_whole_way(
    house: House, mine: dict[str, str], headers: dict[str, str], more: dict[str, Any]
) -> None:
    assert sent(house, mine | headers, event=more).status_code == 201
    assert [type(one) for one in house.spied.taken] == [Answer]
    one, other = Event.objects.values("source", "type", "key", "subject", "data", "extra", "published_by_id")
    assert one == other


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, b"{"),
        (400, b"[]"),
        (400, b"{}"),
        (400, json.dumps({**TOLD, "id": ""}).encode()),
        (400, b'{"id": "\\u0000"}'),
    ],
)
def test_what_the_deed_refuses_is_told_by_the_whole_way(
    house: House, mine: dict[str, str], status: int, content: bytes
) -> None:
    assert sent(house, mine, content=content).status_code == status
    assert len(house.spied.taken) == 1
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": "order.paid"},
        {"Content-Type": "application/cloudevents-batch+json"},
        {"Content-Type": "text/plain"},
    ],
)
def test_what_is_no_plain_event_is_not_taken(house: House, mine: dict[str, str], headers: dict[str, str]) -> None:
    asyncio.run(asked(house.short, EVENTS, json=told(), headers=mine | headers))
    assert house.spied.taken == []


def test_a_duplicate_across_the_ways(house: House, mine: dict[str, str]) -> None:
    event = told()
    first = asyncio.run(asked(house.short, EVENTS, json=event, headers=mine))
    second = asyncio.run(asked(house.whole, EVENTS, json=event, headers=mine))
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == {**first.json(), "duplicate": True}


def test_an_event_costs_two_statements_and_the_next_one(house: House, mine: dict[str, str]) -> None:
    assert [statements(house, EVENTS, mine, json.dumps(told()).encode()) for _ in range(3)] == [2, 1, 1]


@pytest.mark.parametrize("change", ["revoked", "role lost"])
def test_what_changed_since_a_caller_was_remembered_counts_at_once(
    house: House, mine: dict[str, str], change: str
) -> None:
    assert asyncio.run(asked(house.short, EVENTS, json=told(), headers=mine)).status_code == 201
    if change == "revoked":
        ApiToken.objects.update(expires_at="2020-01-01T00:00:00Z")
    else:
        Membership.objects.filter(user=house.cast.editor).update(roles=["approver"])
    refused = asyncio.run(asked(house.short, EVENTS, json=told(), headers=mine))
    assert refused.status_code == (401 if change == "revoked" else 403)
    assert Event.objects.count() == 1


def test_who_may_not_is_refused_by_the_whole_way(house: House) -> None:
    viewer = house.headers(make_member(house.cast.workspace, "viewer"))
    assert sent(house, viewer).status_code == 403
    assert house.spied.taken == [None]
