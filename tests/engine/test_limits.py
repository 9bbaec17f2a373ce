"""Limits of open runs: queue, replace and refuse; in all or by key; through pause and cancel."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import connection, transaction

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.outcome import Done
from orchestrator.engine import dispatch
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, RunRecord
from orchestrator.queries.fsck import breaches
from orchestrator.queries.step_runs import step_runs
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.runs import LimitReached, settle_limit
from tests.engine.drawings import step
from tests.engine.house import House, keeper_at_work, leftovers, make_tools, worker_at_work
from tests.engine.kinds import Held, Told, kinds
from tests.engine.limited import limited, queued, state, states
from tests.harness.mutants import mutated
from tests.waiting import wait_until

LOCK = "PERFORM pg_advisory_xact_lock(v_lock);"
FILL_LOCK = "PERFORM pg_advisory_xact_lock(branchline_limit_lock(p_workflow, p_key));"


def test_twenty_starts_at_once_never_have_more_than_three_at_work(house: House, sandbox: Sandbox) -> None:
    at_work, most, guard = 0, 0, threading.Lock()
    full = threading.Event()

    def act(context: Any) -> Any:
        nonlocal at_work, most
        with guard:
            at_work += 1
            most = max(most, at_work)
            if at_work == 3:
                full.set()
        assert full.wait(20)  # the first three are there together
        with guard:
            at_work -= 1
        return Done(None)

    known = kinds(told=Told(act))
    version = house.publish(limited(3, "queue", step("a", "told")), kinds=known)
    gate = threading.Barrier(20)

    def start() -> UUID:
        try:
            gate.wait()
            return house.start(version)
        finally:
            connection.close()

    with worker_at_work(make_tools(sandbox, known), slots=8) as house.worker, keeper_at_work(house.worker.poke):
        with ThreadPoolExecutor(20) as threads:
            runs = [one.result() for one in [threads.submit(start) for _ in range(20)]]
        assert {house.end_of(run, 60).state for run in runs} == {"succeeded"}
    assert most == 3
    assert list(breaches()) == []


def second_of_two(house: House) -> UUID:
    """Start a second run while the first start has not committed yet."""
    version = house.publish(limited(1))
    begun: list[UUID] = []

    def start() -> None:
        try:
            begun.append(house.start(version))
        finally:
            connection.close()

    other = threading.Thread(target=start)
    with transaction.atomic():
        house.start(version)
        other.start()
        wait_until(lambda: bool(begun) or somebody_waits(), 10, "the other start to wait or to be done")
    other.join(10)
    return begun[0]


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)")
        return bool(cursor.fetchone()[0])


def test_a_start_waits_for_one_that_has_not_committed(house: House) -> None:
    assert queued(second_of_two(house)) == [True]


def test_without_the_lock_two_starts_both_begin(house: House) -> None:
    with mutated("branchline_limit_reached", (LOCK, "")):
        assert queued(second_of_two(house)) == [False]


def test_the_oldest_queued_run_goes_when_one_ends(house: House) -> None:
    version = house.publish(limited(1))
    first, second, third = (house.start(version) for _ in range(3))
    assert queued(first, second, third) == [False, True, True]
    assert states(second) == ["H"]
    assert cancel_run(first, house.actor) == "cancelled"
    assert queued(second, third) == [False, True]
    assert (states(second), states(third)) == (["R"], ["H"])
    assert RunRecord.objects.filter(run_id=second, kind="released").count() == 1
    assert list(breaches()) == []


def test_without_the_handover_the_keeper_lets_it_go(house: House) -> None:
    version = house.publish(limited(1))
    first, second = house.start(version), house.start(version)
    with mutated("branchline_unqueue", ("IF NOT FOUND", "IF true")):
        cancel_run(first, house.actor)
        assert queued(second) == [True]
    with keeper_at_work(lambda: None):
        wait_until(lambda: queued(second) == [False], 10, "the keeper to find the queued run")
    assert states(second) == ["R"]


def test_each_value_of_the_key_has_its_own_limit(house: House) -> None:
    version = house.publish(limited(1, key={"$": "input.customer.lower()"}))
    runs = [house.start(version, {"customer": name}) for name in ("Ada", "ADA", "Bob")]
    assert queued(*runs) == [False, True, False]
    long = [house.start(version, {"customer": "x" * 900 + end}) for end in "112"]
    assert queued(*long) == [False, True, False]


def test_a_key_that_cannot_be_computed_starts_nothing(house: House) -> None:
    version = house.publish(limited(1, key={"$": "input.customer.lower()"}))
    with pytest.raises(ExpressionFailed, match=r"settings\.concurrency\.key"):
        house.start(version, {"customer": 1})
    assert not Run.objects.exists()


def test_a_run_above_the_limit_is_refused(house: House) -> None:
    version = house.publish(limited(2, "refuse", key={"$": "'card-17'"}))
    first = house.start(version, idempotency_key="once")
    house.start(version)
    with pytest.raises(LimitReached, match=r'2 of 2 runs of .* with key "card-17" are open') as refused:
        house.start(version)
    assert (refused.value.error_code, refused.value.status) == ("concurrency_limit", 409)
    assert house.start(version, idempotency_key="once") == first
    assert Run.objects.count() == 2
    cancel_run(first, house.actor)
    house.start(version)


def test_a_newer_run_replaces_the_oldest(house: House) -> None:
    version = house.publish(limited(2, "replace"))
    runs = [house.start(version) for _ in range(4)]
    assert [state(run) for run in runs] == ["cancelled", "cancelled", "running", "running"]
    assert queued(*runs[2:]) == [False, False]
    record = RunRecord.objects.get(run_id=runs[0], kind="cancel_requested")
    assert record.detail == {"reason": "replaced", "by_run": str(runs[2])}
    assert leftovers(runs[0]) == {}
    assert list(breaches()) == []


def test_the_newer_run_begins_when_the_replaced_one_has_stopped(house: House, sandbox: Sandbox) -> None:
    held = Held(listens=False)
    known = kinds(held=held)
    version = house.publish(limited(1, "replace", step("a", "held")), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke, grace=60):
        first = house.start(version)
        held.enter()
        second = house.start(version)
        assert (state(first), queued(second), states(second)) == ("cancelling", [True], ["H"])
        held.release.set()
        assert house.end_of(first).state == "cancelled"
        assert house.end_of(second).state == "succeeded"


def test_a_resume_does_not_let_a_queued_run_go(house: House) -> None:
    version = house.publish(limited(1))
    first, second, third = (house.start(version) for _ in range(3))
    assert pause_run(second, house.actor) == "paused"
    assert resume_run(second, house.actor) == "running"
    assert (queued(second), states(second)) == ([True], ["H"])
    pause_run(second, house.actor)
    cancel_run(first, house.actor)
    assert queued(second, third) == [True, False]  # a paused run is passed over
    resume_run(second, house.actor)
    assert queued(second) == [True]
    cancel_run(third, house.actor)
    assert (queued(second), states(second)) == ([False], ["R"])


def passed_over(house: House) -> tuple[UUID, UUID]:
    """A paused queued run whose slot is free, and a younger one that is queued behind it and paused, too."""
    version = house.publish(limited(1))
    first, second, third = (house.start(version) for _ in range(3))
    pause_run(second, house.actor)
    pause_run(third, house.actor)
    cancel_run(first, house.actor)
    assert queued(second, third) == [True, True]
    return second, third


def test_a_queued_run_that_is_resumed_beside_a_free_slot_goes_at_once(house: House) -> None:
    second, third = passed_over(house)
    told: list[str] = []
    with patch.object(dispatch, "wake", lambda queue, count=1: told.append(queue)):
        resume_run(third, house.actor)
    assert (queued(second, third), states(second), states(third)) == ([True, False], ["H"], ["R"])
    assert set(told) == {"default"}
    resume_run(second, house.actor)
    assert (queued(second), states(second)) == ([True], ["H"])
    assert list(RunRecord.objects.filter(kind="released").values_list("run_id", flat=True)) == [third]
    assert list(breaches()) == []


def resumed_at_once(house: House) -> list[bool]:
    """Both queued runs are resumed before either has committed: who of them is still queued."""
    runs = passed_over(house)

    def resume() -> None:
        try:
            resume_run(runs[1], house.actor)
        finally:
            connection.close()

    other = threading.Thread(target=resume)
    with transaction.atomic():
        resume_run(runs[0], house.actor)
        other.start()
        wait_until(lambda: not other.is_alive() or somebody_waits(), 10, "the other resume to wait or to be done")
    other.join(10)
    return queued(*runs)


def test_two_that_are_resumed_at_once_share_one_free_slot(house: House) -> None:
    assert resumed_at_once(house) == [False, True]
    assert list(breaches()) == []


def test_without_the_lock_two_that_are_resumed_both_begin(house: House) -> None:
    with mutated("branchline_fill_slots", (FILL_LOCK, "")):
        assert resumed_at_once(house) == [False, False]


def test_a_queued_run_that_is_cancelled_gives_no_slot_away(house: House) -> None:
    version = house.publish(limited(1))
    first, second, third = (house.start(version) for _ in range(3))
    assert cancel_run(second, house.actor) == "cancelled"
    assert queued(first, third) == [False, True]
    assert leftovers(second) == {}


def test_a_lower_limit_is_reached_by_ends_only(house: House) -> None:
    version = house.publish(limited(3))
    runs = [house.start(version) for _ in range(3)]
    Run.objects.update(concurrency_limit=1)  # as a newer version would have it
    waits = house.start(version)
    Run.objects.filter(pk=waits).update(concurrency_limit=1)
    for run in runs[:2]:
        cancel_run(run, house.actor)
        settle_limit(version.workflow_id, "")
        assert queued(waits) == [True]
    cancel_run(runs[2], house.actor)
    assert queued(waits) == [False]


def test_it_says_what_a_queued_run_waits_for(house: House) -> None:
    version = house.publish(limited(2))
    runs = [house.start(version) for _ in range(3)]
    (item,) = step_runs(Run.objects.get(pk=runs[2])).items
    assert item.waiting is not None
    assert (item.waiting.kind, item.waiting.text) == ("limit", "2 of 2 runs of this workflow are open")
