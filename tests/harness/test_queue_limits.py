"""I19: claims of a limited queue at the same moment, and a place given back while somebody finds none."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from orchestrator.engine import statements
from orchestrator.models import QueueLimit, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.queue_limits import Rate, set_queue_limit
from tests.engine.drawings import document, step
from tests.engine.house import House, make_house
from tests.engine.rows import claim, finish, own_connection, rows
from tests.harness.faults import Breached
from tests.harness.mutants import mutated
from tests.harness.test_interleaved import A, B, Second, at_the_same_time, take


def begin(house: House, steps: int, concurrency: int | None = None, rate: Rate | None = None) -> QueueLimit:
    house.start(house.publish(document([step(f"s{number}") for number in range(steps)])))
    return set_queue_limit(actor=house.actor, queue="default", concurrency=concurrency, rate=rate)


def two_claims(what: str) -> None:
    """Of a line in which one may begin."""
    with at_the_same_time(take(A, 1), take(B, 1)) as (mine, theirs, _state):
        if len(leased := [*mine, *theirs.rows]) != 1:
            raise Breached("I19 limits of queues hold", f"one {what}, leased {[row['id'] for row in leased]}")


def two_claims_and_one_place(house: House) -> None:
    found = begin(house, 6, concurrency=1)
    (lease,) = claim(A)
    finish(A, lease)
    rows(statements.GIVE_BACK, found.pk)
    two_claims("place")


def two_claims_and_one_start(house: House) -> None:
    begin(house, 6, rate=Rate(starts=1, period=3_600))
    claim(A)
    hour = timedelta(hours=1)
    QueueLimit.objects.update(used_until=F("used_until") - hour, next_at=F("next_at") - hour)
    two_claims("start")


def a_place_given_back_while_another_lines_up(house: House) -> None:
    """The claim has found no place and not committed; whoever gives one back must see who lines up by it."""
    found = begin(house, 1, concurrency=1)
    (lease,) = claim(A)
    house.start(house.publish(document([step("late")])))
    with own_connection("claimer") as database, own_connection("observer") as observer:
        with database.transaction():
            assert database.execute(statements.CLAIM, (B, ["default"], 9, True)).fetchall() == []
            finish(A, lease)
            giving = Second(statements.GIVE_BACK, found.pk)
            state = giving.state(observer)
        answer = giving.end()
    if not answer[0]["opened"]:
        raise Breached("I19 free places are given", f"nobody is told of the free place ({state})")
    assert len(claim(B, 9)) == 1


SCENES = [two_claims_and_one_place, two_claims_and_one_start, a_place_given_back_while_another_lines_up]


@pytest.mark.parametrize("scene", SCENES)
def test_calls_at_the_same_time(house: House, scene: Any) -> None:
    scene(house)
    assert [breach for breach in breaches() if breach.invariant.name.startswith("I19")] == []


def test_claims_of_another_workspace_do_not_wait(house: House) -> None:
    """A limit on a queue of the same name is nothing to them."""
    begin(house, 2, concurrency=1)
    other = make_house()
    other.start(other.publish(document([step("a"), step("b")])))
    claim(A)  # ours now stand in line, and nobody has a place for them
    with at_the_same_time(take(A, 1), take(B, 1)) as (mine, theirs, state):
        assert (len(mine), len(theirs.rows), state) == (1, 1, "done")


NO_LOCK = ("ORDER BY l.id FOR UPDATE", "ORDER BY l.id")
#: mutant -> the function, what it says instead, and the scenes of which each must see it
MUTANTS = {
    "the limit is checked without its lock": ("branchline_lock_lines", NO_LOCK, SCENES[:2]),
    "a place is given back without the lock": (
        "branchline_give_back",
        ("WHERE l.id = p_limit FOR UPDATE", "WHERE l.id = p_limit"),
        SCENES[2:],
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_without_the_lock_it_is_seen(house: House, name: str) -> None:
    function, change, scenes = MUTANTS[name]
    for scene in scenes:
        with mutated(function, change), pytest.raises(Breached, match="I19"):
            scene(house)
        Token.objects.all().delete()
        QueueLimit.objects.all().delete()
