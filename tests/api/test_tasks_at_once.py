"""Of what is decided at the same time, exactly one counts."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest
from django.db import connections, transaction

from orchestrator.core.errors import BranchlineError
from orchestrator.models import Decision, Token
from orchestrator.models.task import TaskState
from orchestrator.services.control import cancel_run
from tests.api.task_house import House, house, woken
from tests.factories import actor_of, make_member

__all__ = ["house", "woken"]


def race(attempts: Sequence[Callable[[], object]]) -> Counter[str]:
    """Run all at once, each on a connection of its own; how often each outcome (or code) came."""
    barrier = Barrier(len(attempts))

    def one(attempt: Callable[[], object]) -> str:
        try:
            barrier.wait(30)
            attempt()
        except BranchlineError as error:
            return error.error_code
        finally:
            connections.close_all()
        return "done"

    with ThreadPoolExecutor(len(attempts)) as pool:
        return Counter(pool.map(one, attempts))


@pytest.mark.django_db(transaction=True)
def test_of_fifty_decisions_at_once_exactly_one_counts():
    house = House()
    people = [make_member(house.workspace, "approver") for _ in range(50)]
    for _ in range(3):
        task = house.task()
        attempts = [
            lambda person=person, task=task, outcome=outcome: house.decide(task, person, outcome=outcome)
            for person, outcome in zip(people, ["approved", "rejected"] * 25, strict=True)
        ]
        assert race(attempts) == {"done": 1, "not_waiting": 49}
        task.refresh_from_db()
        assert task.decisions.count() == 1
        token = Token.objects.get(pk=task.token_id)
        assert token.epoch == task.epoch + 1  # woken once
        assert token.signal is not None
        assert token.signal["outcome"] == task.outcome == task.decisions.get().outcome


@pytest.mark.django_db(transaction=True)
def test_the_same_person_twice_at_once_counts_once():
    house = House()
    task = house.task(quorum=3)
    found = race([lambda: house.decide(task, house.bob)] * 20)
    assert found == {"done": 1, "already_decided": 19}


@pytest.mark.django_db(transaction=True)
def test_a_decision_and_a_cancellation_at_once_agree():
    house = House()
    operator = actor_of(house.workspace, house.requester)
    for _ in range(10):
        task = house.task()
        found = race(
            [
                partial(house.decide, task, house.bob),
                partial(cancel_run, task.run_id, operator),
            ]
        )
        task.refresh_from_db()
        # Whichever came first: the task tells the same story as the decision's answer, and no token is left.
        assert found["done"] + found["not_waiting"] == 2
        assert task.state == (TaskState.DONE if found["done"] == 2 else TaskState.CANCELLED)
        assert task.decisions.count() == found["done"] - 1
        assert not Token.objects.filter(run_id=task.run_id).exists()


@pytest.mark.django_db(transaction=True)
def test_a_decision_that_rolls_back_leaves_nothing():
    house = House()
    task = house.task()

    def decide_then_fail() -> None:
        with transaction.atomic():
            house.decide(task, house.bob)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        decide_then_fail()
    task.refresh_from_db()
    assert task.state == TaskState.OPEN
    assert Token.objects.get(pk=task.token_id).state == "W"
    assert not Decision.objects.exists()
