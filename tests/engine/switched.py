"""Runs whose steps of kind `told` fail or succeed as a switch says, with a worker and a keeper at work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from orchestrator.core.kinds import Kinds
from orchestrator.core.outcome import Done, Fail, Outcome, StepFault
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run
from orchestrator.queries.fsck import breaches
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, leftovers, make_tools, worker_at_work

ONCE = {"attempts": 1}


class Switch:
    """What the steps of kind `told` do, by key; every attempt is noted."""

    def __init__(self, **answers: Callable[[Any], Outcome]) -> None:
        self.answers = answers
        self.seen: list[tuple[str, int, str]] = []

    def __call__(self, context: Any) -> Outcome:
        self.seen.append((context.step_key, context.attempt, context.idempotency_key))
        answer = self.answers.get(context.step_key)
        return answer(context) if answer else Done(context.step_key)

    def attempts(self, key: str) -> list[int]:
        return [attempt for step_key, attempt, _ in self.seen if step_key == key]

    def keys(self, key: str) -> set[str]:
        return {idempotency for step_key, _, idempotency in self.seen if step_key == key}


def fails(context: Any) -> Outcome:
    return Fail(StepFault(code="broken", message="as told"))


def told(key: str, **more: Any) -> dict[str, Any]:
    return step(key, "told", **more)


@contextmanager
def at_work(house: House, sandbox: Sandbox, known: Kinds) -> Iterator[None]:
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke):
        yield


def again(house: House, change: Callable[[], Any]) -> Any:
    done = change()
    assert house.worker is not None
    house.worker.poke()  # what the wake-up does to a worker process
    return done


def ended(house: House, run_id: UUID, state: str) -> Run:
    run = house.end_of(run_id)
    assert run.state == state, run.error
    assert leftovers(run_id) == {}
    assert list(breaches()) == []
    return run


DIAMOND = document([told("a"), told("b"), told("c"), told("d"), told("e")], "a > b > d > e", "a > c > d")
