"""Step runs as readers get them: every state, every reason to wait, exact positions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from orchestrator.core.errors import NotFound
from orchestrator.models import QueueLimit, Run, Version, Workspace
from orchestrator.queries.cursor import CursorInvalid
from orchestrator.queries.step_run import StepRun
from orchestrator.queries.step_runs import step_run_rows, step_runs
from tests.run_factories import (
    drawn,
    make_gate,
    make_log,
    make_record,
    make_run,
    make_session,
    make_task,
    make_token,
    make_version,
    make_workflow,
)

pytestmark = pytest.mark.django_db

SOON = datetime(2100, 1, 1, 12, 30, tzinfo=UTC)


def version_of(*arrows: str, **steps: dict[str, Any]) -> Version:
    workspace = Workspace.objects.create(slug="acme", name="Acme")
    return make_version(make_workflow(workspace), drawn(*arrows, steps=steps))


@pytest.fixture
def run() -> Run:
    """A diamond: a leads to b and c, which meet in d; `b` is tried up to five times."""
    version = version_of("a -> b", "a -> c", "b -> d", "c -> d", b={"retry": {"attempts": 5}})
    make_session("default")
    return make_run(version)


def by_key(run: Run, **arguments: Any) -> dict[str, StepRun]:
    return {item.key: item for item in step_runs(run, **arguments).items}


def reason(item: StepRun) -> tuple[str, str]:
    assert item.waiting is not None
    return item.waiting.kind, item.waiting.text


def test_it_lists_nothing_that_control_has_not_reached(run: Run) -> None:
    make_token(run, "a")
    assert {key: str(item.state) for key, item in by_key(run).items()} == {"a": "ready"}


@pytest.mark.parametrize(
    ("outcome", "state"), [("S", "succeeded"), ("F", "failed"), ("T", "timed_out"), ("K", "cancelled"), ("U", "failed")]
)
def test_it_tells_how_a_step_ended(run: Run, outcome: str, state: str) -> None:
    error = None if outcome == "S" else {"code": "declined", "message": "The card was declined.", "details": {}}
    make_log(run, "a", outcome=outcome, error=error)
    item = by_key(run)["a"]
    assert item.state == state
    assert item.as_json()["error"] == (error and {"code": "declined", "message": "The card was declined."})
    assert item.ports == (("out",) if outcome == "S" else None)


def test_it_counts_attempts_and_starts_with_the_first(run: Run) -> None:
    first = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
    make_log(run, "b", outcome="F", attempt=1, final=False, started_at=first, finished_at=first)
    make_log(run, "b", outcome="S", attempt=2)
    item = by_key(run)["b"]
    assert (item.state, item.attempt, item.attempts_max, item.started_at) == ("succeeded", 2, 5, first)


def test_a_live_token_speaks_louder_than_an_older_end(run: Run) -> None:
    make_log(run, "b", outcome="F")
    make_token(run, "b", state="L", attempt=2)
    assert by_key(run)["b"].state == "running"


def test_a_kept_failed_token_leaves_the_word_to_its_log_row(run: Run) -> None:
    make_log(run, "b", outcome="T", error={"code": "timeout", "message": "Too slow."})
    make_token(run, "b", state="F")
    assert by_key(run)["b"].error_code == "timeout"


def test_it_says_which_retry_comes_when(run: Run) -> None:
    make_token(run, "b", state="W", attempt=2, wake_at=SOON, waiting={"kind": "retry", "text": ""})
    item = by_key(run)["b"]
    assert (str(item.state), item.attempt) == ("retrying", 2)
    assert reason(item) == ("retry", "Retry 3 of 5 at 01 Jan 2100 12:30 UTC")
    assert item.waiting is not None
    assert item.waiting.until == SOON


def test_it_says_the_clock_it_waits_for(run: Run) -> None:
    make_token(run, "b", state="W", phase=1, attempt=0, wake_at=SOON, waiting={"kind": "time", "text": ""})
    item = by_key(run)["b"]
    assert reason(item) == ("time", "Waiting until 01 Jan 2100 12:30 UTC")
    assert item.attempt == 1, "a wait is part of the attempt that began it"


@pytest.mark.parametrize(
    ("assigned", "text"),
    [
        ({"users": ["bob"], "groups": ["managers"]}, "Waiting for bob or the group managers"),
        ({"roles": ["approver"]}, "Waiting for any approver"),
        ({}, "Waiting for any approver"),
    ],
)
def test_it_names_who_must_answer(run: Run, assigned: dict[str, Any], text: str) -> None:
    make_task(run, "b", due_at=SOON, **assigned)
    item = by_key(run)["b"]
    assert reason(item) == ("person", text)
    assert item.waiting is not None
    assert item.waiting.until == SOON


def test_it_passes_on_what_a_handler_waits_for(run: Run) -> None:
    make_token(run, "b", state="W", waiting={"kind": "event", "text": "Waiting for payment.received of order 7"})
    assert reason(by_key(run)["b"]) == ("event", "Waiting for payment.received of order 7")


def test_it_counts_the_branches_that_arrived(run: Run) -> None:
    make_gate(run, "d", size=3, ok=2)
    item = by_key(run)["d"]
    assert str(item.state) == "waiting"
    assert reason(item) == ("branch", "2 of 3 branches arrived")


def test_skipped_branches_are_not_waited_for(run: Run) -> None:
    make_gate(run, "d", size=4, ok=1, skip=1, need=2)
    assert reason(by_key(run)["d"]) == ("branch", "1 of 3 branches arrived, 2 are needed")


def test_a_join_tells_its_deadline_and_its_failures(run: Run) -> None:
    make_gate(run, "d", size=3, ok=1, fail=1, deadline_at=SOON)
    item = by_key(run)["d"]
    assert reason(item) == ("branch", "1 of 3 branches arrived, 1 failed, until 01 Jan 2100 12:30 UTC")
    assert item.waiting is not None
    assert item.waiting.until == SOON


@pytest.mark.parametrize(
    ("queue", "age", "said"),
    [
        ("reports", 60, ("worker", "No worker serves the queue reports")),
        ("reports", 1, None),  # a worker may still come to it
        ("default", 60, None),  # busy, but somebody serves it
    ],
)
def test_it_says_that_no_worker_serves_a_queue(run: Run, queue: str, age: int, said: tuple[str, str] | None) -> None:
    make_token(run, "a", queue=queue, ready_at=datetime.now(UTC) - timedelta(seconds=age))
    item = by_key(run)["a"]
    assert (item.waiting and reason(item)) == said


FIVE = {"starts": 5, "period": 60, "burst": 1}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"concurrency": 1, "line": "F"}, "1 of 1 step is at work on the queue default"),
        ({"concurrency": 3, "line": "F", **FIVE}, "3 of 3 steps are at work on the queue default"),
        ({"line": "T", **FIVE}, "The queue default starts 5 per minute, the next at 01 Jan 2100 12:30 UTC"),
        (
            {"line": "T", **FIVE, "period": 90},
            "The queue default starts 5 in 90 seconds, the next at 01 Jan 2100 12:30 UTC",
        ),
        ({"concurrency": 1, "line": "O"}, "In line on the queue default"),
    ],
)
def test_a_step_in_line_names_what_limits_its_queue(run: Run, values: dict[str, Any], said: str) -> None:
    next_at = SOON if values["line"] == "T" else None
    limit = QueueLimit.objects.create(
        workspace_id=run.workspace_id, queue="default", changed_at=datetime.now(UTC), next_at=next_at, **values
    )
    make_token(run, "a", queue_limit_id=limit.pk)
    item = by_key(run)["a"]
    assert (str(item.state), *reason(item)) == ("ready", "limit", said)
    assert item.waiting is not None
    assert item.waiting.until == next_at


def test_in_a_limited_queue_that_nobody_serves_the_worker_is_missed(run: Run) -> None:
    limit = QueueLimit.objects.create(
        workspace_id=run.workspace_id, queue="reports", changed_at=datetime.now(UTC), concurrency=1, line="F"
    )
    make_token(run, "a", queue="reports", queue_limit_id=limit.pk, ready_at=datetime.now(UTC) - timedelta(minutes=1))
    assert reason(by_key(run)["a"])[0] == "worker"


def test_a_silent_worker_serves_nothing(run: Run) -> None:
    session = make_session("reports")
    session.beat_at = datetime.now(UTC) - timedelta(minutes=1)
    session.save()
    make_token(run, "a", queue="reports", ready_at=datetime.now(UTC) - timedelta(minutes=1))
    assert reason(by_key(run)["a"])[0] == "worker"


def test_it_says_who_paused(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(state="paused")
    make_record(run, "paused", actor="carol")
    make_token(run, "b", state="H")
    make_token(run, "c", state="R")
    items = by_key(run)
    assert reason(items["b"]) == reason(items["c"]) == ("paused", "Paused by carol")
    assert str(items["b"].state) == "held"


def test_steps_of_the_path_not_taken_are_skipped() -> None:
    run = make_run(version_of("a.left -> b", "a.right -> c", "c -> d", a={"kind": "choose"}))
    make_log(run, "a", ports=["left"])
    make_token(run, "b", state="L")
    assert {key for key, item in by_key(run).items() if item.state == "skipped"} == {"c", "d"}
    assert by_key(run, key="d")["d"].state == "skipped", "alone, too"


def test_an_ended_run_has_skipped_what_never_ran(run: Run) -> None:
    make_log(run, "a")
    make_log(run, "b", outcome="K")
    Run.objects.filter(pk=run.pk).update(state="cancelled", finished_at=datetime.now(UTC))
    assert {key: str(item.state) for key, item in by_key(run).items()} == {
        "a": "succeeded",
        "b": "cancelled",
        "c": "skipped",
        "d": "skipped",
    }


def test_it_keeps_scopes_apart(run: Run) -> None:
    make_log(run, "a", scope_id=7)
    make_token(run, "a", scope_id=8)
    assert [(item.scope, str(item.state)) for item in step_runs(run).items] == [("7", "succeeded"), ("8", "ready")]


def test_pages_follow_one_another_without_a_gap(run: Run) -> None:
    make_log(run, "a")
    make_log(run, "b", scope_id=8)
    make_log(run, "b", scope_id=7)
    Run.objects.filter(pk=run.pk).update(state="cancelled", finished_at=datetime.now(UTC))
    rows = step_run_rows(run)
    whole = step_runs(run).items
    page, cursor = rows.page("", 2)
    pages = [page]
    while cursor is not None:
        page, cursor = rows.page(cursor, 2)
        pages.append(page)
    assert [len(page) for page in pages] == [2, 2, 1]
    assert tuple(item for page in pages for item in page) == whole
    assert [(item.key, item.scope) for item in whole] == [("a", None), ("b", "7"), ("b", "8"), ("c", None), ("d", None)]


@pytest.mark.parametrize("cursor", ["x", "1", "1.", "-1.0", "1.0;", "9" * 30 + ".0", "٣.0"])
def test_a_foreign_cursor_is_refused(run: Run, cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        step_run_rows(run).page(cursor, 2)


def test_it_finds_the_first_that_wait(run: Run) -> None:
    make_log(run, "a")
    make_token(run, "b", state="W", wake_at=SOON, waiting={"kind": "time", "text": ""})
    make_gate(run, "d", size=2, ok=1)
    rows = step_run_rows(run)
    assert [item.key for item in rows.waiting(5)] == ["b", "d"]
    assert [item.key for item in rows.waiting(1)] == ["b"]


def test_it_knows_no_such_run_or_step(run: Run) -> None:
    with pytest.raises(NotFound):
        step_runs(run, key="nowhere")
    Run.objects.filter(pk=run.pk).delete()
    with pytest.raises(NotFound):
        step_runs(run)


def normal(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Times as moments: half a second may be written in more than one way."""
    read = datetime.fromisoformat
    times = ("started_at", "finished_at")
    return [{**step, **{name: step[name] and read(step[name]) for name in times}} for step in steps]


