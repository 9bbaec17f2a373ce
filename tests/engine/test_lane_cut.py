"""What a lane has in hand when it is taken away: the log names it, and an undo of the run finds it."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.db.models.functions import Now

from orchestrator.core.outcome import Done, Outcome
from orchestrator.engine import lane, statements
from orchestrator.engine.lease import LANE
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token, UndoItem
from orchestrator.models.scope import BLOCK
from orchestrator.queries.fsck import breaches
from orchestrator.queries.items import items_of
from orchestrator.services.control import cancel_run, fail_overdue_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.undo import undo_run
from tests.engine.drawings import step
from tests.engine.holding import held_at_work
from tests.engine.house import House, leftovers, output
from tests.engine.kinds import Held, Told, kinds
from tests.engine.rows import own_connection, rows
from tests.engine.test_lanes import drawing, place
from tests.waiting import wait_until

A = 11
TOTAL = 33 * lane.BATCH  # so that a lane has more items than it may do before it stores some


class Outside(Told):
    """It acts on the world, and nothing undoes it."""

    effects = "external"


class Deaf:
    """Item 3 is held and hears nothing; every begin is noted."""

    def __init__(self, *, listens: bool = False) -> None:
        self.held = Held(listens=listens)
        self.begun: Counter[int] = Counter()

    def __call__(self, context: Any) -> Outcome:
        self.begun[place(context)] += 1
        return self.held.run(context, context) if place(context) == 3 else Done(place(context))


@contextmanager
def at_work(house: House, sandbox: Sandbox, deaf: Deaf) -> Iterator[UUID]:
    """A run whose lane has item 3 in hand, and three that it has not stored."""
    known = kinds(told=Outside(deaf))
    raw = drawing(TOTAL, step("a", "told"), parallel=1)
    with held_at_work(house, sandbox, deaf.held, known, raw) as (run_id, _):
        yield run_id


def logged(run_id: UUID) -> dict[int, str]:
    """Item -> the outcomes of its step, the first first."""
    rows_ = StepLog.objects.filter(run_id=run_id, node=1).order_by("entry").values_list("scope_id", "outcome")
    found: dict[int, str] = defaultdict(str)
    for scope, outcome in rows_:
        found[scope % BLOCK - 1] += outcome
    return found


def ledger(run_id: UUID) -> dict[int, str]:
    lines = UndoItem.objects.filter(run_id=run_id, node=1).values_list("scope_id", "state")
    return {scope % BLOCK - 1: state for scope, state in lines}


def listed(house: House, run_id: UUID) -> Counter[str]:
    """In which states the list of items has its first 200."""
    return Counter(item.state for item in items_of(house.actor, run_id, "each", {"limit": "200"}).items)


def held_alone(run_id: UUID) -> bool:
    return Token.objects.filter(run_id=run_id, node=1, state="L").exists()


def test_a_deaf_item_stands_alone_once_its_run_is_stopped(house: House, sandbox: Sandbox) -> None:
    deaf = Deaf()
    with at_work(house, sandbox, deaf) as run_id:
        undo_run(run_id, house.actor)
        wait_until(lambda: held_alone(run_id), 10, "the item to have a token of its own")
        assert logged(run_id) == dict.fromkeys(range(3), "S"), "what had ended is stored"
        deaf.held.release.set()
        assert house.end_of(run_id).state == "undone"
        assert logged(run_id) == dict.fromkeys(range(4), "S")
    assert ledger(run_id) == dict.fromkeys(range(4), "irreversible")
    assert (leftovers(run_id), list(breaches())) == ({}, [])


def test_a_deaf_item_that_is_cut_off_is_in_the_ledger(house: House, sandbox: Sandbox) -> None:
    deaf = Deaf()
    with at_work(house, sandbox, deaf) as run_id:
        undo_run(run_id, house.actor)
        wait_until(lambda: held_alone(run_id), 10, "the item to have a token of its own")
        rows("SELECT branchline_stop_cancelled(0, 100)")
        assert house.end_of(run_id).state == "undone"
        assert logged(run_id) == {**dict.fromkeys(range(3), "S"), 3: "K"}
        assert ledger(run_id) == dict.fromkeys(range(4), "irreversible")
        deaf.held.release.set()
        worker = house.worker
        assert worker is not None
        wait_until(lambda: not worker._attempts, 10, "the handler to be let go")
    assert logged(run_id)[3] == "K"
    assert (leftovers(run_id), list(breaches())) == ({}, [])


def test_it_stands_alone_at_the_step_that_it_has_come_to(house: House, sandbox: Sandbox) -> None:
    """What has ended before is stored, and the step follows from that."""
    held = Held(listens=False)
    second = Outside(lambda context: held.run(context, context) if context.step_key == "b" else Done(None))
    raw = drawing(2, step("a", "told"), step("b", "told"), lines=("a > b",), parallel=1)
    with held_at_work(house, sandbox, held, kinds(told=second), raw) as (run_id, _):
        undo_run(run_id, house.actor)
        wait_until(Token.objects.filter(run_id=run_id, node=2, state="L").exists, 10, "the item to have a token")
        [token] = Token.objects.filter(run_id=run_id)
        [before] = StepLog.objects.filter(run_id=run_id, scope_id=token.scope_id)
        assert (before.node, before.outcome, token.cause) == (1, "S", [before.entry])
        held.release.set()
        assert house.end_of(run_id).state == "undone"
    ended = StepLog.objects.filter(run_id=run_id, node__gt=0).order_by("entry").values_list("node", "outcome", "cause")
    assert list(ended) == [(1, "S", before.cause), (2, "S", [before.entry])]
    assert (leftovers(run_id), list(breaches())) == ({}, [])


def test_all_hear_of_their_end_where_one_cannot_be_told_apart(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane.Lane, "let_go", broken)
    held = Held(listens=False)
    raw = drawing(2, step("a", "held"), parallel=2)
    with held_at_work(house, sandbox, held, kinds(held=held), raw) as (run_id, _):
        held.enter()
        worker = house.worker
        assert worker is not None
        attempts = worker._attempts.all()
        undo_run(run_id, house.actor)
        with own_connection() as connection:
            worker._upkeep.see_to(connection)
        assert [attempt.stop.is_set() for attempt in attempts] == [True, True]


def broken(*_: object) -> None:
    raise RuntimeError("as told")


def test_what_is_taken_away_at_once_may_have_acted(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker has no time to say what it has in hand: as much as it may have begun since its last call."""
    monkeypatch.setattr(lane, "PACE", 600.0)
    deaf = Deaf()
    with at_work(house, sandbox, deaf) as run_id:
        cancel_run(run_id, house.actor, hard=True)
        assert house.end_of(run_id).state == "cancelled"
        assert logged(run_id) == dict.fromkeys(range(lane.BATCH), "U")
        assert listed(house, run_id) == {"cancelled": lane.BATCH, "not_begun": 200 - lane.BATCH}
        undo_run(run_id, house.actor)
        assert house.end_of(run_id).state == "undone"
    assert ledger(run_id) == dict.fromkeys(range(lane.BATCH), "irreversible")
    assert (leftovers(run_id), list(breaches())) == ({}, [])


