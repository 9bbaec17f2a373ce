"""Retry of what failed inside containers and sub-workflows: what succeeded stays, under the same keys."""

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.core.outcome import Done, Fail, Outcome, StepFault
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, Scope, StepLog
from orchestrator.queries.fsck import breaches
from orchestrator.services.reopen import retry_run
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers, output
from tests.engine.kinds import Told, kinds
from tests.engine.test_retry_run import Switch, at_work

BROKEN = Fail(StepFault(code="broken", message="as told"))


class Repaired(Switch):
    """Fails as told until `mended`."""

    def __init__(self) -> None:
        super().__init__()
        self.mended = False
        self.seen_items: list[Any] = []

    def __call__(self, context: Any) -> Outcome:
        super().__call__(context)
        where = context.roots.get("item", context.roots.get("turn"))
        self.seen_items.append((context.step_key, where))
        if context.step_key.startswith("bad") and not self.mended and where in (None, 2, 5, 7):
            return BROKEN
        return Done(where)


@pytest.fixture
def acts() -> Repaired:
    return Repaired()


@pytest.fixture
def busy(house: House, sandbox: Sandbox, acts: Repaired) -> Iterator[None]:
    house.kinds = kinds(told=Told(acts))  # type: ignore[attr-defined]
    with at_work(house, sandbox, house.kinds):  # type: ignore[attr-defined]
        yield


def told(key: str, **more: Any) -> dict[str, Any]:
    """A step that reads what is around it, so that its handler sees it."""
    return step(key, "told", **more)


def retried(house: House, acts: Repaired, raw: dict[str, Any], count: int) -> Run:
    """Run until it fails, mend, retry; the steps that succeeded are not run again."""
    version = house.publish(raw, kinds=house.kinds)  # type: ignore[attr-defined]
    run_id = house.start(version)
    assert house.end_of(run_id).state == "failed"
    blocks = Scope.objects.filter(run=run_id).count()
    acts.mended = True
    retry_run(run_id, house.actor)
    assert house.worker is not None
    house.worker.poke()
    run = house.end_of(run_id)
    assert (run.state, leftovers(run_id), list(breaches(everything=True))) == ("succeeded", {}, [])
    assert StepLog.objects.filter(run=run_id, outcome="S", node__gte=0).count() == count
    assert Scope.objects.filter(run=run_id).count() == blocks
    return run


def test_a_step_in_a_scope(house: House, busy: None, acts: Repaired) -> None:
    raw = document([step("box", "scope"), told("a", parent="box"), told("bad", parent="box")], "a > bad")
    retried(house, acts, raw, 3)
    assert acts.attempts("a") == [1]
    assert acts.attempts("bad") == [1, 2]
    assert len(acts.keys("bad")) == 1


def test_a_step_in_scopes_in_scopes_beside_another_branch(house: House, busy: None, acts: Repaired) -> None:
    raw = document(
        [
            step("box", "scope"),
            step("inner", "scope", parent="box"),
            told("beside", parent="box"),
            told("a", parent="inner"),
            told("bad", parent="inner"),
            told("after"),
        ],
        "a > bad",
        "box > after",
    )
    retried(house, acts, raw, 6)
    assert (acts.attempts("a"), acts.attempts("beside"), acts.attempts("after")) == ([1], [1], [1])


def test_a_turn_of_a_repeat(house: House, busy: None, acts: Repaired) -> None:
    config = {"turns": 5, "until": {"$": "turn == 3"}}
    bad = told("bad", parent="again", config=READS_TURN)
    raw = document([step("again", "repeat", config=config), told("a", parent="again"), bad], "a > bad")
    retried(house, acts, raw, 7)
    assert len(acts.attempts("a")) == 3


READS_TURN = {"note": {"$": "turn"}}
READS_ITEM = {"note": {"$": "item"}}


@pytest.mark.parametrize("slow", [False, True])
def test_the_failed_items_of_a_for_each(house: House, busy: None, acts: Repaired, slow: bool) -> None:
    config = {"items": list(range(10)), "tolerate": {"count": 2}}
    steps = [
        step("each", "for_each", config=config),
        told("a", parent="each"),
        told("bad", parent="each", config=READS_ITEM),
    ]
    if slow:
        steps.append(step("w", "delay", config={"for": "PT0S"}, parent="each"))
    raw = document(steps, "a > bad", *(["w > a"] if slow else []))
    run = retried(house, acts, raw, 21 + 10 * slow)
    # What was under way when the others failed may have acted once more; in the log every success stands once.
    assert output(run) == list(range(10))


def test_a_childs_run_goes_on(house: House, busy: None, acts: Repaired) -> None:
    house.publish(document([told("a"), told("bad")], "a > bad"), slug="child", kinds=house.kinds)  # type: ignore[attr-defined]
    raw = document([told("first"), step("sub", "sub_workflow", config={"workflow": "child"})], "first > sub")
    run = retried(house, acts, raw, 2)
    child = Run.objects.get(parent_run=run)
    assert (child.state, acts.attempts("a"), acts.attempts("bad")) == ("succeeded", [1], [1, 2])
