"""Retry from failure: what failed is tried again under its old keys; what succeeded stays; races have one winner."""

import threading
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from orchestrator.core.errors import BranchlineError
from orchestrator.core.outcome import Done, Outcome, Retry, StepFault
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import AuditEntry, Gate, Run, RunRecord, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import fail_overdue_run, pause_run, resume_run
from orchestrator.services.reopen import RunNotFailed, StepNotFailed, retry_run
from orchestrator.services.retry_step import retry_step
from tests.engine.drawings import document, step
from tests.engine.house import House, error, leftovers, output
from tests.engine.kinds import Told, kinds
from tests.engine.switched import DIAMOND, Switch, again, at_work, ended, fails, told
from tests.graphs import ACTED, expected, random_document
from tests.waiting import wait_until


def test_what_failed_is_tried_again_under_the_same_key(house: House, sandbox: Sandbox) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    version = house.publish(DIAMOND, kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        assert error(ended(house, run_id, "failed"))["code"] == "broken"
        switch.answers.clear()
        assert again(house, lambda: retry_run(run_id, house.actor, "fixed")) == "running"
        run = ended(house, run_id, "succeeded")
    assert output(run) == "e"
    assert run.error is None
    assert (switch.attempts("a"), switch.attempts("b"), switch.attempts("c")) == ([1], [1, 2], [1])
    assert switch.keys("b") == {f"{run_id}:1:0:0"}
    assert (run.generation, switch.attempts("d"), switch.attempts("e")) == (0, [1], [1])
    record = RunRecord.objects.get(run_id=run_id, kind="retried")
    assert (record.actor, record.detail) == ("tester", {"steps": ["b"], "reason": "fixed"})
    assert AuditEntry.objects.filter(action="run.retried", target=f"run {run_id}").count() == 1
    gate = Gate.objects.get(run_id=run_id, gate=3)
    assert (gate.ok, gate.fail, gate.verdict, gate.decided) == (2, 0, "F", 1)


def test_it_may_fail_again_and_again(house: House, sandbox: Sandbox) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    version = house.publish(DIAMOND, kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        for count in (1, 2, 3):
            assert error(ended(house, run_id, "failed")) == {"code": "broken", "message": "as told", "node": 1}
            assert switch.attempts("b") == list(range(1, count + 1))
            again(house, lambda: retry_run(run_id, house.actor))
        ended(house, run_id, "failed")
        switch.answers.clear()
        again(house, lambda: retry_run(run_id, house.actor))
        ended(house, run_id, "succeeded")
    assert switch.attempts("d") == [1]


def test_the_retry_budget_is_fresh_and_attempts_go_on(house: House, sandbox: Sandbox) -> None:
    switch = Switch(a=lambda context: Retry(StepFault(code="busy", message="busy")))
    known = kinds(told=Told(switch))
    policy = {"attempts": 3, "first": "PT0S", "factor": 1, "cap": "PT0S", "jitter": "none"}
    version = house.publish(document([told("a", retry=policy)]), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
        again(house, lambda: retry_run(run_id, house.actor))
        ended(house, run_id, "failed")
    assert switch.attempts("a") == [1, 2, 3, 4, 5, 6]


def test_a_failed_output_is_computed_again(house: House, sandbox: Sandbox) -> None:
    version = house.publish(document([step("a")], output={"$": "steps.a + 1"}))
    with at_work(house, sandbox, kinds()):
        run_id = house.start(version)
        assert error(ended(house, run_id, "failed"))["code"] == "output_failed"
        again(house, lambda: retry_run(run_id, house.actor))
        assert error(ended(house, run_id, "failed"))["code"] == "output_failed"


def test_one_failed_step_is_retried_while_its_run_is_open(house: House, sandbox: Sandbox) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    steps = [told("b"), step("slow", "delay", config={"for": "PT10M"}), told("c")]
    version = house.publish(document(steps, "b > c"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        wait_until(StepLog.objects.filter(run_id=run_id, outcome="F").exists, 10, "b to fail")
        switch.answers.clear()
        with pytest.raises(StepNotFailed):
            retry_step(run_id, "slow", house.actor)
        with pytest.raises(BranchlineError) as refused:
            retry_step(run_id, "nosuch", house.actor)
        assert refused.value.error_code == "not_found"
        assert again(house, lambda: retry_step(run_id, "b", house.actor)) == "running"
        wait_until(lambda: switch.attempts("c") == [1], 10, "c to run")
        with pytest.raises(RunNotFailed):
            retry_run(run_id, house.actor)


def test_a_paused_run_stays_paused(house: House, sandbox: Sandbox) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    steps = [told("b"), step("slow", "delay", config={"for": "PT10M"})]
    version = house.publish(document(steps), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        wait_until(StepLog.objects.filter(run_id=run_id, outcome="F").exists, 10, "b to fail")
        pause_run(run_id, house.actor)
        assert retry_run(run_id, house.actor) == "paused"
        assert Token.objects.get(run_id=run_id, node=0).state == "H"
        switch.answers.clear()
        again(house, lambda: resume_run(run_id, house.actor))
        wait_until(lambda: switch.attempts("b") == [1, 2], 10, "b to run again")


def test_a_run_that_its_deadline_ended_goes_on_where_it_stood(house: House, sandbox: Sandbox) -> None:
    version = house.publish(
        document([step("a"), step("b", "delay", config={"for": "PT10M"})], "a > b", settings={"deadline": "PT1H"})
    )
    with at_work(house, sandbox, kinds()):
        run_id = house.start(version)
        wait_until(Token.objects.filter(run_id=run_id, state="W").exists, 10, "the delay to wait")
        with connection.cursor() as cursor:
            cursor.execute("UPDATE orchestrator_run SET deadline_at = now() - interval '1 s' WHERE id = %s", [run_id])
        fail_overdue_run(run_id)  # or the keeper, whoever is first
        assert error(ended(house, run_id, "failed"))["code"] == "deadline"
        again(house, lambda: retry_run(run_id, house.actor))
        wait_until(Token.objects.filter(run_id=run_id, node=1, state="W").exists, 10, "the delay to wait again")
        run = Run.objects.get(pk=run_id)
        assert run.deadline_at is not None
        assert (run.deadline_at - run.started_at).total_seconds() > 3_000, "a deadline that passed begins anew"


@pytest.mark.parametrize("state", ["succeeded", "cancelled", "cancelling", "undone"])
def test_what_has_not_failed_cannot_be_retried(house: House, sandbox: Sandbox, state: str) -> None:
    version = house.publish(document([step("a")]))
    with at_work(house, sandbox, kinds()):
        run_id = house.start(version)
        ended(house, run_id, "succeeded")
    Run.objects.filter(pk=run_id).update(state=state, **({"finished_at": None} if state == "cancelling" else {}))
    with pytest.raises(BranchlineError) as refused:
        retry_run(run_id, house.actor)
    assert refused.value.status == 409
    assert not RunRecord.objects.filter(run_id=run_id, kind="retried").exists()


def test_of_many_operators_at_once_one_wins(house: House, sandbox: Sandbox) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    version = house.publish(DIAMOND, kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
    codes: list[str] = []

    def retry(barrier: threading.Barrier) -> None:
        try:
            barrier.wait(10)
            retry_run(run_id, house.actor)
            codes.append("won")
        except BranchlineError as refused:
            codes.append(refused.error_code)
        finally:
            connection.close()

    barrier = threading.Barrier(6)
    threads = [threading.Thread(target=retry, args=(barrier,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(codes) == [*["run_not_failed"] * 5, "won"]
    assert Token.objects.filter(run_id=run_id).count() == 1
    assert RunRecord.objects.filter(run_id=run_id, kind="retried").count() == 1


@pytest.mark.parametrize("seed", range(3))
def test_random_runs_end_after_retries_as_if_nothing_had_failed(house: House, sandbox: Sandbox, seed: int) -> None:
    """Steps that would fail in `random_document` succeed at their next attempt after an operator's retry."""
    random = Random(1000 + seed)
    documents = [random_document(random) for _ in range(15)]
    published = [(house.publish(raw, kinds=ACTED), raw) for raw in documents]
    mended = {**ACTED, "acted": Mended()}
    with at_work(house, sandbox, mended):
        started = [(house.start(version), raw) for version, raw in published]
        for _ in range(20):
            wait_until(lambda: not Run.objects.open().exists(), 60, "all runs to end")
            went_on = [retried(house, run_id) for run_id, _ in started]
            if not any(went_on):
                break
    for run_id, raw in started:
        last = {row.node: row for row in StepLog.objects.filter(run_id=run_id, final=True).order_by("entry")}
        keys = Run.objects.get(pk=run_id).version.plan["keys"]
        for config in (one["config"] for one in raw["steps"]):
            config["fails"] &= False
        told_by_rows = {keys[node] for node, row in last.items() if row.outcome in "SF" and row.attempt > 0}
        handled = {keys[row.node] for row in last.values() if row.outcome == "F" and row.ports}
        if not handled and Run.objects.get(pk=run_id).state == "succeeded":
            swallowed = {keys[row.node] for row in last.values() if row.outcome == "F"}
            assert swallowed or told_by_rows == expected(raw).ran
        assert leftovers(run_id) == {}
    assert list(breaches()) == []


class Mended(type(ACTED["acted"])):  # type: ignore[misc]
    """Fails at its first attempt only."""

    def run(self, config: Any, context: Any) -> Outcome:
        if config.fails and context.attempt > 1 + config.flaky:
            return Done({"step": context.step_key}, tuple(config.ports))
        return super().run(config, context)  # type: ignore[no-any-return]


def retried(house: House, run_id: UUID) -> bool:
    try:
        again(house, lambda: retry_run(run_id, house.actor))
    except RunNotFailed:
        return False
    return True


def test_a_keeper_that_comes_late_leaves_a_retried_run_alone(house: House) -> None:
    """It listed the run as overdue before the retry gave it a new deadline."""
    version = house.publish(document([step("a")], settings={"deadline": "PT1H"}))
    run_id = house.start(version)
    fail_overdue_run(run_id)
    assert Run.objects.get(pk=run_id).state == "running"
