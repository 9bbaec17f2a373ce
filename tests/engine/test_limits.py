"""Limits of open runs: queue, replace and refuse; in all or by key; through pause, cancel and retry."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import connection, transaction

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.outcome import Done
from orchestrator.core.parse import parse_document
from orchestrator.core.states import FINAL_RUN
from orchestrator.engine import dispatch
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, RunRecord, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.queries.step_runs import step_runs
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.repeat_preview import preview_rerun
from orchestrator.services.rerun import rerun_step
from orchestrator.services.run_limit import LimitDiffers
from orchestrator.services.runs import LimitReached, settle_limit
from orchestrator.services.versions import publish_version
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.engine.house import House, error, keeper_at_work, leftovers, make_tools, worker_at_work
from tests.engine.kinds import Held, Told, kinds
from tests.harness.mutants import mutated
from tests.waiting import wait_until

FOREVER = step("a", "delay", config={"for": "PT10M"})
LOCK = "PERFORM pg_advisory_xact_lock(v_lock);"


def limited(limit: int, on_limit: str = "queue", *steps: dict[str, Any], key: Any = None) -> dict[str, Any]:
    concurrency = {"limit": limit, "on_limit": on_limit, **({} if key is None else {"key": key})}
    return document(list(steps) or [FOREVER], settings={"concurrency": concurrency})


def queued(*runs: UUID) -> list[bool]:
    rows = dict(Run.objects.filter(pk__in=runs).values_list("pk", "queued"))
    return [rows[run] for run in runs]


def states(run_id: UUID) -> list[str]:
    return list(Token.objects.filter(run_id=run_id).values_list("state", flat=True))


def state(run_id: UUID) -> str:
    return Run.objects.values_list("state", flat=True).get(pk=run_id)


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


def test_a_queued_run_that_is_cancelled_gives_no_slot_away(house: House) -> None:
    version = house.publish(limited(1))
    first, second, third = (house.start(version) for _ in range(3))
    assert cancel_run(second, house.actor) == "cancelled"
    assert queued(first, third) == [False, True]
    assert leftovers(second) == {}


def test_a_run_that_is_retried_waits_for_a_slot(house: House, sandbox: Sandbox) -> None:
    version = house.publish(limited(1, "queue", step("a", config={"value": {"$": "1 / 0"}})))
    with worker_at_work(make_tools(sandbox)) as house.worker:
        first = house.start(version)
        assert house.end_of(first).state == "failed"
    house.worker = None
    second = house.start(version)
    retry_run(first, house.actor)
    assert (queued(first, second), states(first)) == ([True, False], ["H"])
    cancel_run(second, house.actor)
    assert (queued(first), states(first)) == ([False], ["R"])


@pytest.mark.parametrize("box", ["scope", "locked", "for_each"])
def test_what_stands_inside_a_container_of_a_retried_run_waits_for_the_slot_too(
    house: House, sandbox: Sandbox, box: str
) -> None:
    """What failed is repaired, so that the run would succeed as soon as it may go on."""
    configs: dict[str, Any] = {"locked": {"lock": "bench"}, "for_each": {"items": [1, 2], "parallel": 1}}
    outer = step("box", "for_each" if box == "for_each" else "scope", config=configs.get(box, {}))
    inner = step("a", config={"value": {"$": "1 / input.by"}}, parent="box")
    version = house.publish(limited(1, "queue", outer, inner))
    with worker_at_work(make_tools(sandbox)) as house.worker:
        first = house.start(version, {"by": 0})
        assert house.end_of(first).state == "failed"
    house.worker = None
    second = house.start(version, {"by": 1})
    Run.objects.filter(pk=first).update(input={"by": 1})
    retry_run(first, house.actor)
    assert queued(first, second) == [True, False]
    assert "R" not in states(first)
    assert list(breaches()) == []
    cancel_run(second, house.actor)
    assert queued(first) == [False]
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        assert house.end_of(first).state == "succeeded"
    assert (leftovers(first), list(breaches())) == ({}, [])


@pytest.mark.parametrize("paused", [False, True])
def test_a_sub_workflow_of_a_retried_run_waits_for_the_slot_too(house: House, sandbox: Sandbox, paused: bool) -> None:
    """Its own run goes on where it failed, but not before the run around it may, not by a resume either."""
    inner = [step("before"), step("a", config={"value": {"$": "1 / input.by"}})]
    house.publish(document(inner, "before > a"), "child").workflow.refresh_from_db()
    call = step("call", "sub_workflow", config={"workflow": "child", "input": {"by": {"$": "input.by"}}})
    version = house.publish(limited(1, "queue", call))
    with worker_at_work(make_tools(sandbox)) as house.worker:
        first = house.start(version, {"by": 0})
        assert house.end_of(first).state == "failed"
    house.worker = None
    second = house.start(version, {"by": 1})
    child = Run.objects.get(parent_run=first).pk
    Run.objects.filter(pk__in=[first, child]).update(input={"by": 1})
    retry_run(first, house.actor)
    if paused:
        pause_run(first, house.actor)
        resume_run(first, house.actor)
    assert queued(first, second) == [True, False]
    assert (states(first), states(child)) == (["W"], ["H"])
    assert list(breaches()) == []
    told: list[str] = []
    with patch.object(dispatch, "wake", lambda queue, count=1: told.append(queue)):
        cancel_run(second, house.actor)
    assert told == ["default"]
    assert (queued(first), states(child)) == ([False], ["R"])
    with worker_at_work(make_tools(sandbox)) as house.worker:
        assert house.end_of(first).state == "succeeded"
    assert Run.objects.filter(parent_run=first).count() == 1
    assert StepLog.objects.filter(run_id=child, node=0).count() == 1, "what had succeeded is not done again"
    assert (leftovers(first), leftovers(child), list(breaches())) == ({}, {}, [])


BY_CUSTOMER = {"$": "input.customer.lower()"}


def test_a_rerun_with_another_input_falls_under_the_limit_of_that_key(house: House) -> None:
    version = house.publish(limited(1, key=BY_CUSTOMER))
    ada, bob = house.start(version, {"customer": "Ada"}), house.start(version, {"customer": "Bob"})
    cancel_run(ada, house.actor)
    rerun_step(ada, "a", house.actor, input={"customer": "BOB"})
    assert queued(ada, bob) == [True, False]
    assert states(ada) == ["H"]
    another = house.start(version, {"customer": "Ada"})
    assert queued(another) == [False], "the key that it had is free"
    cancel_run(bob, house.actor)
    assert (queued(ada), states(ada)) == ([False], ["R"])
    assert list(breaches(everything=True)) == []


def test_a_rerun_with_another_input_replaces_under_the_new_key(house: House) -> None:
    version = house.publish(limited(1, "replace", key=BY_CUSTOMER))
    bob, ada = house.start(version, {"customer": "Bob"}), house.start(version, {"customer": "Ada"})
    cancel_run(ada, house.actor)
    rerun_step(ada, "a", house.actor, input={"customer": "Bob"})
    assert (state(bob), state(ada), queued(ada)) == ("cancelled", "running", [False])


def test_an_open_run_keeps_its_key(house: House) -> None:
    """It has a slot and may be at work: it cannot change the line it stands in."""
    version = house.publish(limited(1, key=BY_CUSTOMER))
    run_id = house.start(version, {"customer": "Ada"})
    Token.objects.filter(run_id=run_id).update(attempt=1)
    with pytest.raises(LimitDiffers, match="Cancel it first") as refused:
        rerun_step(run_id, "a", house.actor, input={"customer": "Bob"})
    assert (refused.value.error_code, refused.value.status) == ("limit_differs", 409)
    assert Run.objects.get(pk=run_id).input == {"customer": "Ada"}
    rerun_step(run_id, "a", house.actor, input={"customer": "ADA"})
    assert (queued(run_id), Run.objects.get(pk=run_id).input) == ([False], {"customer": "ADA"})


def test_an_input_without_a_key_repeats_nothing(house: House) -> None:
    version = house.publish(limited(1, key=BY_CUSTOMER))
    run_id = house.start(version, {"customer": "Ada"})
    cancel_run(run_id, house.actor)
    with pytest.raises(ExpressionFailed, match=r"settings\.concurrency\.key"):
        rerun_step(run_id, "a", house.actor, input={"customer": 1})
    assert (state(run_id), Run.objects.get(pk=run_id).generation) == ("cancelled", 0)


@pytest.mark.parametrize("removed", [False, True])
def test_a_rerun_by_the_newest_version_falls_under_its_limit(house: House, removed: bool) -> None:
    version = house.publish(limited(1, key=BY_CUSTOMER))
    ada, long = house.start(version, {"customer": "Ada"}), house.start(version, {"customer": "x" * 3_000})
    raw = document([FOREVER]) if removed else limited(2, key={"$": "input.customer[:1]"})
    publish_version(
        workflow=version.workflow, document=parse_document(raw), raw=raw, note="", actor=house.actor, kinds=KINDS
    )
    with pytest.raises(LimitDiffers):
        preview_rerun(ada, "a", house.actor, newest=True)
    for run_id, key in ((ada, "A"), (long, "x")):
        cancel_run(run_id, house.actor)
        assert preview_rerun(run_id, "a", house.actor, newest=True).version == 2
        rerun_step(run_id, "a", house.actor, newest=True)
        run = Run.objects.get(pk=run_id)
        expected = (None, None) if removed else (f'"{key}"', 2)
        assert (run.concurrency_key, run.concurrency_limit) == expected
    assert queued(ada, long) == [False, False]


def test_a_run_that_ended_in_the_queue_waits_for_nothing_under_a_version_without_a_limit(house: House) -> None:
    version = house.publish(limited(1))
    first, second = house.start(version), house.start(version)
    cancel_run(second, house.actor)
    raw = document([FOREVER])
    publish_version(
        workflow=version.workflow, document=parse_document(raw), raw=raw, note="", actor=house.actor, kinds=KINDS
    )
    rerun_step(second, "a", house.actor, newest=True)
    assert (queued(first, second), states(second)) == ([False, False], ["R"])
    assert list(breaches(everything=True)) == []


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


@pytest.fixture
def parent(house: House) -> Iterator[Any]:
    def publish(child: dict[str, Any]) -> Any:
        house.publish(child, "child").workflow.refresh_from_db()
        call = step("call", "sub_workflow", config={"workflow": "child", "input": {}})
        return house.publish(document([call]))

    return iter([publish])


def test_sub_workflows_queue_for_a_slot(house: House, at_work: None, parent: Iterator[Any]) -> None:
    version = next(parent)(limited(1, "queue", step("a", "delay", config={"for": "PT0.05S"})))
    runs = [house.start(version) for _ in range(5)]
    assert {house.end_of(run, 60).state for run in runs} == {"succeeded"}
    children = list(Run.objects.filter(parent_run__in=runs).order_by("finished_at"))
    assert len(children) == 5
    assert {child.state for child in children} <= set(FINAL_RUN)
    assert list(breaches()) == []


def test_a_sub_workflow_above_a_refusing_limit_fails_its_step(
    house: House, at_work: None, parent: Iterator[Any]
) -> None:
    version = next(parent)(limited(1, "refuse", key={"$": "'card-17'"}))
    first = house.start(version)
    wait_until(Run.objects.filter(parent_run=first).exists, 10, "the first child")
    run = house.end_of(house.start(version))
    assert (run.state, error(run)["code"]) == ("failed", "concurrency_limit")
    assert '1 of 1 runs of "child" with the same key are open' in error(run)["message"]
    assert "card-17" not in error(run)["message"], "viewers read why a run failed, but not what it carries"
    assert error(run)["details"].items() >= {"workflow": "child", "limit": 1, "key": '"card-17"'}.items()
    assert not Run.objects.filter(parent_run=run.pk).exists()


@pytest.mark.parametrize("as_child", [False, True])
def test_a_hard_cancellation_wakes_at_once_who_gets_the_slot(house: House, sandbox: Sandbox, *, as_child: bool) -> None:
    """Though only taking away what was at work has ended the run, or that of its sub-workflow."""
    gate = Held(listens=False)
    known = kinds(held=gate)
    version = house.publish(limited(1, "queue", step("a", "held")), slug="child", kinds=known)
    top = house.publish(document([step("sub", "sub_workflow", config={"workflow": "child"})]))
    with worker_at_work(make_tools(sandbox, known)) as house.worker:
        first = house.start(top if as_child else version)
        gate.enter()
        second = house.start(version)
        assert queued(second) == [True]
        told: list[str] = []
        with patch.object(dispatch, "wake", lambda queue, count=1: told.append(queue)):
            assert cancel_run(first, house.actor, hard=True) == "cancelled"
        assert (queued(second), told) == ([False], ["default"])
        gate.release.set()
        assert house.end_of(second).state == "succeeded"
