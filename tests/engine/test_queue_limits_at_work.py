"""Limits of queues with workers at work: items, chains, containers, undo."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID

from orchestrator.core.kinds import Kinds
from orchestrator.core.outcome import Done
from orchestrator.engine.keeper import Keeper
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import QueueLimit, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import fail_overdue_run
from orchestrator.services.queue_limits import Rate, set_queue_limit
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers, make_house, make_tools, worker_at_work
from tests.engine.kinds import Held, Told, kinds
from tests.waiting import wait_until


class Counted:
    """How many attempts are in their handlers at once. The first `meet` of them wait for each other."""

    def __init__(self, meet: int) -> None:
        self.now = self.most = self.all = 0
        self._meet, self._guard, self._full = meet, threading.Lock(), threading.Event()

    def __call__(self, context: Any) -> Done:
        with self._guard:
            self.now += 1
            self.all += 1
            self.most = max(self.most, self.now)
            if self.now == self._meet:
                self._full.set()
        assert self._full.wait(20)
        with self._guard:
            self.now -= 1
        return Done(None)


@contextmanager
def at_work(sandbox: Sandbox, known: Kinds, workers: int = 3) -> Iterator[None]:
    """Several workers and a keeper that pokes them all."""
    with ExitStack() as stack:
        crew = [stack.enter_context(worker_at_work(make_tools(sandbox, known), slots=6)) for _ in range(workers)]

        def poke(_queue: str, _count: int) -> None:
            for worker in crew:
                worker.poke()

        keeper = Keeper(fail_overdue_run, wake=poke)
        keeper.start()
        stack.callback(keeper.stop)
        poke("default", 1)
        yield


def each(total: int, *inside: dict[str, Any], lines: tuple[str, ...] = (), **config: Any) -> dict[str, Any]:
    items = {"$": f"list(range({total}))"}
    steps = [step("each", "for_each", config={"items": items, **config})]
    return document([*steps, *({"parent": "each", **one} for one in inside)], *lines)


def limit(house: House, concurrency: int | None = None, rate: Rate | None = None) -> QueueLimit:
    house.publish(document([step("any")]))  # only a queue that somebody uses can be limited
    return set_queue_limit(actor=house.actor, queue="default", concurrency=concurrency, rate=rate)


def ended(house: House, *runs: UUID, state: str = "succeeded") -> None:
    for run_id in runs:
        run = house.end_of(run_id, 60)
        assert run.state == state, run.error
        assert leftovers(run_id) == {}
    wait_until(lambda: not Token.objects.exists(), 10, "the last token to go")
    assert list(breaches()) == []


def test_three_workers_never_have_more_than_two_steps_of_a_limited_queue(house: House, sandbox: Sandbox) -> None:
    limit(house, 2)
    count = Counted(2)
    known = kinds(told=Told(count))
    line = house.publish(document([step("a", "told"), step("b", "told")], "a > b"), kinds=known)
    fork = house.publish(document([step(f"s{number}", "told") for number in range(6)]), kinds=known)
    items = house.publish(each(8, step("one", "told"), step("two", "told"), lines=("one > two",)), kinds=known)
    runs = [house.start(version) for version in (line, fork, items, line, fork)]
    with at_work(sandbox, known):
        ended(house, *runs)
    assert (count.most, count.all) == (2, 2 * 2 + 2 * 6 + 8 * 2)
    assert StepLog.objects.filter(outcome="S").count() == count.all + 1


def test_another_workspaces_steps_pass_by(house: House, sandbox: Sandbox) -> None:
    limit(house, 1)
    held = Held()
    known = kinds(held=held)
    ours = [house.start(house.publish(document([step("a", "held")]), kinds=known)) for _ in range(3)]
    other = make_house()
    with at_work(sandbox, known):
        held.enter()
        theirs = other.start(other.publish(document([step("a"), step("b")], "a > b")))
        assert other.end_of(theirs).state == "succeeded"
        assert not held.entered.acquire(blocking=False)
        held.release.set()
        ended(house, *ours)


def test_starts_of_a_rate_limited_queue_are_apart(house: House, sandbox: Sandbox) -> None:
    limit(house, rate=Rate(starts=20, period=1))
    run_id = house.start(house.publish(each(6, step("one"), parallel=3)))
    with at_work(sandbox, kinds()):
        ended(house, run_id)
    rows = StepLog.objects.filter(run_id=run_id, node=1).values_list("started_at", flat=True)
    begun = sorted(moment for moment in rows if moment is not None)
    assert len(begun) == 6
    gaps = [(after - before).total_seconds() for before, after in itertools.pairwise(begun)]
    assert min(gaps) > 0.0499  # the database's clock and the engine's own arithmetic: no timing of this machine


def test_a_lane_at_work_hears_of_a_new_limit(house: House, sandbox: Sandbox) -> None:
    count, first = Counted(1), threading.Event()
    begun = threading.Event()

    def act(context: Any) -> Done:
        if not first.is_set():
            begun.set()
            assert first.wait(20)
        return count(context)

    known = kinds(told=Told(act))
    run_id = house.start(house.publish(each(40, step("one", "told"), parallel=4), kinds=known))
    with at_work(sandbox, known, workers=1):
        assert begun.wait(20)
        found = limit(house, 1)
        assert Token.objects.filter(state="L", queue_limit_id=found.pk).exists()
        first.set()
        ended(house, run_id)
    assert count.all == 40


def test_undo_steps_take_their_turn(house: House, sandbox: Sandbox) -> None:
    limit(house, 1)
    undoable = [step(key, undo={"kind": "transform", "config": {"value": 1}}) for key in "abc"]
    bad = step("bad", config={"value": {"$": "1 // 0"}})
    raw = document([*undoable, bad], "a > bad", "b > bad", "c > bad", settings={"on_failure": "undo"})
    with at_work(sandbox, kinds()):
        ended(house, house.start(house.publish(raw)), state="undone")


def test_nested_containers_in_a_queue_of_one_place_end(house: House, sandbox: Sandbox) -> None:
    """What waits for its body holds no place, so its body always gets one."""
    limit(house, 1)
    inner = step("inner", "for_each", config={"items": [1, 2, 3]}, parent="around")
    steps = [
        step("outer", "for_each", config={"items": [1, 2], "parallel": 2}),
        step("around", "scope", parent="outer"),
        inner,
        step("leaf", parent="inner"),
    ]
    run_id = house.start(house.publish(document(steps)))
    with at_work(sandbox, kinds()):
        ended(house, run_id)
    assert StepLog.objects.filter(run_id=run_id, node=3, outcome="S").count() == 6
