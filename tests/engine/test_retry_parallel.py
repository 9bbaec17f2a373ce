"""A retried for-each keeps to its `parallel`: failed items and items that had not begun take their turn."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db.models import Q

from orchestrator.core.outcome import Done, Fail, Outcome, StepFault
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.reopen import retry_run
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, leftovers, make_tools, output, worker_at_work
from tests.engine.kinds import Told, kinds
from tests.engine.rows import claim
from tests.waiting import wait_until

BROKEN = Fail(StepFault(code="broken", message="as told"))


class Crowd:
    """Fails for the first six items until mended; then counts who is in `act` at once, until the test lets them go."""

    def __init__(self) -> None:
        self.mended = False
        self.now = self.most = 0
        self.acted: list[int] = []
        self.go, self._guard = threading.Event(), threading.Lock()

    def __call__(self, context: Any) -> Outcome:
        item = context.roots["item"] if "item" in context.roots else context.roots["input"]["item"]
        if not self.mended:
            return BROKEN if item < 6 else Done(item)
        with self._guard:
            self.now += 1
            self.most = max(self.most, self.now)
            self.acted.append(item)
        assert self.go.wait(20)
        with self._guard:
            self.now -= 1
        return Done(item)


def drawing(*, slow: bool, parallel: int | None, nested: bool = False) -> dict[str, Any]:
    config: dict[str, Any] = {"items": list(range(12)), "tolerate": {"count": 5}}
    steps = [step("each", "for_each", config=config | ({} if parallel is None else {"parallel": parallel}))]
    if nested:
        steps.append(step("around", "scope", parent="each"))
    inside = "around" if nested else "each"
    steps.append(step("act", "told", parent=inside, config={"note": {"$": "item"}}))
    if slow:
        steps.append(step("wait", "delay", config={"for": "PT0S"}, parent=inside))
    return document(steps, *(["wait > act"] if slow else []))


def by_children(house: House, crowd: Crowd, *, depth: int) -> dict[str, Any]:
    """The same, with the work in runs of sub-workflows of sub-workflows."""
    known = kinds(told=Told(crowd))
    house.publish(document([step("act", "told", config={"note": {"$": "input.item"}})]), slug="child-1", kinds=known)
    config: dict[str, Any] = {"workflow": "child-1", "input": {"item": {"$": "input.item"}}}
    for level in range(2, depth + 1):
        house.publish(document([step("sub", "sub_workflow", config=config)]), slug=f"child-{level}", kinds=known)
        config = {**config, "workflow": f"child-{level}"}
    each = step("each", "for_each", config={"items": list(range(12)), "tolerate": {"count": 5}, "parallel": 2})
    return document(
        [each, step("sub", "sub_workflow", config={**config, "input": {"item": {"$": "item"}}}, parent="each")]
    )


@contextmanager
def at_work(house: House, sandbox: Sandbox, known: Any) -> Iterator[None]:
    tools = make_tools(sandbox, known)
    with worker_at_work(tools, slots=8) as house.worker, keeper_at_work(house.worker.poke):
        yield


def failed(house: House, sandbox: Sandbox, crowd: Crowd, raw: dict[str, Any]) -> UUID:
    """A run whose items have failed; nobody is at work any more, and the items would succeed now."""
    known = kinds(told=Told(crowd))
    version = house.publish(raw, kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        assert house.end_of(run_id).state == "failed"
    crowd.mended = True
    return run_id


def nobody_else_may_begin(run_id: UUID, crowd: Crowd, count: int) -> None:
    """Wait until so many are inside, and every token that might go on has."""
    moving = Token.objects.filter(run_id=run_id).filter(Q(state="R") | Q(state="W", wake_at__isnull=False))
    wait_until(lambda: crowd.now >= count and not moving.exists(), 20, f"{count} items to be at work")


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_no_more_items_go_on_at_once_than_parallel_says(
    house: House, sandbox: Sandbox, slow: bool, nested: bool
) -> None:
    crowd = Crowd()
    run_id = failed(house, sandbox, crowd, drawing(slow=slow, parallel=2, nested=nested))
    retry_run(run_id, house.actor)
    assert list(breaches()) == []
    with at_work(house, sandbox, kinds(told=Told(crowd))):
        nobody_else_may_begin(run_id, crowd, 2)
        assert crowd.now == 2
        crowd.go.set()
        run = house.end_of(run_id, 60)
    assert (run.state, output(run)) == ("succeeded", list(range(12)))
    assert crowd.most == 2
    assert set(range(6)) <= set(crowd.acted)
    assert len(crowd.acted) == len(set(crowd.acted))
    assert (leftovers(run_id), list(breaches())) == ({}, [])


@pytest.mark.parametrize("depth", [1, 2])
def test_nor_do_more_runs_of_sub_workflows(house: House, sandbox: Sandbox, depth: int) -> None:
    crowd = Crowd()
    run_id = failed(house, sandbox, crowd, by_children(house, crowd, depth=depth))
    inner = Run.objects.filter(workflow__slug="child-1")
    children = set(inner.filter(state="failed").values_list("pk", flat=True))
    retry_run(run_id, house.actor)
    assert list(breaches()) == []
    with at_work(house, sandbox, kinds(told=Told(crowd))):
        ready = Token.objects.filter(state="R")
        wait_until(lambda: crowd.now >= 2 and not ready.exists(), 20, "two items, and nobody else, to be at work")
        assert crowd.now == 2
        assert list(breaches()) == []
        crowd.go.set()
        run = house.end_of(run_id, 60)
    assert (run.state, output(run)) == ("succeeded", list(range(12)))
    assert crowd.most == 2
    assert len(crowd.acted) == len(set(crowd.acted))
    assert set(inner.filter(pk__in=children).values_list("state", flat=True)) == {"succeeded"}
    assert list(breaches()) == []


def test_a_run_of_a_sub_workflow_that_waits_for_its_turn_may_be_paused_cancelled_and_retried(
    house: House, sandbox: Sandbox
) -> None:
    crowd = Crowd()
    run_id = failed(house, sandbox, crowd, by_children(house, crowd, depth=1))
    retry_run(run_id, house.actor)
    waiting = Token.objects.filter(state="W", waiting__has_key="turn")
    before = waiting.count()
    assert before > 0
    pause_run(run_id, house.actor)
    assert claim(1, 99) == []
    resume_run(run_id, house.actor)
    assert waiting.count() == before
    cancel_run(run_id, house.actor)
    assert house.end_of(run_id).state == "cancelled"
    assert Token.objects.count() == 0
    assert list(breaches()) == []


def test_without_parallel_they_go_on_at_once(house: House, sandbox: Sandbox) -> None:
    crowd = Crowd()
    run_id = failed(house, sandbox, crowd, drawing(slow=True, parallel=None))
    retry_run(run_id, house.actor)
    with at_work(house, sandbox, kinds(told=Told(crowd))):
        nobody_else_may_begin(run_id, crowd, 6)
        crowd.go.set()
        assert house.end_of(run_id, 60).state == "succeeded"
    assert crowd.most >= 6


def in_turn(run_id: UUID) -> int:
    return Token.objects.filter(run_id=run_id, state="W", waiting__has_key="turn").count()


def test_who_waits_for_its_turn_says_so_and_may_be_paused_cancelled_and_retried(house: House, sandbox: Sandbox) -> None:
    crowd = Crowd()
    run_id = failed(house, sandbox, crowd, drawing(slow=True, parallel=1))
    retry_run(run_id, house.actor)
    waiting = in_turn(run_id)
    assert waiting >= 5
    said = Token.objects.filter(run_id=run_id, waiting__has_key="turn").values_list("waiting__kind", "waiting__text")
    assert set(said) == {("limit", "Waiting for another item to end")}
    pause_run(run_id, house.actor)
    assert claim(1, 99) == []
    resume_run(run_id, house.actor)
    assert in_turn(run_id) == waiting
    assert list(breaches()) == []
    cancel_run(run_id, house.actor)
    assert leftovers(run_id) == {}
    assert Run.objects.get(pk=run_id).state == "cancelled"


def test_a_second_failure_is_retried_again(house: House, sandbox: Sandbox) -> None:
    crowd = Crowd()
    crowd.go.set()
    raw = drawing(slow=True, parallel=2)
    run_id = failed(house, sandbox, crowd, raw)
    crowd.mended = False
    known = kinds(told=Told(crowd))
    retry_run(run_id, house.actor)
    with at_work(house, sandbox, known):
        assert house.end_of(run_id).state == "failed"
    assert list(breaches()) == []
    crowd.mended = True
    retry_run(run_id, house.actor)
    with at_work(house, sandbox, known):
        run = house.end_of(run_id, 60)
    assert (run.state, output(run)) == ("succeeded", list(range(12)))
    assert crowd.most <= 2
    successes = StepLog.objects.filter(run_id=run_id, outcome="S", node=run.version.plan["keys"].index("act"))
    assert successes.count() == 12


def test_a_worker_that_dies_with_an_item_holds_nobody_up(house: House, sandbox: Sandbox) -> None:
    crowd = Crowd()
    crowd.go.set()
    run_id = failed(house, sandbox, crowd, drawing(slow=False, parallel=2))
    retry_run(run_id, house.actor)
    assert len(claim(99, 50)) == 2  # a session without a row is dead: no more than two were to be had
    with at_work(house, sandbox, kinds(told=Told(crowd))):
        run = house.end_of(run_id, 60)
    assert (run.state, output(run)) == ("succeeded", list(range(12)))
    wait_until(lambda: not Token.objects.filter(run_id=run_id).exists(), 10, "the last token to go")
    assert list(breaches()) == []
