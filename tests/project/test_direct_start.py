"""A start by the short way is answered, recorded and refused as by the whole way."""

import asyncio
from typing import Any

import pytest

from orchestrator.core.parse import parse_document
from orchestrator.models import Run
from orchestrator.project.direct import Answer
from orchestrator.services.versions import publish_version
from tests.designer_cast import document, transform
from tests.project.two_ways import START, House, asked, house, mine, statements

__all__ = ["house", "mine"]
pytestmark = pytest.mark.django_db(transaction=True)


GOOD: dict[str, dict[str, Any]] = {
    "empty": {"json": {}},
    "input": {"json": {"input": {"amount": 3}}},
    "all fields": {
        "json": {"input": {}, "correlation_id": "c", "priority": -5, "deadline": "PT1H"},
    },
    "text beyond ASCII": {"content": '{"input": {"note": "gr\u00fc\u00df \u2028 \\u2029 \U0001f642"}}'.encode()},
    "numbers": {"content": b'{"input": {"note": [4611686018427387904, 1e-7, -0.0, 1E3]}}'},
    "charset": {"content": b"{}", "headers": {"Content-Type": "application/json; charset=utf-8"}},
    "accept": {"json": {}, "headers": {"Accept": "application/json"}},
    "named": {"json": {}, "headers": {"X-Request-ID": "given-by-me"}},
    "badly named": {"json": {}, "headers": {"X-Request-ID": "not given!"}},
    "origin": {"json": {}, "headers": {"Origin": "https://elsewhere.example", "Referer": "https://elsewhere.example/"}},
}


@pytest.mark.parametrize("case", list(GOOD))
def test_a_plain_start_is_answered_as_by_the_whole_way(house: House, mine: dict[str, str], case: str) -> None:
    request = GOOD[case]
    answer = house.started(**{**request, "headers": mine | request.get("headers", {})})
    assert answer.status_code == 201, answer.text
    assert [type(one) for one in house.spied.taken] == [Answer]
    assert Run.objects.count() == 2
    if case == "named":
        assert answer.headers["X-Request-ID"] == "given-by-me"


BAD: dict[str, tuple[int, dict[str, Any]]] = {
    "no JSON": (400, {"content": b"{"}),
    "two of one name": (400, {"content": b'{"input": {}, "input": {}}'}),
    "NUL": (400, {"content": b'{"input": "\\u0000"}'}),
    "too deep": (400, {"content": b"[" * 100 + b"]" * 100}),
    "no object": (400, {"content": b"[]"}),
    "null": (201, {"content": b"null"}),
    "unknown field": (400, {"json": {"version": 1}}),
    "unfit field": (400, {"json": {"priority": "high", "correlation_id": "x" * 300}}),
    "unfit input": (400, {"json": {"input": {"amount": "much"}}}),
    "unfit deadline": (400, {"json": {"deadline": "soon"}}),
    "unfit key": (400, {"json": {}, "headers": {"Idempotency-Key": "x" * 201}}),
}


@pytest.mark.parametrize("case", list(BAD))
def test_what_the_deed_refuses_is_told_by_the_whole_way(house: House, mine: dict[str, str], case: str) -> None:
    status, request = BAD[case]
    answer = house.started(**{**request, "headers": mine | request.get("headers", {})})
    assert answer.status_code == status, answer.text
    assert len(house.spied.taken) == 1
    assert house.spied.taken[0] is not None


def test_an_idempotency_key_holds_across_the_ways(house: House, mine: dict[str, str]) -> None:
    keyed: dict[str, Any] = {"headers": mine | {"Idempotency-Key": "k"}, "json": {"input": {"amount": 1}}}
    first = asyncio.run(asked(house.short, START, **keyed))
    again = house.started(**keyed)
    other = house.started(headers=keyed["headers"], json={"input": {"amount": 2}})
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert again.json()["id"] == first.json()["id"]
    assert Run.objects.count() == 1


def test_what_conflicts_is_told_alike(house: House, mine: dict[str, str]) -> None:
    asyncio.run(asked(house.short, START, headers=mine, json={"business_key": "b"}))
    assert house.started(headers=mine, json={"business_key": "b"}).status_code == 409
    assert house.both("/api/v1/w/demo/workflows/none/runs/", headers=mine, json={}).status_code == 404
    house.cast.workflow(document(transform("a"), name="Never"))
    assert house.both("/api/v1/w/demo/workflows/never/runs/", headers=mine, json={}).status_code == 409


def test_a_start_remembers_the_trace_that_it_came_with(house: House, mine: dict[str, str]) -> None:
    came = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    house.started(headers=mine | {"traceparent": came}, json={})
    assert [run.trace_context for run in Run.objects.all()] == [{"traceparent": came}] * 2


def test_nobody_is_refused_for_what_was_so_when_they_were_remembered(house: House, mine: dict[str, str]) -> None:
    fits_the_next_only = {"json": {"input": {"amount": "three"}}}
    for _ in range(2):
        assert house.started(headers=mine, json={}).status_code == 201
        assert house.started(headers=mine, **fits_the_next_only).status_code == 400
    workflow = house.cast.workspace.workflows.get(slug="flow")
    raw = document(transform("a"), name="Flow", input={"type": "object", "properties": {"amount": {"type": "string"}}})
    publish_version(workflow=workflow, document=parse_document(raw), raw=raw, note="", actor=house.cast.actor)
    assert house.started(headers=mine, **fits_the_next_only).status_code == 201
    before = Run.objects.count()
    assert house.started(headers=mine, json={"input": {"amount": 3}}).status_code == 400
    assert Run.objects.count() == before


def test_a_version_published_since_is_the_one_that_starts(house: House, mine: dict[str, str]) -> None:
    for _ in range(2):
        assert house.started(headers=mine, json={}).json()["version"] == 1
    workflow, raw = house.cast.workspace.workflows.get(slug="flow"), document(transform("b"), name="Flow")
    publish_version(workflow=workflow, document=parse_document(raw), raw=raw, note="", actor=house.cast.actor)
    assert house.started(headers=mine, json={}).json()["version"] == 2
    assert isinstance(house.spied.taken[-1], Answer), "it is asked again, not left to the whole way"
    assert statements(house, START, mine, b"{}") == 1, "and is remembered as it is now"
