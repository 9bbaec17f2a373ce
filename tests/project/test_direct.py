"""The short way of the hot routes answers, records and refuses as the whole way does, or leaves the request to it."""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.db import connections
from django.db.models import F
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from prometheus_client import REGISTRY

from designer.services.publishing import publish
from orchestrator.core.parse import parse_document
from orchestrator.models import ApiToken, AuditEntry, Decision, HumanTask, Membership, Run, Token, User
from orchestrator.models.ballot import digest_of
from orchestrator.policy import ROUTES
from orchestrator.project import direct
from orchestrator.project.callers import LONGEST_FORESEEN
from orchestrator.project.direct import KNOWN_MIDDLEWARE, LONGEST_BODY, THREADS, Answer, Direct, Outcome, Plain
from orchestrator.project.handler import Pages
from orchestrator.project.hot_routes import HOT_ROUTES
from orchestrator.rest import throttle
from orchestrator.services.versions import publish_version
from tests.designer_cast import Cast, document, transform
from tests.factories import bearer, make_member, make_workspace
from tests.project.up_process import ROOT
from tests.run_factories import make_run, make_task

pytestmark = pytest.mark.django_db(transaction=True)

ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
START = "/api/v1/w/demo/workflows/flow/runs/"
#: What differs between two requests that are the same.
OWN = {"id", "run_id", "task_id", "started_at", "seq", "correlation_id", "request_id", "run"}
INPUT = {"type": "object", "properties": {"amount": {"type": "integer"}}}
OUTCOMES = [{"key": "yes", "label": "Yes"}, {"key": "no", "label": "No", "comment": "required"}]


class Spied(Direct):
    """Remembers what came of the requests that it took."""

    def __init__(self) -> None:
        self.taken: list[Outcome] = []
        super().__init__(HOT_ROUTES)

    async def outcome(self, plain: Plain, body: bytes) -> Outcome:
        self.taken.append(await super().outcome(plain, body))
        return self.taken[-1]

    def on_each_thread(self, act: Callable[[Any], object]) -> None:
        """Do something with the database connection of each."""
        all_are_here = threading.Barrier(THREADS)

        def on_this() -> None:
            all_are_here.wait(10)
            act(connections["default"])

        for acting in [self._threads.submit(on_this) for _ in range(THREADS)]:
            acting.result()


@dataclass
class House:
    """A workflow to start, tasks to decide, and the two ways: `short` tries the short one first."""

    cast: Cast
    spied: Spied
    short: Pages
    whole: Pages

    def headers(self, user: User) -> dict[str, str]:
        """Of a request by a token whose use was just noted: noting it is the whole way's."""
        made = bearer(self.cast.workspace, user)
        ApiToken.objects.filter(user=user).update(last_used_at=datetime.now(UTC))
        return {**made, "Content-Type": "application/json"}

    def task(self, **fields: Any) -> HumanTask:
        workflow = self.cast.workspace.workflows.get(slug="flow")
        assert workflow.live_version is not None
        return make_task(make_run(workflow.live_version), "a", outcomes=OUTCOMES, **fields)

    def started(self, **more: Any) -> Any:
        return self.both(START, **more)

    def both(self, *addresses: str, **more: Any) -> Any:
        """The answer of both ways, which must be one, to one request (with an address for each where two are given)."""
        seen = []
        for app, address in zip((self.short, self.whole), addresses * 2, strict=False):
            before = set(AuditEntry.objects.values_list("pk", flat=True))
            answer = asyncio.run(asked(app, address, **more))
            seen.append((shown(answer), recorded(before), answer))
        assert seen[0][0] == seen[1][0]
        assert seen[0][1] == seen[1][1]
        return seen[0][2]


async def asked(app: Pages, address: str, method: str = "POST", **more: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]  # a plainer scope
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.request(method, address, **more)


def shown(answer: httpx.Response) -> tuple[Any, ...]:
    headers = dict(answer.headers)
    assert (given := headers.pop("x-request-id")), given
    assert int(headers.pop("content-length", len(answer.content))) == len(answer.content)
    body = answer.json() if answer.content else None
    return answer.status_code, headers, without_own(body)


