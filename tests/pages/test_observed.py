"""Each request is counted by its route, and its log lines say what it is about."""

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import ResolverMatch
from prometheus_client import REGISTRY

from designer.services.publishing import publish
from orchestrator.api import Run
from orchestrator.core.errors import NotFound
from orchestrator.engine.log_context import add_facts
from orchestrator.web.observed import observed
from tests.designer_cast import Cast, document, transform

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CAME = f"00-{TRACE_ID}-b7ad6b7169203331-01"


def count(**labels: str) -> float:
    return REGISTRY.get_sample_value("branchline_http_requests_total", labels) or 0.0


def test_requests_are_counted_by_route_not_by_address(client: Client) -> None:
    before = count(method="GET", route="healthz", status="200"), count(method="GET", route="none", status="404")
    client.get("/healthz")
    client.get("/no/such/address")
    client.get("/no/such/other/address")
    after = count(method="GET", route="healthz", status="200"), count(method="GET", route="none", status="404")
    assert (after[0] - before[0], after[1] - before[1]) == (1, 2)


def test_a_made_up_method_makes_no_new_series(client: Client) -> None:
    before = count(method="other", route="healthz", status="405")
    client.generic("BREW", "/healthz")
    assert count(method="other", route="healthz", status="405") == before + 1
    assert not count(method="BREW", route="healthz", status="405")


@pytest.mark.parametrize(("header", "shown"), [(CAME, TRACE_ID), ("00-forged\x1b-01", None), ("", None)])
def test_lines_carry_what_the_request_is_about(header: str, shown: str | None) -> None:
    seen: list[Any] = []

    def view(request: HttpRequest) -> HttpResponse:
        parts = {"workspace": "demo", "run": "r-1", "key": "charge"}
        request.resolver_match = ResolverMatch(view, (), parts, url_name="run-step")
        seen.append(add_facts(None, "", {"event": "line", "step": "said itself"}))
        return HttpResponse()

    request = RequestFactory().get("/", headers={"traceparent": header})
    observed(view)(request)
    facts = {"event": "line", "workspace": "demo", "run": "r-1", "step": "said itself"}
    assert seen == [facts if shown is None else {**facts, "trace_id": shown}]
    assert add_facts(None, "", {"event": "later"}) == {"event": "later"}


def test_what_a_request_was_about_is_forgotten_when_it_fails() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        raise NotFound("gone")

    with pytest.raises(NotFound):
        observed(view)(RequestFactory().get("/", headers={"traceparent": CAME}))
    assert add_facts(None, "", {"event": "later"}) == {"event": "later"}


@pytest.mark.django_db
def test_a_run_started_by_the_api_keeps_the_callers_trace(valkey: str) -> None:
    cast = Cast("demo")
    publish(workflow=cast.workflow(document(transform("a"), name="Flow")), note="", actor=cast.actor)
    headers = {"traceparent": CAME, "tracestate": "vendor=1"}
    for sent, kept in ((headers, headers), ({"traceparent": "nonsense"}, None), ({}, None)):
        answer = cast.client.post(cast.url("workflows/flow/runs/"), {}, format="json", headers=sent)
        assert answer.status_code == 201, answer.content
        assert Run.objects.get(pk=answer.json()["id"]).trace_context == kept
