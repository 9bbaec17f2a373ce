"""Drawings whose steps inside containers do what a test says, and what became of them."""

from collections.abc import Iterator
from threading import Event
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from orchestrator.core.outcome import Done, Fail, Outcome, StepFault
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.rerun import rerun_step
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers
from tests.engine.kinds import Told, kinds
from tests.engine.switched import again, at_work
from tests.waiting import wait_until

if TYPE_CHECKING:
    from threading import Barrier

ITEM = {"config": {"note": {"$": "item"}}}
TURN = {"config": {"note": {"$": "turn"}}}


class Acts:
    """Steps of kind `told` give their key, where they stand and a count of their calls; some fail as told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any, str]] = []
        self.failing: set[tuple[str, Any]] = set()
        #: Those that fail wait for this, so that none is cut short: for each other, or for what is at work beside them.
        self.together: Barrier | Event | None = None

    def __call__(self, context: Any) -> Outcome:
        where = context.roots.get("item", context.roots.get("turn"))
        self.seen.append((context.step_key, where, context.idempotency_key))
        if (context.step_key, where) in self.failing:
            if self.together is not None:
                self.together.wait(10)
            return Fail(StepFault(code="broken", message="as told"))
        return Done(f"{context.step_key}{'' if where is None else where}.{self.count(context.step_key, where)}")

    def count(self, key: str, where: Any = None) -> int:
        return sum(1 for one in self.seen if one[:2] == (key, where))

    def keys(self, key: str) -> list[str]:
        return [one[2] for one in self.seen if one[0] == key]


@pytest.fixture
def acts() -> Acts:
    return Acts()


@pytest.fixture
def busy(house: House, sandbox: Sandbox, acts: Acts) -> Iterator[None]:
    house.kinds = kinds(told=Told(acts))  # type: ignore[attr-defined]
    with at_work(house, sandbox, house.kinds):  # type: ignore[attr-defined]
        yield


def told(key: str, **more: Any) -> dict[str, Any]:
    return step(key, "told", **more)


def started(house: House, raw: dict[str, Any]) -> UUID:
    return house.start(house.publish(raw, kinds=house.kinds))  # type: ignore[attr-defined]


def node_of(run_id: UUID, key: str) -> int:
    return int(Run.objects.select_related("version").get(pk=run_id).version.plan["keys"].index(key))


def places(run_id: UUID, key: str) -> list[int]:
    """The scopes in which the step has a row, in order."""
    rows = StepLog.objects.filter(run_id=run_id, node=node_of(run_id, key))
    return sorted(set(rows.values_list("scope_id", flat=True)))


def ended(house: House, run_id: UUID, state: str) -> Run:
    """The run once it has ended so, and who was at work in it has heard of that."""
    run = house.end_of(run_id)
    assert run.state == state, run.error
    wait_until(lambda: leftovers(run_id) == {}, 20, "workers to hear of the end")
    assert list(breaches()) == []
    return run


def failed_together(house: House, raw: dict[str, Any]) -> UUID:
    """A run in which two items have failed; the worker of the later one has heard of the end, too."""
    run_id = started(house, raw)
    assert house.end_of(run_id).state == "failed"
    failed = StepLog.objects.filter(run_id=run_id, outcome="F").exclude(scope_id=0)
    wait_until(lambda: failed.count() == 2 and leftovers(run_id) == {}, 20, "both to fail")
    return run_id


def failed_last(house: House, acts: Acts, raw: dict[str, Any], *, others: int) -> UUID:
    """A run whose one failing item has failed once so many others had come to their end."""
    acts.together = Event()
    run_id = started(house, raw)
    through = StepLog.objects.filter(run_id=run_id, node=node_of(run_id, "c"), outcome="S")
    wait_until(lambda: through.count() >= others, 10, "the other items to end")
    acts.together.set()
    ended(house, run_id, "failed")
    return run_id


def rerun(house: House, run_id: UUID, key: str, scope: int | None = None, **more: Any) -> None:
    again(house, lambda: rerun_step(run_id, key, house.actor, "why", scope=scope, **more))


def for_each(items: int = 3, slow: bool = False, **config: Any) -> dict[str, Any]:
    """first > each(a > b > c) > last"""
    steps = [
        told("first"),
        step("each", "for_each", config={"items": list(range(items)), **config}),
        told("last"),
        *(told(key, parent="each", **ITEM) for key in "abc"),
    ]
    if slow:
        steps.append(step("w", "delay", config={"for": "PT0S"}, parent="each"))
    return document(steps, "first > each > last", "a > b > c", *(["w > a"] if slow else []))


def nested() -> dict[str, Any]:
    """first > outer( a > inner( b > box( c > d ), e ) > f ) > last, the containers for-eaches and a scope."""
    steps = [
        told("first"),
        step("outer", "for_each", config={"items": [10, 20]}),
        told("last"),
        told("a", parent="outer", **ITEM),
        step("inner", "for_each", parent="outer", config={"items": {"$": "[item + 1, item + 2]"}}),
        told("f", parent="outer", **ITEM),
        told("b", parent="inner", **ITEM),
        step("box", "scope", parent="inner"),
        told("e", parent="inner", **ITEM),
        told("c", parent="box", **ITEM),
        told("d", parent="box", **ITEM),
    ]
    return document(steps, "first > outer > last", "a > inner > f", "b > box", "c > d")


HOUR = {"for": "PT1H"}


def waits_in(run_id: UUID, key: str, count: int) -> list[int]:
    """Where the step waits, once it does so often."""
    waiting = Token.objects.filter(run_id=run_id, node=node_of(run_id, key), state="W").exclude(phase=2)
    wait_until(lambda: waiting.count() == count, 20, f"{count} to wait")
    return sorted(waiting.values_list("scope_id", flat=True))