def without_own(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_own(inner) for key, inner in value.items() if key not in OWN}
    return value


def recorded(before: set[int]) -> list[Any]:
    """The audit entries made since, ids aside."""
    made = AuditEntry.objects.exclude(pk__in=before).order_by("pk")
    return [
        (one.actor_name, one.via, one.action, ID.sub("", one.target), one.allowed, without_own(one.detail))
        for one in made
    ]


@pytest.fixture
def house(valkey: str) -> Iterator[House]:
    cast = Cast("demo")
    publish(workflow=cast.workflow(document(transform("a"), name="Flow", input=INPUT)), note="", actor=cast.actor)
    made = House(cast, spied := Spied(), Pages(spied), Pages())
    yield made
    spied.on_each_thread(lambda connection: connection.close())
    spied._threads.shutdown()


@pytest.fixture
def mine(house: House) -> dict[str, str]:
    return house.headers(house.cast.editor)


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


def test_who_may_not_is_refused_by_the_whole_way(house: House, mine: dict[str, str]) -> None:
    viewer = make_member(house.cast.workspace, "viewer")
    body: dict[str, Any] = {"json": {}}
    assert house.started(headers=house.headers(viewer), **body).status_code == 403
    assert house.started(headers={**mine, "Authorization": "Bearer brl_unknown"}, **body).status_code == 401
    assert house.started(headers={**mine, "Authorization": "Bearer "}, **body).status_code == 401
    assert house.started(headers={**mine, "Authorization": "Bearer " + "x" * 300}, **body).status_code == 401
    make_workspace("theirs")
    assert house.both("/api/v1/w/theirs/workflows/flow/runs/", headers=mine, **body).status_code == 404
    ApiToken.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert house.started(headers=mine, **body).status_code == 401
    ApiToken.objects.update(expires_at=None, revoked_at=datetime.now(UTC))
    assert house.started(headers=mine, **body).status_code == 401
    assert house.spied.taken == [None] * 7
    assert not Run.objects.exists()


def test_the_first_use_in_a_minute_is_noted_by_the_whole_way(house: House, mine: dict[str, str]) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    ApiToken.objects.update(last_used_at=long_ago)
    assert asyncio.run(asked(house.short, START, json={}, headers=mine)).status_code == 201
    assert asyncio.run(asked(house.short, START, json={}, headers=mine)).status_code == 201
    assert [type(one) for one in house.spied.taken] == [type(None), Answer]
    assert ApiToken.objects.get().last_used_at > long_ago  # type: ignore[operator]  # noted


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


