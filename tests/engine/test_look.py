"""A poke is followed by a claim on the thread that heard it; nothing of it is lost when it cannot be."""

import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from orchestrator.engine import claiming, worker
from orchestrator.engine.claiming import Claimer
from orchestrator.engine.sandbox import Sandbox
from orchestrator.engine.worker import Worker
from orchestrator.models import Token
from tests.engine.drawings import document, step
from tests.engine.house import House, make_tools, worker_at_work


class Seen(Claimer):
    """Remembers which thread claimed, and fails as often as it is told to."""

    def __init__(self, *args: Any, **more: Any) -> None:
        self.claimed_by: list[str] = []
        self.failures = 0
        super().__init__(*args, **more)

    def claim_once(self) -> bool:
        self.claimed_by.append(threading.current_thread().name)
        if self.failures:
            self.failures -= 1
            raise psycopg.OperationalError("gone")
        return super().claim_once()


@pytest.fixture
def seen(house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """A worker's, that hears of work by `look` only: it never looks unasked."""
    monkeypatch.setattr(claiming, "IDLE_LOOK", 3_600.0)
    monkeypatch.setattr(worker, "Claimer", Seen)
    with worker_at_work(make_tools(sandbox)) as made:
        yield claimer_of(made)


def claimer_of(made: Worker) -> Seen:
    assert isinstance(made._claimer, Seen)
    return made._claimer


def test_who_hears_of_work_claims_it(house: House, seen: Seen) -> None:
    run_id = house.start(house.publish(document([step("a")])))
    seen.look()
    assert seen.claimed_by[0] == threading.current_thread().name
    assert not Token.objects.filter(run_id=run_id, state="R").exists()
    assert house.end_of(run_id).state == "succeeded"


def test_a_claim_under_way_is_followed_by_another(house: House, seen: Seen) -> None:
    version = house.publish(document([step("a")]))
    with seen._claiming:
        run_id = house.start(version)
        seen.look()
        assert seen.claimed_by == []
    assert house.end_of(run_id).state == "succeeded"
    assert set(seen.claimed_by) == {"claimer"}


def test_a_claim_that_fails_is_made_again(house: House, seen: Seen) -> None:
    version = house.publish(document([step("a")]))
    seen.failures = 1
    run_id = house.start(version)
    seen.look()
    assert house.end_of(run_id).state == "succeeded"
    assert seen.claimed_by[:2] == [threading.current_thread().name, "claimer"]


def test_a_stopped_worker_claims_nothing(house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "Claimer", Seen)
    stopped = Worker(uuid4(), ("default",), make_tools(sandbox))
    stopped.start()
    stopped.stop(grace=5)
    run_id = house.start(house.publish(document([step("a")])))
    before = list(claimer_of(stopped).claimed_by)
    stopped.look()
    assert claimer_of(stopped).claimed_by == before
    assert Token.objects.get(run_id=run_id).state == "R"
    assert not claimer_of(stopped)._thread.is_alive()