def test_a_retry_does_them_under_their_old_keys(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "PACE", 600.0)
    deaf = Deaf()
    with at_work(house, sandbox, deaf) as run_id:
        with transaction.atomic():
            Run.objects.filter(pk=run_id).update(deadline_at=Now())
            fail_overdue_run(run_id)
            rows(statements.STOP_CANCELLED, 0, 100)
        deaf.held.release.set()
        retry_run(run_id, house.actor)
        run = house.end_of(run_id)
    assert len(output(run)) == TOTAL
    assert logged(run_id) == {item: "US" if item < lane.BATCH else "S" for item in range(TOTAL)}
    assert {row.generation for row in StepLog.objects.filter(run_id=run_id)} == {0}
    assert (leftovers(run_id), list(breaches())) == ({}, [])


def test_a_worker_that_died_may_have_acted(house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run is undone before anybody has taken the lane over."""
    monkeypatch.setattr(lane, "PACE", 600.0)
    with at_work(house, sandbox, Deaf()) as run_id:
        with transaction.atomic():
            Token.objects.filter(run_id=run_id, phase=LANE).update(session_id=A)
            undo_run(run_id, house.actor)
        assert house.end_of(run_id).state == "undone"
        found = logged(run_id)
    assert set(found.values()) == {"U"}
    assert found.keys() == set(range(lane.BATCH))
    assert ledger(run_id) == dict.fromkeys(found, "irreversible")
    assert (leftovers(run_id), list(breaches())) == ({}, [])
