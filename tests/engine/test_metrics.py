"""The engine's counters move with what really happens to rows."""

import threading
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import pytest
from django.db import transaction
from prometheus_client import REGISTRY

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.outcome import Done, Outcome, Retry, StepFault
from orchestrator.core.settle import Settlement
from orchestrator.engine import observe, statements
from orchestrator.engine.sandbox import Sandbox
from orchestrator.engine.worker import Worker
from orchestrator.models import Run, Token, UndoItem, WorkerSession
from orchestrator.queries.gauges import GAUGES, gauges
from orchestrator.services.control import cancel_run, pause_run
from orchestrator.services.queue_limits import set_queue_limit
from orchestrator.services.undo import settle_undo
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work
from tests.engine.kinds import Held, Told, kinds
from tests.engine.rows import beat, claim, own_connection, take_over
from tests.engine.test_undo_cut import line, stuck
from tests.waiting import wait_until


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"branchline_{name}", labels) or 0.0


class Moved:
    """How far samples have moved since now."""

    def __init__(self, *samples: tuple[str, dict[str, str]]) -> None:
        self.samples = samples
        self.before = self.now()

    def now(self) -> list[float]:
        return [value(name, **labels) for name, labels in self.samples]

    def by(self) -> list[float]:
        return [after - before for after, before in zip(self.now(), self.before, strict=True)]


def failing_once(context: Any) -> Outcome:
    return Done(None) if context.attempt > 1 else Retry(StepFault(code="busy", message="not now"))


def test_a_run_moves_what_it_should(house, sandbox):
    known = kinds(acted=Told(failing_once))
    retry = {"attempts": 3, "first": "PT0.01S"}
    steps = [
        step("a", "acted", retry=retry),
        step("b", config={"value": {"$": "1 + 1"}}),
        step("c", config={"value": 3}),
    ]
    version = house.publish(document(steps, "a > b > c"), kinds=known)
    moved = Moved(
        ("runs_started_total", {"trigger": "api"}),
        ("runs_finished_total", {"state": "succeeded"}),
        ("claimed_tokens_total", {"queue": "default"}),
        ("advances_total", {"status": "retrying"}),
        ("advances_total", {"status": "moved"}),
        ("advances_total", {"status": "ended"}),
        ("timers_fired_total", {}),
        ("attempts_total", {"kind": "acted", "outcome": "failed"}),
        ("attempts_total", {"kind": "acted", "outcome": "succeeded"}),
        ("attempts_total", {"kind": "transform", "outcome": "succeeded"}),
        ("attempt_seconds_count", {"kind": "transform"}),
        ("commit_batch_size_sum", {}),
        ("commit_seconds_count", {}),
        ("sandbox_seconds_count", {"language": "expression"}),
    )
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke):
        house.end_of(house.start(version))
        wait_until(lambda: moved.by()[1] == 1, 10, "the keeper to see the run's end")
    # Claimed at the start and after the retry's timer; four attempts ended, one evaluation.
    *counts, commits, evaluations = moved.by()
    assert (counts, evaluations) == ([1, 1, 2, 1, 2, 1, 1, 1, 1, 2, 2, 4], 1)
    # What runs ahead shares a commit; the retried attempt had one of its own.
    assert 2 <= commits <= 4


def test_steps_of_items_done_in_a_lane_are_counted(house, at_work):
    """They end without a token of their own; an item that fails is one attempt, too."""
    raises = step("check", config={"value": {"$": "1 // (item - 2)"}}, parent="each", retry={"attempts": 1})
    each = step("each", "for_each", config={"items": [1, 2, 3], "tolerate": {"count": 1}})
    version = house.publish(document([each, step("look", parent="each"), raises], "look > check"))
    assert version.plan["bodies"]
    moved = Moved(
        ("attempts_total", {"kind": "transform", "outcome": "succeeded"}),
        ("attempts_total", {"kind": "transform", "outcome": "failed"}),
        ("attempt_seconds_count", {"kind": "transform"}),
    )
    assert house.end_of(house.start(version)).state == "succeeded"
    assert moved.by() == [5, 1, 6]