def statements(house: House, address: str, headers: dict[str, str], body: bytes) -> int:
    """What a request costs when it is answered on this thread."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    raw += [(b"host", b"testserver"), (b"content-length", str(len(body)).encode())]
    scope = {"method": "POST", "path": address, "query_string": b"", "scheme": "http", "headers": raw}
    plain = house.spied.plain(scope)
    assert plain is not None
    with CaptureQueriesContext(connections["default"]) as asked:
        assert isinstance(house.spied._outcome(plain, body), Answer)
    return len(asked)


def test_a_start_costs_two_statements_and_the_next_one(house: House, mine: dict[str, str]) -> None:
    """Who asks and what for, and the start itself; later the start, that looks whether all of that is still so."""
    others = house.headers(make_member(house.cast.workspace, "operator"))
    assert asyncio.run(asked(house.short, START, headers=others, json={})).status_code == 201  # reads the version
    assert [statements(house, START, mine, b"{}") for _ in range(3)] == [2, 1, 1]


def revoked(house: House) -> None:
    ApiToken.objects.update(revoked_at=datetime.now(UTC))


def expired(house: House) -> None:
    ApiToken.objects.update(expires_at=datetime.now(UTC))


def role_lost(house: House) -> None:
    Membership.objects.filter(user=house.cast.editor).update(roles=["approver"])


def narrowed(house: House) -> None:
    ApiToken.objects.update(roles=["approver"])


def left(house: House) -> None:
    Membership.objects.filter(user=house.cast.editor).delete()


def deactivated(house: House) -> None:
    User.objects.filter(pk=house.cast.editor.pk).update(is_active=False)


def archived(house: House) -> None:
    house.cast.workspace.workflows.update(archived_at=datetime.now(UTC))


def never_published(house: House) -> None:
    house.cast.workspace.workflows.update(live_version=None)


CHANGES: dict[Callable[[House], None], int] = {
    revoked: 401,
    expired: 401,
    deactivated: 401,
    role_lost: 403,
    narrowed: 403,
    left: 404,
    archived: 404,
    never_published: 409,
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_what_changed_since_a_caller_was_remembered_counts_at_once(
    house: House, mine: dict[str, str], change: Callable[[House], None]
) -> None:
    for _ in range(2):
        assert house.started(headers=mine, json={}).status_code == 201
    before = Run.objects.count()
    change(house)
    assert house.started(headers=mine, json={}).status_code == CHANGES[change]
    assert Run.objects.count() == before


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


@pytest.mark.parametrize("is_shown", [True, False])
def test_a_decision_costs_two_statements_or_one_after_the_task_was_shown(house: House, is_shown: bool) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    task = house.task()
    if is_shown:
        show(house, task, headers)
        HumanTask.objects.update(notified_at=datetime.now(UTC))  # that the mail has gone changes nothing
    body = {"outcome": "yes", "digest": digest_of(task)}
    cost = statements(house, f"/api/v1/w/demo/tasks/{task.pk}/decide/", headers, json.dumps(body).encode())
    assert cost == (1 if is_shown else 2)
    assert house.spied._callers._foreseen == {}, "it serves once"


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


# --- Deciding ---------------------------------------------------------------------------------------------------------


def show(house: House, task: HumanTask, headers: dict[str, str]) -> None:
    """Read the task before it is decided, which lets the short way read ahead."""
    asyncio.run(asked(house.short, f"/api/v1/w/demo/tasks/{task.pk}/", "GET", headers=headers))
    if house.spied._ahead is not None:
        house.spied._ahead.result(10)


def decided(house: House, tasks: tuple[HumanTask, HumanTask], headers: dict[str, str], **body: Any) -> Any:
    """One answer for one task by the short way, and for its twin by the whole way."""
    addresses = [f"/api/v1/w/demo/tasks/{task.pk}/decide/" for task in tasks]
    return house.both(*addresses, headers=headers, json={"outcome": "yes", "digest": digest_of(tasks[0]), **body})


@pytest.mark.parametrize("is_shown", [True, False])
def test_a_decision_is_answered_as_by_the_whole_way(house: House, is_shown: bool) -> None:
    approver = make_member(house.cast.workspace, "approver")
    headers = house.headers(approver)
    twins = house.task(), house.task()
    if is_shown:
        show(house, twins[0], headers)
    answer = decided(house, twins, headers)
    assert (answer.status_code, answer.json()["closed"]) == (200, True)
    assert [type(one) for one in house.spied.taken] == [Answer]
    assert HumanTask.objects.filter(state="done").count() == 2
    assert decided(house, twins, headers).status_code == 409
    assert isinstance(house.spied.taken[1], Exception)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"outcome": "maybe"}),
        (400, {"outcome": "no"}),
        (412, {"digest": "0" * 64}),
        (400, {"digest": ""}),
        (400, {"more": 1}),
        (400, {"values": []}),
    ],
)
@pytest.mark.parametrize("is_shown", [True, False])
def test_what_a_decision_lacks_is_told_by_the_whole_way(
    house: House, status: int, body: dict[str, Any], is_shown: bool
) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    twins = house.task(), house.task()
    if is_shown:
        show(house, twins[0], headers)
    answer = decided(house, twins, headers, **body)
    assert (answer.status_code, len(house.spied.taken)) == (status, 1), answer.text
    assert not HumanTask.objects.filter(state="done").exists()


def test_a_denied_decision_is_recorded_once(house: House) -> None:
    """By both ways: `both` compares the entries."""
    requester = make_member(house.cast.workspace, "approver")
    twins = house.task(requester=requester), house.task(requester=requester)
    headers = house.headers(requester)
    show(house, twins[0], headers)
    assert decided(house, twins, headers).status_code == 403
    denials = AuditEntry.objects.filter(action="task.decide", allowed=False)
    assert denials.count() == 2
    assert decided(house, twins, house.headers(make_member(house.cast.workspace, "viewer"))).status_code == 403
    assert denials.count() == 4


def decided_by_another(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    assert decided(house, twins, headers).status_code == 200


def meant_for_others(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    other = make_member(house.cast.workspace, "approver")
    HumanTask.objects.update(users=[other.username], roles=[], groups=[], version=2)


def asked_otherwise(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    HumanTask.objects.update(title="Something else", version=2)


def waits_no_more(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    Token.objects.update(epoch=F("epoch") + 1)


def demoted(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    Membership.objects.filter(roles=["approver"]).update(roles=["viewer"])


def expelled(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    Membership.objects.filter(roles=["approver"]).delete()


def token_revoked(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    revoked(house)


def token_expired(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    expired(house)


def token_narrowed(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    ApiToken.objects.update(roles=["viewer"])


def noted_since(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    ApiToken.objects.update(last_used_at=datetime.now(UTC))


SINCE_SHOWN: dict[Callable[[House, tuple[HumanTask, HumanTask]], None], int] = {
    decided_by_another: 409,
    meant_for_others: 403,
    asked_otherwise: 412,
    waits_no_more: 409,
    demoted: 403,
    expelled: 404,
    token_revoked: 401,
    token_expired: 401,
    token_narrowed: 403,
    noted_since: 200,
}


@pytest.mark.parametrize("change", list(SINCE_SHOWN))
def test_what_changed_since_a_task_was_shown_counts_at_once(
    house: House, change: Callable[[House, tuple[HumanTask, HumanTask]], None]
) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    twins = house.task(), house.task()
    show(house, twins[0], headers)
    assert len(house.spied._callers._foreseen) == 1
    change(house, twins)
    assert decided(house, twins, headers).status_code == SINCE_SHOWN[change]
    made = Decision.objects.filter(task__in=twins)
    assert made.count() == (2 if change in (decided_by_another, noted_since) else 0)


def test_who_was_remembered_does_not_decide_what_is_asked_by_now(house: House) -> None:
    """The answer fits the task as it is now, not as it was read ahead: whose it is must be read anew, too."""
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    twins = house.task(), house.task()
    show(house, twins[0], headers)
    asked_otherwise(house, twins)
    revoked(house)
    for task in twins:
        task.refresh_from_db()
    assert decided(house, twins, headers).status_code == 401
    assert not Decision.objects.exists()


def test_what_a_stranger_was_not_shown_is_not_decided(house: House) -> None:
    approver, task = make_member(house.cast.workspace, "approver"), house.task()
    show(house, task, house.headers(approver))
    twins = task, house.task()
    assert decided(house, twins, house.headers(make_member(house.cast.workspace, "viewer"))).status_code == 403


def test_a_long_task_is_not_kept(house: House) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    show(house, house.task(text="x" * LONGEST_FORESEEN), headers)
    assert house.spied._callers._foreseen == {}


def test_reading_ahead_keeps_nobody_waiting(house: House) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    house.spied._ahead = Future()
    house.spied.foresee(shown_scope(house.task(), headers))
    house.spied._ahead, house.spied._free = None, 0
    house.spied.foresee(shown_scope(house.task(), headers))
    assert house.spied._ahead is None


def shown_scope(task: HumanTask, headers: dict[str, str]) -> dict[str, Any]:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"method": "GET", "path": f"/api/v1/w/demo/tasks/{task.pk}/", "headers": raw}


def test_an_unknown_task_is_told_alike(house: House) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    body = {"outcome": "yes", "digest": "0" * 64}
    for name in (str(uuid4()), str(uuid4()).upper(), "none"):
        assert house.both(f"/api/v1/w/demo/tasks/{name}/decide/", headers=headers, json=body).status_code == 404
    assert len(house.spied.taken) == 1


# --- What it stands on ------------------------------------------------------------------------------------------------


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
