"""Timers, time-outs, retries in time, and people: each wakes a step once, never early, and always."""

import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from orchestrator.core.outcome import Done, Outcome, Retry, StepFault
from orchestrator.engine import statements
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import HumanTask, Run, StepLog, Token
from orchestrator.services.control import cancel_run, pause_run, resume_run
from tests.engine.drawings import document, step
from tests.engine.house import House, error, leftovers, make_tools, worker_at_work
from tests.engine.house import keeper_at_work as keeper
from tests.engine.kinds import Held, HeldAway, Told, kinds
from tests.engine.rows import own_connection, rows
from tests.waiting import wait_until

FORM = {"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}]}
RETRY = {"attempts": 3, "first": "PT0S", "factor": 1, "cap": "PT0S", "jitter": "none"}


def parked(house: House, sandbox: Sandbox, *steps: dict[str, Any], lines: tuple[str, ...] = ()) -> UUID:
    """A run whose only token waits; its worker has gone."""
    version = house.publish(document(list(steps), *lines))
    with worker_at_work(make_tools(sandbox)) as house.worker:
        run_id = house.start(version)
        wait_until(Token.objects.filter(run_id=run_id, state="W").exists, 10, "the step to wait")
    house.worker = None
    return run_id


def fire() -> list[dict[str, Any]]:
    return rows(statements.FIRE_TIMERS, 100)


def together(*acts: Callable[[Any], Any]) -> list[Any]:
    """What each act returns, all begun at once, each on a connection of its own."""
    barrier = threading.Barrier(len(acts))
    answers: list[Any] = [None] * len(acts)

    def perform(n: int) -> None:
        with own_connection() as own:
            barrier.wait()
            answers[n] = acts[n](own)

    threads = [threading.Thread(target=perform, args=(n,)) for n in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return answers


# --- Timers (I11) ---------------------------------------------------------------------------------------------------


def test_a_timer_fires_once_and_not_before_it_is_due(house: House, sandbox: Sandbox) -> None:
    run_id = parked(house, sandbox, step("a", "delay", config={"for": "PT10M"}))
    assert fire() == []
    Token.objects.filter(run_id=run_id).update(wake_at=timezone.now())
    assert [(row["queue"], row["n"]) for row in fire()] == [("default", 1)]
    assert fire() == []


def test_many_keepers_fire_a_timer_once(house: House, sandbox: Sandbox) -> None:
    run_id = parked(house, sandbox, step("a", "delay", config={"for": "PT10M"}))
    Token.objects.filter(run_id=run_id).update(wake_at=timezone.now())
    answers = together(*[lambda own: own.execute(statements.FIRE_TIMERS, (100,)).fetchall()] * 6)
    assert sum(row["n"] for found in answers for row in found) == 1


def test_a_delay_is_never_shorter_than_drawn(house: House, sandbox: Sandbox) -> None:
    version = house.publish(document([step("a", "delay", config={"for": "PT0.3S"})]))
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper(house.worker.poke):
        started = [house.start(version) for _ in range(10)]
        for run_id in started:
            house.end_of(run_id)
            log = StepLog.objects.get(run_id=run_id)
            run = Run.objects.get(pk=run_id)
            assert run.finished_at is not None
            assert run.finished_at - run.started_at >= timedelta(seconds=0.3), log


def test_a_timer_set_in_the_past_fires_at_once(house: House, sandbox: Sandbox) -> None:
    version = house.publish(
        document([step("a", "delay", config={"until": "2001-01-01T00:00:00Z"}), step("b")], "a > b")
    )
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper(house.worker.poke):
        assert house.end_of(house.start(version)).state == "succeeded"


def test_a_resume_that_meets_a_timer_leaves_nothing_held(house: House, sandbox: Sandbox) -> None:
    """The sweep has read "paused" and not yet written when the resume commits: its write must not hold the step."""
    run_id = parked(house, sandbox, step("a", "delay", config={"for": "PT10M"}))
    pause_run(run_id, house.actor)
    Token.objects.filter(run_id=run_id).update(wake_at=timezone.now())
    with own_connection() as own:
        own.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        own.execute(statements.FIRE_TIMERS, (100,))
        resume_run(run_id, house.actor)
        own.execute("COMMIT")
    assert Token.objects.get(run_id=run_id).state == "R"


# --- People ---------------------------------------------------------------------------------------------------------


def task_of(house: House, sandbox: Sandbox, **config: Any) -> HumanTask:
    ask = step("ask", "human_task", config={**FORM, **config})
    overdue = (step("late"),) if "due" in config else ()
    lines = ("ask.yes > then", *(["ask.timeout > late"] if overdue else []))
    run_id = parked(house, sandbox, ask, step("then"), *overdue, lines=lines)
    return HumanTask.objects.get(run_id=run_id)


def woken(task: HumanTask) -> Callable[[Any], Any]:
    def wake(own: Any) -> Any:
        arguments = (task.token_id, task.epoch, '{"outcome": "yes"}')
        row = own.execute("SELECT branchline_wake(%s, %s, %s::jsonb) AS queue", arguments).fetchone()
        return row["queue"]

    return wake


def test_an_answer_wakes_its_step_exactly_once(house: House, sandbox: Sandbox) -> None:
    task = task_of(house, sandbox)
    answers = together(*[woken(task)] * 6)
    assert sorted(answer or "" for answer in answers) == ["", "", "", "", "", "default"]
    assert Token.objects.get(pk=task.token_id).epoch == task.epoch + 1


def test_an_answer_after_the_cancellation_wakes_nothing(house: House, sandbox: Sandbox) -> None:
    task = task_of(house, sandbox)
    assert cancel_run(task.run_id, house.actor) == "cancelled"
    with own_connection() as own:
        assert woken(task)(own) is None
    assert leftovers(task.run_id) == {}


def test_a_due_task_expires_once_and_takes_its_port(house: House, sandbox: Sandbox) -> None:
    task = task_of(house, sandbox, due="PT5M")
    assert fire() == []
    HumanTask.objects.filter(pk=task.pk).update(due_at=timezone.now())
    assert len(fire()) == 1
    assert fire() == []
    task.refresh_from_db()
    assert task.state == "expired"
    with own_connection() as own:
        assert woken(task)(own) is None
    with worker_at_work(make_tools(sandbox)), keeper(lambda: None):
        house.end_of(task.run_id)
    keys = Run.objects.get(pk=task.run_id).version.plan["keys"]
    assert "late" in {keys[node] for node in StepLog.objects.filter(run_id=task.run_id).values_list("node", flat=True)}


# --- Time-outs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [Held(listens=False), HeldAway()])
def test_a_hanging_step_times_out_and_frees_its_slot(house: House, sandbox: Sandbox, held: Held) -> None:
    known = kinds(held=held)
    once = {**RETRY, "attempts": 1}
    hanging = house.publish(document([step("a", "held", timeout="PT0.3S", retry=once)]), kinds=known)
    quick = house.publish(document([step("a")]))
    with worker_at_work(make_tools(sandbox, known), slots=1) as house.worker, keeper(house.worker.poke):
        hangs = house.start(hanging)
        held.enter()
        follows = house.start(quick)
        run = house.end_of(hangs)
        assert house.end_of(follows).state == "succeeded"
        assert (run.state, error(run)["code"]) == ("failed", "timeout")
        assert StepLog.objects.get(run_id=hangs).outcome == "T"
        assert house.worker._slots.room >= 1
        before = list(StepLog.objects.filter(run_id=hangs).values())
        held.release.set()
    assert list(StepLog.objects.filter(run_id=hangs).values()) == before


def test_a_step_that_timed_out_is_tried_again(house: House, sandbox: Sandbox) -> None:
    held = Held(listens=False)
    known = kinds(held=held)
    version = house.publish(document([step("a", "held", timeout="PT0.3S", retry=RETRY)]), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper(house.worker.poke):
        run_id = house.start(version)
        held.enter()
        held.enter()  # the second attempt
        held.release.set()
        assert house.end_of(run_id).state == "succeeded"
    assert list(StepLog.objects.filter(run_id=run_id).order_by("attempt").values_list("outcome", flat=True)) == [
        "T",
        "S",
    ]


# --- Retries --------------------------------------------------------------------------------------------------------


def attempts(run_id: UUID) -> list[tuple[str, datetime, datetime]]:
    found = StepLog.objects.filter(run_id=run_id).order_by("attempt")
    return [(row.outcome, row.started_at, row.finished_at) for row in found if row.started_at is not None]


def test_the_other_sides_wish_is_kept(house: House, sandbox: Sandbox) -> None:
    def answer(context: Any) -> Outcome:
        return Retry(StepFault(code="busy", message="busy"), after=0.5) if context.attempt == 1 else Done("ok")

    known = kinds(told=Told(answer))
    version = house.publish(document([step("a", "told", retry=RETRY)]), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper(house.worker.poke):
        run = house.end_of(house.start(version))
    assert run.state == "succeeded"
    (_, _, failed_at), (_, tried_at, _) = attempts(run.pk)
    assert tried_at - failed_at >= timedelta(seconds=0.5)


def test_a_wait_beyond_the_budget_is_not_begun(house: House, sandbox: Sandbox) -> None:
    known = kinds(told=Told(lambda context: Retry(StepFault(code="busy", message="busy"), after=60)))
    policy = {**RETRY, "budget": "PT5S"}
    version = house.publish(document([step("a", "told", retry=policy)]), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper(house.worker.poke):
        run = house.end_of(house.start(version))
    assert (run.state, error(run)["code"]) == ("failed", "busy")
    assert len(attempts(run.pk)) == 1


def test_a_retried_resume_is_asked_with_what_it_waited_for(house: House, sandbox: Sandbox) -> None:
    task = task_of(house, sandbox)
    with own_connection() as own:
        woken(task)(own)
    with connection.cursor() as cursor:
        cursor.execute("SELECT waiting->'memo' FROM orchestrator_token WHERE id = %s", [task.token_id])
        (memo,) = cursor.fetchone()
    (lease,) = rows(statements.CLAIM, 5, ["default"], 1, True)
    item = [{"t": lease["id"], "e": lease["epoch"], "then": "retry", "o": "F", "delay": 0}]
    item[0]["waiting"] = {"kind": "retry", "text": "Retry 2 of 3", "memo": None}
    with own_connection() as own:
        own.execute(statements.ADVANCE, (5, json.dumps(item)))
    fire()
    (again,) = rows(statements.CLAIM, 5, ["default"], 1, True)
    assert (again["phase"], again["attempt"]) == (1, 2)
    as_value = json.loads
    assert as_value(again["signal"]) == {"outcome": "yes"}
    assert as_value(again["waiting"])["memo"] == as_value(memo)
