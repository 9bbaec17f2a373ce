"""What a worker process sees to each second: one call that writes nothing unless its session was lost."""

import os
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F

from orchestrator.engine import statements
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.attempts import Attempts
from orchestrator.engine.identity import new_session_id
from orchestrator.engine.upkeep import Upkeep
from orchestrator.models import Run, Token, WorkerSession
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import claim, own_connection, rows


class Sent:
    """Stands where the committer stands."""

    def __init__(self) -> None:
        self.session_id = new_session_id()
        self.items: list[Any] = []

    def advance(self, item: Any) -> None:
        self.items.append(item)


class Kept:
    """Upkeep of a process without threads, and what came of it."""

    def __init__(self) -> None:
        self.sent = Sent()
        self.attempts = Attempts()
        self.stopped: list[Attempt] = []
        committer: Any = self.sent
        self.upkeep = Upkeep(uuid4(), ["default"], self.attempts, committer, self.stopped.append)

    def at_work(self, token: Token, *, node: int = 0, epoch: int = 0) -> Attempt:
        lease: Any = SimpleNamespace(token_id=token.pk, epoch=token.epoch + epoch, node=node)
        attempt = Attempt(lease=lease)
        self.attempts.put(attempt)
        return attempt

    def see_to(self) -> None:
        with own_connection() as opened:
            self.upkeep.see_to(opened)


@pytest.fixture
def kept(transactional_db: None) -> Kept:
    return Kept()


def leased(house: House, kept: Kept) -> Token:
    """A run whose first step is leased to the session."""
    run_id = house.start(house.publish(document([step("a")])))
    kept.see_to()
    assert claim(kept.sent.session_id)
    return Token.objects.get(run_id=run_id)


def test_a_session_that_was_lost_is_known_again(kept: Kept) -> None:
    for _ in range(2):
        kept.see_to()
        [session] = WorkerSession.objects.filter(pk=kept.sent.session_id).values("pid", "queues")
        assert session == {"pid": os.getpid(), "queues": ["default"]}
        WorkerSession.objects.all().delete()


def test_a_session_that_is_known_is_not_written_again(kept: Kept) -> None:
    kept.see_to()
    before = WorkerSession.objects.values().get()
    with own_connection() as opened, opened.transaction():
        opened.execute(statements.LOOK_AFTER, (*kept.upkeep._about(), kept.sent.session_id))
        [row] = opened.execute("SELECT pg_current_xact_id_if_assigned() AS xid").fetchall()
    assert row["xid"] is None, "nothing to commit, so nothing to flush"
    assert WorkerSession.objects.values().get() == before


def test_what_is_at_work_as_it_should_be_is_left_alone(house: House, kept: Kept) -> None:
    kept.at_work(leased(house, kept))
    kept.see_to()
    assert (kept.stopped, kept.sent.items) == ([], [])


@pytest.mark.parametrize("change", [{"session_id": 1}, {"state": "R", "session_id": None}])
def test_an_attempt_whose_token_was_taken_is_stopped(house: House, kept: Kept, change: dict[str, Any]) -> None:
    token = leased(house, kept)
    attempt = kept.at_work(token, epoch=1)
    Token.objects.update(**change, epoch=F("epoch") + 1)
    kept.see_to()
    assert kept.stopped == [attempt]


def test_an_attempt_whose_token_moved_on_without_it_is_stopped(house: House, kept: Kept) -> None:
    attempt = kept.at_work(leased(house, kept), epoch=-1)
    kept.see_to()
    assert kept.stopped == [attempt]


@pytest.mark.parametrize(("control", "node", "hears"), [("C", 0, True), ("P", 0, False), ("C", -1, False)])
def test_steps_of_a_run_that_is_cancelled_hear_of_it_and_its_undos_do_not(
    house: House, kept: Kept, control: str, node: int, hears: bool
) -> None:
    attempt = kept.at_work(leased(house, kept), node=node)
    Run.objects.update(control=control)
    kept.see_to()
    assert kept.stopped == ([attempt] if hears else [])


@pytest.mark.parametrize(("age", "at_work", "returned"), [(6, False, True), (6, True, False), (4, False, False)])
def test_only_an_old_lease_that_nobody_is_at_work_on_is_given_back(
    house: House, kept: Kept, age: int, at_work: bool, returned: bool
) -> None:
    token = leased(house, kept)
    rows("UPDATE orchestrator_token SET started_at = clock_timestamp() - make_interval(secs => %s) RETURNING id", age)
    if at_work:
        kept.at_work(token)
    kept.see_to()
    assert kept.sent.items == ([{"t": token.pk, "e": token.epoch, "then": "back", "stray": True}] if returned else [])


def test_what_could_not_be_stored_is_said_when_its_token_is_given_back_and_then_forgotten(
    house: House, kept: Kept
) -> None:
    token = leased(house, kept)
    item = {"t": token.pk, "e": token.epoch, "then": "back", "o": "U"}
    kept.attempts.leave(item)
    kept.attempts.leave({**item, "e": token.epoch - 1})
    kept.see_to()
    assert (kept.sent.items, list(kept.attempts.left())) == ([], [(token.pk, token.epoch)]), "of one that is ours"
    rows("UPDATE orchestrator_token SET started_at = started_at - interval '6 seconds' RETURNING id")
    kept.see_to()
    assert (kept.sent.items, dict(kept.attempts.left())) == ([item], {})
