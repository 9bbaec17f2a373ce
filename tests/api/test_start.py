"""Starting runs by the API."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.exceptions import ValidationError

from designer import waiting
from designer.api.runs import taken
from designer.api.serializers import RunRequest
from designer.services.publishing import publish
from orchestrator.api import Run, Workflow
from orchestrator.engine import announcements
from tests.designer_cast import Cast, document, transform
from tests.factories import bearer

pytestmark = pytest.mark.django_db

INPUT = {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]}


@pytest.fixture
def cast(valkey: str) -> Cast:
    return Cast("demo")


@pytest.fixture
def workflow(cast: Cast) -> Workflow:
    made = cast.workflow(document(transform("a"), name="Flow", input=INPUT))
    publish(workflow=made, note="", actor=cast.actor)
    return made


BODIES: list[Any] = [
    None,
    {},
    [],
    "input",
    {"input": None},
    {"input": {}},
    {"input": {"amount": 1, "note": "grüß"}},
    {"input": [1, None]},
    {"input": 0},
    {"input": False},
    {"input": {}, "priority": 3},
    {"input": {}, "unknown": 1},
    {"inputs": {}},
]


def outcome(taking: Callable[[Any], dict[str, Any]], body: Any) -> Any:
    try:
        return taking(body)
    except ValidationError as error:
        return error.detail


@pytest.mark.parametrize("body", BODIES, ids=repr)
def test_the_commonest_body_is_taken_as_the_serializer_takes_it(body: Any) -> None:
    def whole(body: Any) -> dict[str, Any]:
        return dict(RunRequest().run_validation({} if body is None else body))

    assert outcome(taken, body) == outcome(whole, body)


def start(cast: Cast, body: Any, query: str = "", **headers: str) -> Any:
    return cast.client.post(cast.url(f"workflows/flow/runs/{query}"), body, format="json", headers=headers)


def test_it_starts_a_run_of_the_live_version(cast: Cast, workflow: Workflow) -> None:
    answer = start(cast, {"input": {"amount": 3}, "correlation_id": "c-1", "business_key": "order-1"})
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["state"], body["version"], body["workflow"]) == ("running", 1, "flow")
    run = Run.objects.get(pk=body["id"])
    assert (run.input, run.correlation_id, run.business_key) == ({"amount": 3}, "c-1", "order-1")
    assert run.started_by_id == cast.editor.pk


def test_the_answer_is_what_a_read_of_the_run_shows(cast: Cast, workflow: Workflow) -> None:
    answer = start(cast, {"input": {"amount": 3}, "business_key": "order-1"}).json()
    read = cast.client.get(cast.url(f"runs/{answer['id']}/")).json()
    assert read.pop("seq") >= answer.pop("seq")
    assert read == answer


def test_a_start_by_token_costs_three_statements(cast: Cast, workflow: Workflow) -> None:
    client = Client(headers=bearer(cast.workspace, cast.editor))

    def ask() -> int:
        address = cast.url("workflows/flow/runs/")
        return client.post(address, {"input": {"amount": 1}}, content_type="application/json").status_code

    assert ask() == 201  # this one reads the version and notes the token's use
    with CaptureQueriesContext(connection) as asked:
        assert ask() == 201
    assert len(asked) == 3  # who, what, and the start itself


def test_an_input_that_does_not_fit_names_the_field(cast: Cast, workflow: Workflow) -> None:
    answer = start(cast, {"input": {"amount": "much"}})
    assert (answer.status_code, answer.json()["code"]) == (400, "input_invalid")
    assert answer.json()["details"]["problems"][0]["path"] == "amount"
    assert not Run.objects.exists()


def test_a_workflow_that_is_not_published_starts_nothing(cast: Cast) -> None:
    cast.workflow(document(transform("a"), name="Flow"))
    assert (start(cast, {}).status_code, start(cast, {}).json()["code"]) == (409, "not_published")


def test_an_idempotency_key_starts_one_run(cast: Cast, workflow: Workflow) -> None:
    first = start(cast, {"input": {"amount": 1}}, **{"Idempotency-Key": "k"})
    again = start(cast, {"input": {"amount": 1}}, **{"Idempotency-Key": "k"})
    other = start(cast, {"input": {"amount": 2}}, **{"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json()["id"] == again.json()["id"]
    assert Run.objects.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_an_idempotency_key_has_bounds(cast: Cast, workflow: Workflow, key: str) -> None:
    answer = start(cast, {"input": {"amount": 1}}, **{"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")


@pytest.mark.parametrize("field", ["id", "workspace", "version", "state", "started_by", "trigger"])
def test_it_refuses_unknown_fields(cast: Cast, workflow: Workflow, field: str) -> None:
    answer = start(cast, {"input": {"amount": 1}, field: "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_field")
    assert not Run.objects.exists()


@pytest.mark.parametrize("wait", ["-1", "31", "x", "1e1", "9" * 40, ""])
def test_wait_is_bounded(cast: Cast, workflow: Workflow, wait: str) -> None:
    answer = start(cast, {"input": {"amount": 1}}, query=f"?wait={wait}")
    assert (answer.status_code, answer.json()["code"]) == (400, "wait_invalid")


@pytest.mark.parametrize("role", ["viewer", "approver"])
def test_viewers_and_approvers_start_nothing(cast: Cast, workflow: Workflow, role: str) -> None:
    answer = cast.member(role).post(cast.url("workflows/flow/runs/"), {"input": {"amount": 1}}, format="json")
    assert answer.status_code == 403
    assert not Run.objects.exists()


def test_a_foreign_workflow_starts_nothing(cast: Cast, workflow: Workflow) -> None:
    other = Cast("other")
    assert other.client.post(cast.url("workflows/flow/runs/"), {"input": {}}, format="json").status_code == 404
    assert other.client.post(other.url("workflows/flow/runs/"), {"input": {}}, format="json").status_code == 404
    assert not Run.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_waiting_answers_as_soon_as_the_end_is_announced(
    cast: Cast, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LOOK_AGAIN", 60.0)
    ended: list[float] = []

    def end_it() -> None:
        try:
            deadline = time.monotonic() + 10
            while (run := Run.objects.first()) is None:
                assert time.monotonic() < deadline
            Run.objects.filter(pk=run.pk).update(state="succeeded", finished_at=run.started_at, output={"ok": True})
            ended.append(time.monotonic())
            assert announcements.tell(cast.workspace.pk, [run.pk], tasks=False)
        finally:
            connection.close()

    thread = threading.Thread(target=end_it)
    thread.start()
    answer = start(cast, {"input": {"amount": 1}}, query="?wait=30")
    answered = time.monotonic()
    thread.join(timeout=10)
    assert (answer.status_code, answer.json()["state"], answer.json()["output"]) == (201, "succeeded", {"ok": True})
    assert answered - ended[0] < 20  # unannounced: the whole 30 s


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_when_its_time_is_up(cast: Cast, workflow: Workflow) -> None:
    before = time.monotonic()
    answer = start(cast, {"input": {"amount": 1}}, query="?wait=1")
    assert answer.json()["state"] == "running"
    assert time.monotonic() - before >= 1


@pytest.mark.parametrize(("priority", "kept"), [(7, 93), (-100, 200), (100, 0), (None, 100)])
def test_a_priority_is_kept(cast: Cast, workflow: Workflow, priority: int | None, kept: int) -> None:
    more = {} if priority is None else {"priority": priority}
    answer = start(cast, {"input": {"amount": 3}, **more})
    assert answer.status_code == 201, answer.content
    assert Run.objects.get(pk=answer.json()["id"]).priority == kept


@pytest.mark.parametrize("priority", [101, -101, "high", 1.5, True, [1]])
def test_an_absurd_priority_is_refused(cast: Cast, workflow: Workflow, priority: Any) -> None:
    assert start(cast, {"input": {"amount": 3}, "priority": priority}).status_code == 400
    assert not Run.objects.exists()


def limited(cast: Cast, on_limit: str) -> None:
    drawn = document(transform("a"), name="Flow", settings={"concurrency": {"limit": 1, "on_limit": on_limit}})
    publish(workflow=cast.workflow(drawn), note="", actor=cast.actor)


def test_a_start_above_the_limit_is_refused(cast: Cast) -> None:
    limited(cast, "refuse")
    assert start(cast, {}).status_code == 201
    answer = start(cast, {})
    assert (answer.status_code, answer.json()["code"]) == (409, "concurrency_limit")
    assert 'runs of "flow" are open' in answer.json()["message"]


@pytest.mark.django_db(transaction=True)
def test_a_start_above_the_limit_is_queued_and_says_so(cast: Cast) -> None:
    limited(cast, "queue")
    start(cast, {})
    body = start(cast, {}).json()
    steps = cast.client.get(cast.url(f"runs/{body['id']}/steps/")).json()
    (step,) = steps["steps"]
    assert body["state"] == "running"
    assert step["waiting"] == {
        "kind": "limit",
        "text": "1 of 1 runs of this workflow are open",
        "until": None,
    }


@pytest.mark.parametrize(
    ("deadline", "code"),
    [
        ("PT0S", "deadline_past"),
        ("2020-01-31T18:00:00Z", "deadline_past"),
        ("-PT1H", "duration_negative"),
        ("P1Y", "duration_calendar"),
        ("soon", "deadline_invalid"),
        ("9999-01-01T00:00:00Z", "deadline_invalid"),
        ("2030-02-31T00:00:00Z", "deadline_invalid"),
    ],
)
def test_a_deadline_that_makes_no_sense_is_refused(cast: Cast, workflow: Workflow, deadline: str, code: str) -> None:
    answer = start(cast, {"input": {"amount": 3}, "deadline": deadline})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not Run.objects.exists()


def test_a_deadline_is_given_as_a_time_or_a_duration(cast: Cast, workflow: Workflow) -> None:
    at = start(cast, {"input": {"amount": 3}, "deadline": "2031-01-31T18:00:00+02:00"}).json()["id"]
    after = Run.objects.get(pk=start(cast, {"input": {"amount": 3}, "deadline": "PT2H"}).json()["id"])
    assert Run.objects.get(pk=at).deadline_at == datetime(2031, 1, 31, 16, tzinfo=UTC)
    assert after.deadline_at is not None
    assert timedelta(minutes=119) < after.deadline_at - after.started_at <= timedelta(hours=2)
