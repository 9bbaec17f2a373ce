"""A worker that is given a token it already has at work: a crash forgot the claim, or it was thought dead."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.engine.worker import Worker
from orchestrator.models import StepLog, Token
from orchestrator.queries.fsck import breaches
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers, make_tools, worker_at_work
from tests.engine.kinds import Held, HeldAway, kinds
from tests.engine.rows import rows
from tests.waiting import wait_until


@contextmanager
def at_work_on(house: House, sandbox: Sandbox, held: Held) -> Iterator[tuple[Worker, UUID]]:
    """A worker whose handler is inside the first of two steps."""
    known = kinds(held=held)
    version = house.publish(document([step("a", "held"), step("b")], "a > b"), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as worker:
        house.worker = worker
        run_id = house.start(version)
        held.enter()
        yield worker, run_id


def give_again(worker: Worker, run_id: UUID, *, epochs: int) -> int:
    """Make the token ready, as if its epoch had never been reached (-1) or a keeper had taken it over (1); its new one
    once the worker has claimed it.
    """
    free = """UPDATE orchestrator_token SET state = 'R', session_id = NULL, deadline_at = NULL,
        epoch = epoch + %s, attempt = attempt - 1 WHERE run_id = %s RETURNING epoch"""
    (row,) = rows(free, epochs, run_id)
    worker.poke()
    claimed = Token.objects.filter(run_id=run_id, state="L", epoch=row["epoch"] + 1, session_id=worker.session_id)
    wait_until(claimed.exists, 10, "the token to be claimed again")
    return int(row["epoch"]) + 1


@pytest.mark.parametrize("kind", [Held, HeldAway])
def test_a_claim_that_a_crash_forgot_is_not_begun_twice(house: House, sandbox: Sandbox, kind: type[Held]) -> None:
    """The same session gets the same epoch again: what is at work is what the new claim asks for."""
    held = kind()
    with at_work_on(house, sandbox, held) as (worker, run_id):
        give_again(worker, run_id, epochs=-1)
        assert not held.entered.acquire(timeout=0.5), "the handler was called once more, beside itself"
        held.release.set()
        assert house.end_of(run_id).state == "succeeded"
    assert list(StepLog.objects.filter(run_id=run_id, node=0).values_list("outcome", "attempt")) == [("S", 1)]
    assert (leftovers(run_id), list(breaches())) == ({}, [])


@pytest.mark.parametrize("kind", [Held, HeldAway])
def test_who_lost_a_token_and_gets_it_again_drops_the_old_attempt(
    house: House, sandbox: Sandbox, kind: type[Held]
) -> None:
    """The old handler is told to stop, and a slot that it keeps is replaced."""
    held = kind(listens=False)
    with at_work_on(house, sandbox, held) as (worker, run_id):
        old = worker._attempts.all()[0]
        epoch = give_again(worker, run_id, epochs=1)
        held.enter()
        assert (old.stop.is_set(), old.is_settled()) == (True, True)
        assert [attempt.lease.epoch for attempt in worker._attempts.all()] == [epoch]
        busy = int(kind is Held)  # one who is away keeps no slot
        wait_until(lambda: worker._slots._load == busy, 10, "the old handler's slot to be replaced")
        held.release.set()
        assert house.end_of(run_id).state == "succeeded"
    assert (leftovers(run_id), list(breaches())) == ({}, [])
