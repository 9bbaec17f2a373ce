"""Cancel, pause, resume and deadlines: on steps that run, wait, retry, or do not listen."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from orchestrator.core.errors import RunAlreadyClosed
from orchestrator.core.kinds import Kinds
from orchestrator.core.outcome import Retry, StepFault
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import HumanTask, Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run, fail_overdue_run, pause_run, resume_run
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.engine.house import House, error, leftovers, make_tools, worker_at_work
from tests.engine.house import keeper_at_work as keeper
from tests.engine.kinds import Held, HeldAway, Told, kinds
from tests.engine.rows import own_connection
from tests.waiting import wait_until

LONG = step("b", "delay", config={"for": "PT10M"})
FORM = {"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}]}


@contextmanager
def at_work(house: House, sandbox: Sandbox, known: Kinds = KINDS, grace: float = 10.0) -> Iterator[None]:
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper(house.worker.poke, grace=grace):
        yield


def letters(run_id: UUID) -> list[tuple[int, str]]:
    return list(StepLog.objects.filter(run_id=run_id).order_by("node", "attempt").values_list("node", "outcome"))


def in_state(run_id: UUID, state: str) -> None:
    wait_until(Token.objects.filter(run_id=run_id, state=state).exists, 10, f"a token in state {state}")


def assert_closed(house: House, run_id: UUID, state: str) -> Run:
    run = house.end_of(run_id)
    assert run.state == state
    assert leftovers(run_id) == {}
    assert list(breaches()) == []
    return run


@pytest.mark.parametrize("waiting", [LONG, step("b", "human_task", config=FORM)])
def test_a_waiting_run_is_cancelled_at_once(house: House, sandbox: Sandbox, waiting: dict[str, Any]) -> None:
    lines = "b.yes > c" if waiting["kind"] == "human_task" else "b > c"
    version = house.publish(document([step("a"), waiting, step("c")], "a > b", lines))
    with at_work(house, sandbox):
        run_id = house.start(version)
        in_state(run_id, "W")
        assert cancel_run(run_id, house.actor) == "cancelled"
    assert_closed(house, run_id, "cancelled")
    assert letters(run_id) == [(0, "S"), (1, "K")]
    assert not HumanTask.objects.waiting().exists()
    with pytest.raises(RunAlreadyClosed):
        cancel_run(run_id, house.actor)


def test_a_retrying_run_is_cancelled_at_once(house: House, sandbox: Sandbox) -> None:
    known = kinds(told=Told(lambda context: Retry(StepFault(code="busy", message="busy"), after=600)))
    version = house.publish(document([step("a", "told")]), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        in_state(run_id, "W")
        assert cancel_run(run_id, house.actor) == "cancelled"
    assert letters(run_id) == [(0, "F"), (0, "K")]
    assert_closed(house, run_id, "cancelled")


@pytest.mark.parametrize("held", [Held(), HeldAway()])
def test_what_runs_hears_of_the_cancellation(house: House, sandbox: Sandbox, held: Held) -> None:
    known = kinds(held=held)
    version = house.publish(document([step("a", "held"), step("b")], "a > b"), kinds=known)
    with at_work(house, sandbox, known, grace=60):
        run_id = house.start(version)
        held.enter()
        assert cancel_run(run_id, house.actor) == "cancelling"
        assert_closed(house, run_id, "cancelled")
    assert {node for node, _ in letters(run_id)} == {0}


def test_who_does_not_listen_is_cut_off_after_the_grace(house: House, sandbox: Sandbox) -> None:
    held = Held(listens=False)
    known = kinds(held=held)
    version = house.publish(document([step("a", "held"), step("b")], "a > b"), kinds=known)
    with at_work(house, sandbox, known, grace=0.2):
        run_id = house.start(version)
        held.enter()
        cancel_run(run_id, house.actor)
        assert_closed(house, run_id, "cancelled")
        before = list(StepLog.objects.filter(run_id=run_id).values())
        held.release.set()
        worker = house.worker
        assert worker is not None
        wait_until(lambda: not worker._attempts, 5, "the late answer to be given")
        assert list(StepLog.objects.filter(run_id=run_id).values()) == before
    assert letters(run_id) == [(0, "K")]


@pytest.mark.parametrize("held", [Held(), HeldAway()])
def test_a_paused_run_lets_its_steps_end_and_holds_what_follows(house: House, sandbox: Sandbox, held: Held) -> None:
    known = kinds(held=held)
    version = house.publish(document([step("a", "held"), step("b")], "a > b"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        held.enter()
        assert pause_run(run_id, house.actor) == "paused"
        assert house.worker is not None
        with own_connection() as connection:
            house.worker._upkeep.see_to(connection)  # what it does each second
        held.release.set()
        in_state(run_id, "H")
        assert letters(run_id) == [(0, "S")]
        assert resume_run(run_id, house.actor) == "running"
        assert assert_closed(house, run_id, "succeeded").output == "b"


def test_a_timer_that_fires_in_a_paused_run_waits_for_the_resume(house: House, sandbox: Sandbox) -> None:
    version = house.publish(document([step("a", "delay", config={"for": "PT0.2S"}), step("b")], "a > b"))
    with at_work(house, sandbox):
        run_id = house.start(version)
        in_state(run_id, "W")
        pause_run(run_id, house.actor)
        in_state(run_id, "H")
        assert letters(run_id) == []
        resume_run(run_id, house.actor)
        assert_closed(house, run_id, "succeeded")


def test_a_paused_run_can_be_cancelled(house: House) -> None:
    run_id = house.start(house.publish(document([step("a")])))
    pause_run(run_id, house.actor)
    assert list(Token.objects.filter(run_id=run_id).values_list("state", flat=True)) == ["H"]
    assert cancel_run(run_id, house.actor) == "cancelled"
    assert_closed(house, run_id, "cancelled")


def test_the_deadline_ends_a_waiting_run(house: House, sandbox: Sandbox) -> None:
    version = house.publish(document([step("a"), LONG], "a > b", settings={"deadline": "PT0.3S"}))
    with at_work(house, sandbox):
        run = assert_closed(house, house.start(version), "failed")
    assert error(run)["code"] == "deadline"
    assert run.deadline_at is not None
    assert run.finished_at is not None
    assert run.deadline_at <= run.finished_at < run.deadline_at + timedelta(seconds=5)
    fail_overdue_run(run.pk)  # a keeper that comes late changes nothing
    assert Run.objects.get(pk=run.pk).finished_at == run.finished_at


def test_the_deadline_stops_a_running_step(house: House, sandbox: Sandbox) -> None:
    held = Held()
    known = kinds(held=held)
    version = house.publish(document([step("a", "held")], settings={"deadline": "PT0.3S"}), kinds=known)
    with at_work(house, sandbox, known):
        run = assert_closed(house, house.start(version), "failed")
    assert error(run)["code"] == "deadline"
