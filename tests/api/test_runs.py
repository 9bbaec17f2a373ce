"""runs/ and runs/{id}/: lists, filters, pages, data, and who sees what."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orchestrator.models import Payload, Run
from tests.api.run_cast import RunCast
from tests.run_factories import make_log, make_run, make_task, make_version, make_workflow

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def cast(valkey: str) -> RunCast:
    return RunCast()


def ids(body: dict[str, Any]) -> list[str]:
    return [item["id"] for item in body["items"]]


def test_it_lists_the_newest_first(cast: RunCast) -> None:
    old = cast.run(started_at=MONDAY, state="succeeded")
    new = cast.run(started_by=cast.operator, business_key="order-7", trigger="person")
    body = cast.get("runs/")
    assert ids(body) == [str(new.pk), str(old.pk)]
    assert body["next"] is None
    shown = body["items"][0]
    assert shown.pop("seq") > 0
    assert shown.pop("started_at").endswith("Z")
    assert shown == {
        "id": str(new.pk),
        "workflow": "orders",
        "workflow_name": "Orders",
        "version": 1,
        "state": "running",
        "finished_at": None,
        "correlation_id": new.correlation_id,
        "business_key": "order-7",
        "error": None,
        "trigger": "person",
        "started_by": cast.operator.label,
        "undo_stuck": False,
    }


def test_a_failure_names_its_step(cast: RunCast) -> None:
    cast.run(state="failed", error={"code": "declined", "message": "No.", "node": 1, "details": {}})
    (item,) = cast.get("runs/")["items"]
    assert item["error"] == {"code": "declined", "message": "No.", "step": "b"}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"workflow": "orders"}, "first second third"),
        ({"workflow": "other"}, ""),
        ({"version": 1}, "first second third"),
        ({"version": 2}, ""),
        ({"state": "failed"}, "second"),
        ({"state": "failed,succeeded"}, "first second"),
        ({"since": "2026-03-03T09:00:00Z"}, "second third"),
        ({"until": "2026-03-03T09:00:00Z"}, "first"),
        ({"since": "2026-03-03T11:00:00+02:00", "until": "2026-03-04T09:00:00Z"}, "second"),
        ({"correlation_id": "c-2"}, "second"),
        ({"business_key": "k-3"}, "third"),
        ({"key": "k-3"}, "third"),
        ({"key": "k-3", "state": "failed"}, ""),
        ({"error": "declined"}, "second"),
        ({"error": "other"}, ""),
        ({"error": "declined", "state": "succeeded"}, ""),
    ],
)
def test_it_filters(cast: RunCast, wanted: dict[str, Any], found: str) -> None:
    named = {
        "first": cast.run(started_at=MONDAY, state="succeeded", correlation_id="c-1"),
        "second": cast.run(
            started_at=MONDAY + timedelta(days=1),
            state="failed",
            correlation_id="c-2",
            error={"code": "declined", "message": "No."},
        ),
        "third": cast.run(started_at=MONDAY + timedelta(days=2), business_key="k-3"),
    }
    assert set(ids(cast.get("runs/", **wanted))) == {str(named[name].pk) for name in found.split()}


def test_it_pages_without_gaps_or_repeats(cast: RunCast) -> None:
    made = [str(cast.run().pk) for _ in range(5)]
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        body = cast.get("runs/", limit=2, **cursor)
        seen += ids(body)
        if body["next"] is None:
            break
        cursor = {"cursor": body["next"]}
    assert seen == sorted(made, reverse=True)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"state": "flying"}, "invalid"),
        ({"since": "yesterday"}, "invalid"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "invalid"),
        ({"version": "x"}, "invalid"),
        ({"version": 2**40}, "invalid"),
        ({"workflow": "x\x00"}, None),
        ({"workflow": "x" * 64}, "invalid"),
        ({"limit": 0}, "invalid"),
        ({"limit": -1}, "invalid"),
        ({"cursor": "!"}, "cursor_invalid"),
        ({"cursor": "WzFd"}, "cursor_invalid"),
        ({"ordering": "name"}, "unknown_parameter"),
        ({"error__code": "x"}, "unknown_parameter"),
        ({"_connector": "OR"}, "unknown_parameter"),
    ],
)
def test_it_refuses_what_it_does_not_understand(cast: RunCast, parameters: dict[str, Any], code: str | None) -> None:
    response = cast.client.get(cast.url("runs/"), parameters)
    assert response.status_code == 400
    assert set(response.json()) == {"code", "message", "details"}
    assert code in {None, response.json()["code"]}


def test_a_huge_page_is_cut(cast: RunCast) -> None:
    Run.objects.bulk_create([_bare(cast) for _ in range(205)])
    assert len(cast.get("runs/", limit=1_000_000)["items"]) == 200


def test_the_list_costs_the_same_however_long(cast: RunCast) -> None:
    def statements() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            cast.get("runs/")
        return len(captured)

    cast.run(state="failed", error={"code": "x", "message": "", "node": 0})
    one = statements()
    other = make_version(make_workflow(cast.workspace))
    for version in (cast.version, other) * 10:
        make_run(version, state="failed", error={"code": "x", "message": "", "node": 1}, started_by=cast.operator)
    assert statements() == one


def test_it_gives_a_run_with_its_data(cast: RunCast) -> None:
    big = Payload.objects.create(id=uuid.uuid4(), run_id=uuid.uuid4(), body={"rows": [1, 2]})
    run = cast.run(state="succeeded", input={"order": 7}, output_ref=big.pk)
    body = cast.get(f"runs/{run.pk}/")
    assert (body["input"], body["output"], body["data_shown"]) == ({"order": 7}, {"rows": [1, 2]}, True)


def test_viewers_see_runs_but_not_what_they_carry(cast: RunCast) -> None:
    run = cast.run(state="succeeded", input={"card": "4111"}, output={"card": "4111"})
    make_log(
        run, "a", input={"card": "4111"}, output={"card": "4111"}, log=[{"at": "", "level": "info", "text": "4111"}]
    )
    viewer = cast.member("viewer")
    for rest in ("", "steps/", "steps/a/", "history/"):
        response = viewer.get(cast.url(f"runs/{run.pk}/{rest}"))
        assert response.status_code == 200
        assert b"4111" not in response.content
    assert cast.get(f"runs/{run.pk}/", viewer)["data_shown"] is False


def test_approvers_see_the_runs_of_their_own_tasks(cast: RunCast) -> None:
    ann = cast.member("approver", username="ann")
    others, hers = cast.run(input={"a": 1}), cast.run(input={"b": 2})
    make_task(others, "b", users=["bob"])
    make_task(hers, "b", users=["ann"])
    assert ids(cast.get("runs/", ann)) == [str(hers.pk)]
    assert cast.get(f"runs/{hers.pk}/", ann)["input"] == {"b": 2}
    assert ann.get(cast.url(f"runs/{others.pk}/")).status_code == 404


def test_a_viewer_who_approves_reads_the_data_of_own_tasks_only(cast: RunCast) -> None:
    vera = cast.member("viewer", "approver", username="vera")
    others, hers = cast.run(input={"a": 1}), cast.run(input={"b": 2})
    make_task(hers, "b", users=["vera"])
    assert cast.get(f"runs/{hers.pk}/", vera)["input"] == {"b": 2}
    assert cast.get(f"runs/{others.pk}/", vera)["input"] is None


ABSENT = ["00000000-0000-7000-8000-000000000000", "nonsense", "%2e%2e", "1", "' OR 1=1"]


@pytest.mark.parametrize("rest", ["", "steps/", "steps/a/", "history/", "cancel/", "pause/", "resume/"])
def test_foreign_absent_and_malformed_ids_are_answered_alike(cast: RunCast, rest: str) -> None:
    foreign = RunCast("other").run()
    answers = set()
    for name in [str(foreign.pk), *ABSENT]:
        url = cast.url(f"runs/{name}/{rest}")
        response = cast.client.get(url) if rest in {"", "steps/", "steps/a/", "history/"} else cast.client.post(url)
        answers.add((response.status_code, response.content))
    assert len(answers) == 1
    assert answers.pop()[0] == 404
    assert Run.objects.get(pk=foreign.pk).state == "running"


def test_the_neighbours_runs_are_in_no_answer(cast: RunCast) -> None:
    RunCast("other").run(correlation_id="marker", business_key="marker")
    cast.run()
    for parameters in ({}, {"correlation_id": "marker"}, {"key": "marker"}, {"workflow": "orders"}):
        response = cast.client.get(cast.url("runs/"), parameters)
        assert b"marker" not in response.content


def _bare(cast: RunCast) -> Run:
    return Run(
        id=uuid.uuid4(),
        workspace=cast.workspace,
        workflow=cast.version.workflow,
        version=cast.version,
        correlation_id="x",
        trigger="api",
    )
