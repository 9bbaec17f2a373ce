"""What the short way takes, and what it leaves to the whole way; what it stands on."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.test import override_settings
from django.urls import resolve
from prometheus_client import REGISTRY

from orchestrator.models import Run
from orchestrator.policy import ROUTES
from orchestrator.project import direct
from orchestrator.project.direct import KNOWN_MIDDLEWARE, LONGEST_BODY, THREADS, Answer, Direct
from orchestrator.project.handler import Pages
from orchestrator.project.hot_routes import HOT_ROUTES
from orchestrator.rest import throttle
from tests.project.two_ways import START, House, asked, house, mine
from tests.project.up_process import ROOT

__all__ = ["house", "mine"]
pytestmark = pytest.mark.django_db(transaction=True)


ODD: dict[str, tuple[int, dict[str, Any]]] = {
    "a parameter": (201, {"json": {}, "params": {"wait": "0"}}),
    "an unknown parameter": (400, {"json": {}, "params": {"x": "1"}}),
    "another method": (405, {"json": {}, "method": "PUT"}),
    "a cookie": (201, {"json": {}, "headers": {"Cookie": "session=x"}}),
    "a form": (415, {"data": {"input": "x"}, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
    "a wish for HTML": (406, {"json": {}, "headers": {"Accept": "text/html"}}),
    "another host": (400, {"json": {}, "headers": {"Host": "elsewhere.example"}}),
    "no body": (201, {}),
    "a long body": (201, {"json": {"input": {"note": "x" * LONGEST_BODY}}}),
    "a name with an underscore": (201, {"json": {}, "headers": {"x_request_id": "given-by-me"}}),
    "another scheme": (401, {"json": {}, "headers": {"Authorization": "Basic eDp5"}}),
}


@pytest.mark.parametrize("case", list(ODD))
def test_what_is_not_plain_is_not_taken(house: House, mine: dict[str, str], case: str) -> None:
    status, request = ODD[case]
    answer = house.started(**{**request, "headers": mine | request.get("headers", {})})
    assert answer.status_code == status, answer.text
    assert house.spied.taken == []


def test_the_ceiling_holds_on_both_ways_together(
    house: House, mine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "PER_CALLER", 3)
    answers = [asyncio.run(asked(house.short, START, json={}, headers=mine)) for _ in range(8)]
    # The window may turn once while this runs: then three more pass.
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 2
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
    assert Run.objects.count() == 8 - len(refused)


def test_a_failure_of_ours_is_told_by_the_whole_way(
    house: House, mine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(house.spied, "_routes", (replace(HOT_ROUTES[0], deed=broken),))
    answer = asyncio.run(asked(house.short, START, headers=mine, json={}))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert not Run.objects.exists()


def test_a_connection_that_broke_meanwhile_costs_nobody_their_start(house: House, mine: dict[str, str]) -> None:
    def break_it(connection: Any) -> None:
        connection.ensure_connection()
        connection.connection.close()

    house.spied.on_each_thread(break_it)
    while not any(house.spied.taken) and len(house.spied.taken) <= THREADS:
        assert asyncio.run(asked(house.short, START, headers=mine, json={})).status_code == 201
    assert house.spied.taken[0] is None
    assert isinstance(house.spied.taken[-1], Answer), "each connection is replaced once"


def test_more_than_it_has_threads_for_go_the_whole_way(house: House, mine: dict[str, str]) -> None:
    house.spied._free = 0
    assert house.started(headers=mine, json={}).status_code == 201
    assert house.spied.taken == []
    assert Direct(HOT_ROUTES)._free == THREADS


def test_requests_are_counted_alike(house: House, mine: dict[str, str]) -> None:
    def counted() -> float:
        labels = {"method": "POST", "route": "api-workflow-runs", "status": "201"}
        return REGISTRY.get_sample_value("branchline_http_requests_total", labels) or 0.0

    before = counted()
    house.started(headers=mine, json={})
    assert counted() == before + 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_walls_stand_where_browsers_speak_https(house: House, mine: dict[str, str], scheme: str) -> None:
    with override_settings(SECURE_HSTS_SECONDS=100, SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https")):
        house.short, house.whole = Pages(house.spied), Pages()  # some middleware reads its settings once
        answer = house.started(headers=mine | {"X-Forwarded-Proto": scheme}, json={})
        assert ("Strict-Transport-Security" in answer.headers) is (scheme == "https")
        assert [type(one) for one in house.spied.taken] == [Answer]
        with override_settings(SECURE_SSL_REDIRECT=True):
            moved = asyncio.run(asked(Pages(house.spied), START, headers=mine | {"X-Forwarded-Proto": scheme}, json={}))
            assert moved.status_code == (201 if scheme == "https" else 301)


@pytest.mark.parametrize("route", HOT_ROUTES, ids=lambda route: route.name)
def test_a_hot_route_is_a_route_of_the_policy(route: direct.Route) -> None:
    address = {
        "api-workflow-runs": START,
        "api-task-decide": f"/api/v1/w/demo/tasks/{uuid4()}/decide/",
        "api-events": "/api/v1/w/demo/events/",
    }[route.name]
    found, match = resolve(address), route.address.fullmatch(address)
    assert match is not None
    if route.shown_at is not None:
        page = address.removesuffix("decide/")
        shown = route.shown_at.fullmatch(page)
        assert shown is not None
        assert (resolve(page).kwargs, shown.groupdict()) == (found.kwargs, match.groupdict())
    assert (found.view_name, found.kwargs) == (route.name, match.groupdict())
    methods = {*ROUTES[route.name], *({"HEAD"} if "GET" in ROUTES[route.name] else ())}
    assert {one.strip() for one in route.allow.split(",")} == methods


def test_middleware_that_it_does_not_know_closes_it(settings: Any) -> None:
    assert tuple(settings.MIDDLEWARE) == KNOWN_MIDDLEWARE
    assert Direct(HOT_ROUTES)._routes == HOT_ROUTES
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.gzip.GZipMiddleware"]
    assert Direct(HOT_ROUTES)._routes == ()


def test_the_web_process_uses_it() -> None:
    served = (ROOT / "orchestrator/project/asgi.py").read_text()
    assert "Pages(Direct(HOT_ROUTES))" in served
