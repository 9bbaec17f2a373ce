"""Slots: how much they welcome, and what becomes of work that was taken too early."""

import inspect
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from orchestrator.core.outcome import Done
from orchestrator.engine import pokes
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.dispatch import MOST_WAKES
from orchestrator.engine.sandbox import Sandbox
from orchestrator.engine.slots import QUEUED, QUICK, STAGGER, Slots
from orchestrator.models import StepLog, Token
from orchestrator.queries.fsck import breaches
from tests.engine.drawings import document, step
from tests.engine.house import House, make_tools, worker_at_work
from tests.engine.kinds import Told, kinds
from tests.waiting import wait_until

PATIENCE = 20
SIZE = 2


def quick_slots(freed: Any = lambda: None) -> Slots:
    """Slots whose work has taken no time of late."""
    slots = Slots(SIZE, freed)
    slots._usual = 0.0
    return slots


def waits_for(event: threading.Event, seconds: float = PATIENCE) -> Callable[[], None]:
    """Work that ends with `event`, or after so long."""

    def work() -> None:
        event.wait(seconds)

    return work


def test_only_quick_work_may_queue() -> None:
    assert Slots(SIZE, lambda: None).room == SIZE, "nothing is known of the work"
    slots = quick_slots()
    assert slots.room == (QUEUED + 1) * SIZE
    slots._usual = QUICK
    assert slots.room == SIZE
    slots.stop()


def test_more_is_welcome_only_when_little_is_left() -> None:
    """Whoever fetched work piece by piece would be busy with nothing else."""
    go_on = threading.Event()
    slots = quick_slots()
    for load, room in ((1, 7), (2, 6), (3, 5), (4, 4), (5, 0)):
        slots.submit(waits_for(go_on))
        assert slots.room == room, load
    go_on.set()
    slots.stop()


def test_slow_work_shows_and_one_slow_piece_among_quick_ones_does_not() -> None:
    slots = quick_slots()
    slots.submit(waits_for(threading.Event(), 20 * QUICK))
    wait_until(lambda: slots._load == 0, PATIENCE, "the slow piece to end")
    assert slots.room > SIZE
    for _ in range(3):
        slots.submit(waits_for(threading.Event(), 20 * QUICK))
    wait_until(lambda: slots._load == 0 and slots.room == SIZE, PATIENCE, "slow pieces to count")
    slots.stop()


def test_the_stacks_of_slots_lie_apart() -> None:
    """A function that suits one of them badly is not slow in all."""
    depths: set[int] = set()
    together = threading.Barrier(STAGGER)

    def work() -> None:
        depths.add(len(inspect.stack(0)))
        together.wait(PATIENCE)

    slots = Slots(STAGGER, lambda: None)
    for _ in range(STAGGER):
        slots.submit(work)
    wait_until(lambda: slots._load == 0, PATIENCE, "each slot to work once")
    assert len(depths) == STAGGER
    slots.stop()


@pytest.mark.parametrize(
    ("count", "is_taken", "poked", "messages"),
    [
        (SIZE, True, [], SIZE),
        (SIZE + 1, True, [("elsewhere", MOST_WAKES)], 1),
        (SIZE + 1, False, [("elsewhere", MOST_WAKES)], SIZE + 1),
    ],
)
def test_others_hear_at_once_of_more_than_this_process_can_do(
    transactional_db: None,
    sandbox: Sandbox,
    *,
    count: int,
    is_taken: bool,
    poked: list[tuple[str, int]],
    messages: int,
) -> None:
    """And one message stands behind the pokes, if Valkey took them."""
    told: list[tuple[str, int]] = []
    sent: list[str] = []

    def poke(queue: str, count: int = 1) -> bool:
        told.append((queue, count))
        return is_taken

    with (
        worker_at_work(make_tools(sandbox), slots=SIZE) as worker,
        patch.object(pokes, "poke", poke),
        patch.object(worker._herald, "ready", sent.extend),
    ):
        worker._became_ready(["elsewhere"] * count)
    assert told == poked
    assert sent == ["elsewhere"] * messages


def test_what_has_not_begun_is_withdrawn() -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()
    told: list[str] = []
    slots = quick_slots()

    def hang() -> None:
        begun.release()
        go_on.wait(PATIENCE)

    for number in range(SIZE):
        slots.submit(hang, lambda number=number: told.append(f"begun {number}"))  # type: ignore[misc]
    for _ in range(SIZE):
        assert begun.acquire(timeout=PATIENCE)
    assert not slots.is_jammed(), "nobody waits"
    slots.submit(lambda: told.append("done"), lambda: told.append("withdrawn"))
    slots.submit(lambda: told.append("must be done here"))
    slots.is_jammed()
    assert slots.is_jammed(), "nothing has begun since the last look"
    assert slots.withdraw() == 1
    assert told == ["withdrawn"]
    go_on.set()
    wait_until(lambda: told == ["withdrawn", "must be done here"], PATIENCE, "everything to end")
    slots.stop()


@pytest.mark.parametrize("settled", [False, True])
def test_what_was_taken_away_before_its_turn_does_not_begin(house: House, sandbox: Sandbox, settled: bool) -> None:
    """It waited for a slot while its run was cancelled, or its token was taken over and came back by a new claim."""
    sent: list[Any] = []
    lease: Any = SimpleNamespace(token_id=7, epoch=1, run=SimpleNamespace(run_id="run"))
    attempt = Attempt(lease=lease)
    attempt.stop.set()
    if settled:
        attempt.settle()
    with worker_at_work(make_tools(sandbox)) as worker:
        chains = patch.object(worker, "_chain", lambda first: sent.append("begun"))
        with chains, patch.object(worker._committer, "submit", lambda item, heard: sent.append(item)):
            worker._begun(attempt)
    assert sent == ([] if settled else [{"t": 7, "e": 1, "r": "run", "then": "back"}])


def test_a_worker_gives_back_what_it_took_too_early(house: House, sandbox: Sandbox) -> None:
    """It took the steps for quick ones. Others may have what has not begun, and nothing was attempted."""
    go_on = threading.Event()

    def answer(context: Any) -> Done:
        if context.step_key != "s":
            assert go_on.wait(PATIENCE)
        return Done(context.step_key)

    known = kinds(told=Told(answer))
    branches = [f"b{number}" for number in range(6)]
    steps = [step("s", "told"), *(step(key, "told") for key in branches)]
    version = house.publish(document(steps, *(f"s > {key}" for key in branches)), kinds=known)
    with worker_at_work(make_tools(sandbox, known), slots=SIZE) as house.worker:
        house.worker._slots._usual = 0.0
        run_id = house.start(version)
        ready = Token.objects.filter(run_id=run_id, state="R")
        wait_until(lambda: ready.filter(epoch=2).count() == 4, PATIENCE, "four of six to be given back")
        assert set(ready.values_list("attempt", flat=True)) == {0}
        go_on.set()
        house.worker.poke()
        assert house.end_of(run_id).state == "succeeded"
    assert set(StepLog.objects.filter(run_id=run_id).values_list("attempt", "outcome")) == {(1, "S")}
    assert list(breaches()) == []