def test_a_takeover_and_the_zombies_late_end_are_counted(house, sandbox):
    house.start(house.publish(document([step("a")])))
    (lease,) = claim(4711)
    moved = Moved(
        ("takeovers_total", {"reason": "dead"}),
        ("advances_total", {"status": "fenced"}),
        ("runs_finished_total", {"state": "succeeded"}),
    )
    with worker_at_work(make_tools(sandbox)) as worker, keeper_at_work(worker.poke):
        wait_until(lambda: moved.by()[2] == 1, 10, "the run's end")
        answer = worker._committer.advance({"t": lease["id"], "e": lease["epoch"], "then": "go", "o": "S"})
    assert answer["status"] == "fenced"
    assert moved.by() == [1, 1, 1]


def test_a_zombie_lanes_late_batch_is_counted_as_fenced(house: House, sandbox: Sandbox) -> None:
    """Who lost the lease while it worked hears of it at its next call, and stores nothing."""
    held = Held(listens=False)
    known = kinds(acted=held)
    each = step("each", "for_each", config={"items": [1]})
    version = house.publish(document([each, step("act", "acted", parent="each")]), kinds=known)
    moved = Moved(("advances_total", {"status": "fenced"}))
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke):
        run_id = house.start(version)
        held.enter()
        with transaction.atomic():
            WorkerSession.objects.all().delete()
            assert [row["dead"] for row in take_over()] == [True]
        held.release.set()
        assert house.end_of(run_id).state == "succeeded"
        wait_until(lambda: moved.by() == [1], 10, "the late batch to be counted")


def test_the_first_retry_of_an_item_done_in_a_lane_is_counted(house: House, sandbox: Sandbox) -> None:
    known = kinds(acted=Told(failing_once))
    retry = {"attempts": 3, "first": "PT0.01S"}
    each = step("each", "for_each", config={"items": [1, 2, 3]})
    version = house.publish(document([each, step("act", "acted", parent="each", retry=retry)]), kinds=known)
    moved = Moved(("advances_total", {"status": "retrying"}), ("timers_fired_total", {}))
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke):
        assert house.end_of(house.start(version)).state == "succeeded"
        wait_until(lambda: moved.by() == [3, 3], 10, "three retries, and their timers, to be counted")


def test_a_lane_that_a_stopping_worker_hands_back_is_counted(house: House, sandbox: Sandbox) -> None:
    held = Held(listens=False)
    known = kinds(acted=held)

    def once_stopping(worker: Worker) -> None:
        assert worker._stopping.wait(10)
        held.release.set()

    each = step("each", "for_each", config={"items": [1, 2], "parallel": 1})
    house.start(house.publish(document([each, step("act", "acted", parent="each")]), kinds=known))
    moved = Moved(("advances_total", {"status": "back"}))
    with worker_at_work(make_tools(sandbox, known)) as worker:
        worker.poke()
        held.enter()
        thread = threading.Thread(target=once_stopping, args=(worker,))
        thread.start()
    thread.join()
    assert moved.by() == [1]


@pytest.mark.parametrize(
    ("evaluate", "code"),
    [
        (lambda sandbox: sandbox.expression("1 / (1 - 1)", {}), "expression_failed"),
        (lambda sandbox: sandbox.script("while True: pass", {}, seconds=0.05), "expression_timeout"),
    ],
)
def test_sandbox_faults_are_counted_by_code(sandbox, evaluate: Callable[[Any], object], code):
    moved = Moved(("sandbox_faults_total", {"code": code}))
    with pytest.raises(ExpressionFailed):
        evaluate(sandbox)
    assert moved.by() == [1]


def test_undos_that_end_well_or_get_stuck_and_what_people_settle_are_counted(house: House, at_work: None) -> None:
    steps = [
        step("good", undo={"kind": "transform", "config": {"value": 1}}),
        step("stuck", undo={"kind": "transform", "config": {"value": {"$": "1 // input.zero"}}}),
        step("also", undo={"kind": "transform", "config": {"value": {"$": "1 // input.zero"}}}),
        step("bad", config={"value": {"$": "1 // input.zero"}}),
    ]
    raw = document(steps, "good > bad", "stuck > bad", "also > bad", settings={"on_failure": "undo"})
    moved = Moved(*(("undo_items_total", {"outcome": one}) for one in ("undone", "stuck", "skipped", "by_hand")))
    run = house.end_of(house.start(house.publish(raw), {"zero": 0}))
    assert run.state == "undo_stuck"
    wait_until(lambda: moved.by() == [1, 2, 0, 0], 10, "the undos to be counted")
    first, second = UndoItem.objects.filter(run=run, state="stuck").values_list("entry", flat=True)
    settle_undo(run.pk, first, "retry", house.actor)
    wait_until(lambda: moved.by() == [1, 3, 0, 0], 10, "the second try to be stuck")
    house.end_of(run.pk)
    settle_undo(run.pk, first, "skip", house.actor, "not needed")
    settle_undo(run.pk, second, "by_hand", house.actor, "done by phone")
    assert house.end_of(run.pk).state == "undone"
    assert moved.by() == [1, 3, 1, 1]


