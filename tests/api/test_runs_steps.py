"""runs/{id}/steps/, one step, and the history."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orchestrator.models import Payload, Run, StepLog
from tests.api.run_cast import RunCast
from tests.factories import make_member
from tests.run_factories import (
    make_decision,
    make_event_wait,
    make_log,
    make_queued,
    make_record,
    make_task,
    make_token,
)

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MANY = 10_000
WAITS = "Waiting for order.paid"


@pytest.fixture
def cast(valkey: str) -> RunCast:
    return RunCast()


def test_it_gives_steps_run_and_position_of_one_moment(cast: RunCast) -> None:
    run = cast.run()
    make_log(run, "a")
    make_token(run, "b", state="L")
    body = cast.get(f"runs/{run.pk}/steps/")
    assert {step["key"]: step["state"] for step in body["steps"]} == {"a": "succeeded", "b": "running"}
    assert body["run"]["id"] == str(run.pk)
    assert body["run"]["seq"] == body["seq"]
    assert body["steps"][0]["port"] == ["out"]
    assert body["steps"][1]["attempts_max"] == 3


@pytest.mark.parametrize(("role", "text"), [("operator", f"{WAITS} with key 17"), ("viewer", WAITS)])
def test_the_key_of_an_awaited_event_is_shown_with_the_data_only(cast: RunCast, role: str, text: str) -> None:
    run = cast.run()
    make_event_wait(run, "a", "order.paid", "17")
    member = cast.member(role)
    (step,) = cast.get(f"runs/{run.pk}/steps/", member)["steps"]
    alone = cast.get(f"runs/{run.pk}/steps/a/", member)
    assert step["waiting"]["text"] == alone["step"]["waiting"]["text"] == text
    for path in ("", "steps/", "steps/a/", "history/"):
        assert "17" in text or " 17" not in str(cast.get(f"runs/{run.pk}/{path}", member))


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("operator", 'runs of this workflow with key "card-17" are open'),
        ("viewer", "runs of this workflow with the same key are open"),
    ],
)
def test_the_key_of_a_limit_is_shown_with_the_data_only(cast: RunCast, role: str, text: str) -> None:
    run = make_queued(cast.version, "a", '"card-17"')
    member = cast.member(role)
    (step,) = cast.get(f"runs/{run.pk}/steps/", member)["steps"]
    alone = cast.get(f"runs/{run.pk}/steps/a/", member)
    assert step["waiting"]["text"] == alone["step"]["waiting"]["text"] == f"1 of 1 {text}"
    for path in ("", "steps/", "steps/a/", "history/"):
        assert role == "operator" or "card-17" not in str(cast.get(f"runs/{run.pk}/{path}", member))


@pytest.mark.parametrize("after", ["-1", "x", "1.5", str(2**63), ""])
def test_it_refuses_positions_that_are_none(cast: RunCast, after: str) -> None:
    response = cast.client.get(cast.url(f"runs/{cast.run().pk}/steps/"), {"after": after})
    assert response.status_code == 400


def test_statements_do_not_grow_with_steps(cast: RunCast) -> None:
    def statements(run: Run) -> int:
        with CaptureQueriesContext(connection) as captured:
            cast.get(f"runs/{run.pk}/steps/")
        return len(captured)

    small, large = cast.run(), cast.run()
    make_log(small, "a")
    for scope in range(30):
        make_log(large, "a", scope_id=scope)
    statements(small)
    assert statements(small) == statements(large)


def test_ten_thousand_step_runs_take_no_more_statements_than_one(cast: RunCast) -> None:
    run = cast.run()
    now = datetime.now(UTC)
    StepLog.objects.bulk_create(
        [
            StepLog(
                run=run, node=0, scope_id=scope, attempt=1, entry=scope, outcome="S", ports=["out"],
                started_at=now, finished_at=now, output={"text": "x" * 300}, cause=[],
            )
            for scope in range(MANY)
        ],
        batch_size=2_000,
    )  # fmt: skip
    small = cast.run()
    make_log(small, "a")
    with CaptureQueriesContext(connection) as few:
        cast.get(f"runs/{small.pk}/steps/")
    with CaptureQueriesContext(connection) as many:
        steps = cast.get(f"runs/{run.pk}/steps/")["steps"]
    assert len(steps) == MANY
    assert len(many) <= len(few)


def test_a_step_has_its_data_attempts_and_definition(cast: RunCast) -> None:
    run = cast.run()
    lines = [{"at": "2026-03-01T08:00:00Z", "level": "info", "text": "calling"}]
    big = Payload.objects.create(id=uuid.uuid4(), run_id=run.pk, body="big")
    error = {"code": "busy", "message": "Later.", "details": {}}
    make_log(run, "b", outcome="F", final=False, attempt=1, error=error, log=lines)
    make_log(run, "b", attempt=2, input={"n": 1}, output_ref=big.pk)
    body = cast.get(f"runs/{run.pk}/steps/b/")
    assert (body["step"]["state"], body["input"], body["output"]) == ("succeeded", {"n": 1}, "big")
    first, second = body["attempts"]
    assert (first["outcome"], first["log"]) == ("F", lines)
    assert first["error"] == {"code": "busy", "message": "Later."}
    assert (second["outcome"], second["attempt"], second["log"]) == ("S", 2, [])
    assert body["definition"]["key"] == "b"


def test_a_step_without_expressions_was_given_its_config(cast: RunCast) -> None:
    run = cast.run()
    make_log(run, "a")
    assert cast.get(f"runs/{run.pk}/steps/a/")["input"] == {}


def test_a_step_not_reached_has_a_definition_only(cast: RunCast) -> None:
    body = cast.get(f"runs/{cast.run().pk}/steps/d/")
    assert (body["step"], body["attempts"], body["definition"]["key"]) == (None, [], "d")


def test_a_step_shows_the_scope_that_is_asked_for(cast: RunCast) -> None:
    run = cast.run()
    make_log(run, "a", scope_id=4, output=4)
    make_log(run, "a", scope_id=5, output=5)
    url = f"runs/{run.pk}/steps/a/"
    assert cast.get(url)["scopes"] == ["4", "5"]
    assert cast.get(url, scope="5")["output"] == 5
    assert cast.client.get(cast.url(url), {"scope": "6"}).status_code == 404
    assert cast.client.get(cast.url(url), {"scope": "x"}).status_code == 400


@pytest.mark.parametrize("key", ["nowhere", "A", "__class__", "a'b", "%00"])
def test_it_knows_no_such_step(cast: RunCast, key: str) -> None:
    response = cast.client.get(cast.url(f"runs/{cast.run().pk}/steps/{key}/"))
    assert response.status_code in {400, 404}


def test_the_history_is_one_order_with_causes(cast: RunCast) -> None:
    run = cast.run(started_at=MONDAY)
    ann = make_member(cast.workspace, "approver", username="ann")
    minutes = (MONDAY + timedelta(minutes=number) for number in itertools.count(1))
    first = make_log(run, "a", finished_at=next(minutes))
    make_record(run, "paused", actor="olga", detail={"reason": "lunch"}, at=next(minutes))
    error = {"code": "busy", "message": "Later."}
    make_log(run, "b", outcome="F", final=False, cause=[first.entry], error=error, finished_at=next(minutes))
    make_decision(make_task(run, "c", users=["ann"]), ann, comment="fine", at=next(minutes))
    items = cast.get(f"runs/{run.pk}/history/")["items"]
    assert [(item["kind"], item["what"]) for item in items] == [
        ("run", "started"),
        ("attempt", "succeeded"),
        ("run", "paused"),
        ("attempt", "failed"),
        ("decision", "approved"),
    ]
    failed = next(item for item in items if item["what"] == "failed")
    assert (failed["step"], failed["cause"], failed["final"]) == ("b", [first.entry], False)
    assert failed["error"] == {"code": "busy", "message": "Later."}
    decision = next(item for item in items if item["kind"] == "decision")
    assert (decision["actor"], decision["step"], decision["comment"]) == ("ann", "c", "fine")
    assert next(item for item in items if item["what"] == "paused")["comment"] == "lunch"


def test_the_history_is_read_in_pages(cast: RunCast) -> None:
    run = cast.run()
    for scope in range(7):
        make_log(run, "a", scope_id=scope)
    whole = cast.get(f"runs/{run.pk}/history/")["items"]
    seen: list[Any] = []
    cursor: dict[str, Any] = {}
    while True:
        body = cast.get(f"runs/{run.pk}/history/", limit=3, **cursor)
        seen += body["items"]
        if body["next"] is None:
            break
        cursor = {"cursor": body["next"]}
    assert seen == whole
    assert len(seen) == 8


@pytest.mark.parametrize("cursor", ["!", "WzFd", "e30", "W251bGwsbnVsbF0", "WyIyMDI2IiwiMSJd"])
def test_the_history_refuses_other_cursors(cast: RunCast, cursor: str) -> None:
    response = cast.client.get(cast.url(f"runs/{cast.run().pk}/history/"), {"cursor": cursor})
    assert (response.status_code, response.json()["code"]) == (400, "cursor_invalid")


@pytest.mark.django_db(transaction=True)
def test_the_history_goes_on_after_a_position(cast: RunCast) -> None:
    run = cast.run()
    make_log(run, "a")
    task = make_task(run, "c", users=["ann"])
    seq = cast.get(f"runs/{run.pk}/history/")["seq"]
    assert cast.get(f"runs/{run.pk}/history/", after=seq)["items"] == []
    make_log(run, "b")
    make_decision(task, make_member(cast.workspace, "approver", username="ann"))
    later = cast.get(f"runs/{run.pk}/history/", after=seq)["items"]
    assert [(item["kind"], item["step"]) for item in later] == [("attempt", "b"), ("decision", "c")]
