"""A decision is checked on what was read without a lock; whatever changed before it is written counts all the same."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orchestrator.core.errors import BranchlineError
from orchestrator.models import AuditEntry, Decision, HumanTask, Membership, Run, Token, User
from orchestrator.models.ballot import digest_of
from orchestrator.services import tasks
from orchestrator.services.task_holders import claim_task, reassign_task
from orchestrator.services.task_rows import seen_task
from tests.api.task_house import House, house, woken
from tests.factories import actor_of, make_member

pytestmark = pytest.mark.django_db
__all__ = ["house", "woken"]

Change = Callable[[House, HumanTask], object]


def before_it_is_written(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> list[bool]:
    """Let something happen between the check and the write; tells whether the write went through all the same."""
    went: list[bool] = []
    write = tasks._decide_as_seen

    def changed_first(*args: Any) -> Any:
        change()
        decided = write(*args)
        went.append(decided is not None)
        return decided

    monkeypatch.setattr(tasks, "_decide_as_seen", changed_first)
    return went


def refused(house: House, task: HumanTask) -> str:
    with pytest.raises(BranchlineError) as refusal:
        house.decide(task, house.bob)
    return refusal.value.error_code


def other(house: House) -> User:
    return make_member(house.workspace, "approver")


CHANGES: dict[str, tuple[str, Change]] = {
    "somebody holds it": ("claimed", lambda h, t: claim_task(task_id=t.pk, actor=actor_of(h.workspace, other(h)))),
    "it is for others": (
        "not_eligible",
        lambda h, t: reassign_task(
            task_id=t.pk, actor=actor_of(h.workspace, make_member(h.workspace, "admin")), users=[other(h).username]
        ),
    ),
    "the role is lost": ("not_eligible", lambda h, t: Membership.objects.filter(user=h.bob).update(roles=["viewer"])),
    "the membership is lost": ("not_eligible", lambda h, t: Membership.objects.filter(user=h.bob).delete()),
    "the account is closed": ("not_eligible", lambda h, t: User.objects.filter(pk=h.bob.pk).update(is_active=False)),
    "the token moved on": ("not_waiting", lambda h, t: Token.objects.update(epoch=t.epoch + 1)),
    "the token is awake": ("not_waiting", lambda h, t: Token.objects.update(state="R")),
    "the run is being cancelled": ("not_waiting", lambda h, t: Run.objects.update(control="C")),
}


@pytest.mark.parametrize("name", list(CHANGES))
def test_what_changed_meanwhile_refuses_it(house: House, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    code, change = CHANGES[name]
    task = house.task()
    went = before_it_is_written(monkeypatch, lambda: change(house, task))
    assert refused(house, task) == code
    assert went == [False]
    assert not Decision.objects.exists()
    assert not AuditEntry.objects.filter(action="task.decide", allowed=True).exists()


def test_an_answer_of_another_is_counted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    task = house.task(quorum=2)
    carl = other(house)

    def decide_too() -> None:
        monkeypatch.undo()
        assert not house.decide(task, carl).closed

    went = before_it_is_written(monkeypatch, decide_too)
    decided = house.decide(task, house.bob)
    assert (went, decided.closed, decided.given) == ([False], True, 2)
    assert Token.objects.get(pk=task.token_id).state == "R"


def test_one_person_decides_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    task = house.task(quorum=2)

    def decide_too() -> None:
        monkeypatch.undo()
        house.decide(task, house.bob)

    went = before_it_is_written(monkeypatch, decide_too)
    assert refused(house, task) == "already_decided"
    assert went == [False]
    assert Decision.objects.count() == 1


@pytest.mark.parametrize("quorum", [1, 2])
def test_nothing_changed_and_it_costs_two_statements(house: House, quorum: int) -> None:
    task = house.task(quorum=quorum)
    actor = actor_of(house.workspace, house.bob)
    digest = digest_of(task)
    with CaptureQueriesContext(connection) as asked:
        decided = tasks.decide_task(task_id=task.pk, actor=actor, outcome="approved", values={}, digest=digest)
    assert decided.closed is (quorum == 1)
    assert len(asked) == 2  # what it is checked on, and the decision itself


def test_reading_locks_nothing(house: House) -> None:
    task = house.task()
    with CaptureQueriesContext(connection) as asked:
        seen_task(task.pk, actor_of(house.workspace, house.bob))
    assert "FOR UPDATE" not in str(asked.captured_queries)
