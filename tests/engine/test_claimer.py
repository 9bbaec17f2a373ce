"""A process that is behind with its commits takes up no more work, and goes on as soon as it has caught up."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.engine.attempts import Attempts
from orchestrator.engine.claiming import Claimer
from orchestrator.engine.committer import BEHIND, Committer
from orchestrator.engine.slots import Slots
from tests.engine.rows import beat

SESSION = 5
PATIENCE = 10


class Commits(Committer):
    """Answers `is_behind` as it is told, one answer after another; then the last one for ever."""

    def __init__(self, *answers: bool) -> None:
        super().__init__(SESSION, lambda queues: None)
        self.answers = list(answers)

    @property
    def is_behind(self) -> bool:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def slots() -> Iterator[Slots]:
    made = Slots(2, lambda: None)
    yield made
    made.stop()


def claimer(slots: Slots, commits: Commits) -> Claimer:
    nothing: Any = lambda lease: None  # noqa: E731
    return Claimer(SESSION, ["default"], slots, Attempts(), commits, begin=nothing, began=nothing)


def claims(made: Claimer) -> bool:
    """Whether it asks PostgreSQL."""
    made._connection.get = lambda: pytest.fail("claimed")  # type: ignore[method-assign]
    try:
        made.claim_once()
    except pytest.fail.Exception:
        return True
    return False


def test_it_claims_nothing_while_commits_wait(slots: Slots) -> None:
    commits = Commits(True)
    made = claimer(slots, commits)
    assert not claims(made)
    made.committed()
    assert not made._poked.is_set(), "too many wait even now"
    commits.answers = [False]
    made.committed()
    assert made._poked.is_set()
    assert claims(made)
    made._poked.clear()
    made.committed()
    assert not made._poked.is_set(), "it does not wait for commits"


def test_it_is_not_left_waiting_for_what_was_committed_just_then(slots: Slots) -> None:
    """The last commit came between the look and the wait: nobody would tell of it any more."""
    assert claims(claimer(slots, Commits(True, False)))


def test_a_committer_is_behind_when_many_wait_and_tells_of_each_commit(transactional_db: None) -> None:
    told, heard = threading.Event(), threading.Semaphore(0)
    beat(SESSION)
    committer = Committer(SESSION, lambda queues: None, told.set)
    committer._busy = True  # a commit is under way
    for number in range(BEHIND):
        assert not committer.is_behind
        committer.submit({"t": number, "e": 1, "then": "back"}, lambda row, error: heard.release())
    assert committer.is_behind
    with committer._changed:
        committer._busy = False
        committer._changed.notify_all()
    for _ in range(BEHIND):
        assert heard.acquire(timeout=PATIENCE)
    assert told.is_set()
    committer.close()