def test_the_short_way_to_json_says_the_same(run: Run) -> None:
    moment = datetime(2026, 3, 1, 8, 0, 0, 500_000, tzinfo=UTC)
    make_log(run, "a", started_at=moment, finished_at=moment.replace(microsecond=0))
    make_log(run, "b", outcome="F", scope_id=7, error={"code": "busy", "message": "Later."})
    make_log(run, "b", outcome="K", scope_id=8, attempt=9, started_at=None)
    make_token(run, "c", state="L")
    whole = step_run_rows(run).as_json()
    assert normal(whole) == normal([item.as_json() for item in step_runs(run).items])
    assert whole[0]["started_at"] == "2026-03-01T08:00:00.5Z"
    assert [list(step) for step in whole] == [list(whole[0])] * len(whole)


@pytest.mark.parametrize("after", [None, 5])
def test_it_takes_one_statement(run: Run, django_assert_num_queries: Any, after: int | None) -> None:
    for key in "abc":
        make_log(run, key)
    make_token(run, "d")
    step_runs(run)
    with django_assert_num_queries(1):
        step_runs(run, after=after)


@pytest.mark.django_db(transaction=True)
class TestPositions:
    """Each write is a transaction of its own here, as in life."""

    def test_changes_are_what_came_since(self, run: Run) -> None:
        make_log(run, "a")
        make_token(run, "b", state="L")
        seen = step_runs(run)
        assert by_key(run, after=seen.seq) == {}
        make_token(run, "c", state="L")
        assert set(by_key(run, after=seen.seq)) == {"c"}

    def test_a_change_that_commits_later_is_not_missed(self, run: Run) -> None:
        """A reader that comes while a transaction is open must see its rows when it asks again."""
        other = connection.copy()
        try:
            with other.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute("SELECT pg_current_xact_id()::text::bigint")
                (slow,) = cursor.fetchone()
                make_token(run, "b", state="L")
                seen = step_runs(run)
                cursor.execute(
                    "INSERT INTO orchestrator_token SELECT (t).* FROM (SELECT jsonb_populate_record(k,"
                    " jsonb_build_object('id', k.id + 1, 'node', k.node + 1, 'xid', %s::bigint)) AS t"
                    " FROM orchestrator_token k WHERE k.run_id = %s) x",
                    [slow, run.pk],
                )
                cursor.execute("COMMIT")
        finally:
            other.close()
        assert {item.key for item in seen.items} == {"b"}
        assert "c" in by_key(run, after=seen.seq)

    def test_a_join_that_fills_is_a_change(self, run: Run) -> None:
        gate = make_gate(run, "d", size=2, ok=1)
        seen = step_runs(run)
        assert by_key(run, after=seen.seq) == {}
        type(gate).objects.filter(run_id=run.pk).update(skip=1)
        assert set(by_key(run, after=seen.seq)) == {"d"}

    def test_a_claimed_task_is_a_change(self, run: Run) -> None:
        task = make_task(run, "b", users=["bob"])
        seen = step_runs(run)
        assert by_key(run, after=seen.seq) == {}
        type(task).objects.filter(pk=task.pk).update(version=2)
        assert set(by_key(run, after=seen.seq)) == {"b"}

    def test_a_newly_dead_path_is_a_change_once(self) -> None:
        run = make_run(version_of("s -> a", "a.left -> b", "a.right -> c", a={"kind": "choose"}))
        make_log(run, "s")
        seen = step_runs(run)
        make_log(run, "a", ports=["left"])
        changed = step_runs(run, after=seen.seq)
        assert {item.key: str(item.state) for item in changed.items} == {"a": "succeeded", "c": "skipped"}
        make_token(run, "b", state="L")
        assert set(by_key(run, after=changed.seq)) == {"b"}

    def test_the_end_is_told_whole(self, run: Run) -> None:
        make_log(run, "a")
        seen = step_runs(run)
        Run.objects.filter(pk=run.pk).update(state="cancelled", finished_at=datetime.now(UTC), xid=2**62)
        assert set(by_key(run, after=seen.seq)) == {"a", "b", "c", "d"}