def test_undos_that_are_cut_short_are_counted_as_stuck(house: House, at_work: None) -> None:
    """With the run around them, or when their turn comes in a run that has ended."""
    moved = Moved(("undo_items_total", {"outcome": "stuck"}))
    run = stuck(house)
    wait_until(lambda: moved.by() == [1], 10, "the stuck undo to be counted")
    pause_run(run.pk, house.actor)
    settle_undo(run.pk, line(run), "retry", house.actor)
    cancel_run(run.pk, house.actor)
    house.end_of(run.pk)
    wait_until(lambda: moved.by() == [2], 10, "the one that was cut off to be counted")
    settle_undo(run.pk, line(run), "by_hand", house.actor, "by phone")
    wait_until(lambda: moved.by() == [3], 10, "the one whose turn has come to be counted")


def found() -> dict[tuple[str, str], tuple[int, float | None]]:
    return {(gauge.what, gauge.label): (gauge.count, gauge.age) for gauge in gauges(15.0)}


def test_gauges_say_what_stands_in_the_rows(house):
    version = house.publish(document([step("a"), step("b", queue="slow")]))
    run_id, other = house.start(version), house.start(version)
    beat(1)
    claim(1)
    assert found()["ready", "default"][0] == 1
    assert found()["ready", "slow"][0] == 2
    assert found()["leased", ""] == (1, None)
    assert (found()["run", "running"], found()["worker", ""]) == ((2, None), (1, None))
    Token.objects.filter(run_id=run_id, state="R").update(
        state="W", wake_at="2020-01-01T00:00:00Z", waiting={"kind": "time"}
    )
    count, late = found()["waiting", ""]
    assert count >= 1
    assert late is not None
    assert late > 3600
    pause_run(other, house.actor)
    assert found()["run", "paused"] == (1, None)
    Run.objects.update(state="undo_stuck", finished_at="2020-01-01T00:00:00Z")
    assert "run" not in {what for what, _ in found()}


def test_who_stands_in_line_is_not_ready(house):
    house.start(house.publish(document([step("a"), step("b"), step("c")])))
    set_queue_limit(actor=house.actor, queue="default", concurrency=1)
    beat(1)
    claim(1, 9)
    assert found()["in_line", "default"] == (2, None)
    assert ("ready", "default") not in found()


def test_the_scrape_is_served_by_indexes(house):
    """What has ended must not cost the scrape anything."""
    with own_connection() as connection:
        # With so few rows all other ways cost the same.
        for way in ("seqscan", "bitmapscan", "sort"):
            connection.execute(f"SET enable_{way} = off")
        plan = "\n".join(row["QUERY PLAN"] for row in connection.execute("EXPLAIN " + GAUGES, [15.0]).fetchall())
        again = "\n".join(
            row["QUERY PLAN"]
            for row in connection.execute("EXPLAIN " + statements.ENDED_RUNS, ["2020-01-01T00:00:00Z"]).fetchall()
        )
    for table in ("orchestrator_token", "orchestrator_run"):
        assert f"Seq Scan on {table}" not in plan, plan
    assert "run_by_finish" in again, again


def test_every_end_of_an_attempt_has_a_name() -> None:
    letters = {letter for one in get_args(get_type_hints(Settlement)["logged"]) for letter in get_args(one)}
    assert letters == observe.OUTCOMES.keys()


def test_a_step_that_was_cancelled_before_it_began_is_counted_so(house: House, at_work: None) -> None:
    cancels = step("cut", "cancel", config={"steps": ["b"]})
    waits = step("wait", "delay", config={"for": "PT0.2S"})
    moved = Moved(("attempts_total", {"kind": "transform", "outcome": "cancelled"}))
    house.end_of(house.start(house.publish(document([cancels, waits, step("b")], "cut > wait > b"))))
    assert moved.by() == [1]
