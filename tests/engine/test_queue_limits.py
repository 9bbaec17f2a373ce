"""Limits of queues as rows: who begins, who stands in line, who hears of a free place."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from orchestrator.engine import statements
from orchestrator.models import QueueLimit, StepLog, Token
from orchestrator.queries.queues import queues_for_actor
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.queue_limits import Rate
from tests.engine.house import House, make_house
from tests.engine.lines import A, B, begin, give_back, go, in_line, limit, line, park, sessions, settle
from tests.engine.rows import claim, finish, rows, take_over

__all__ = ["sessions"]


def test_no_more_are_leased_than_the_limit_whoever_claims(house: House) -> None:
    limit(house, 3)
    begin(house, *"abcdefgh")
    assert [len(claim(A, 2)), len(claim(B, 10)), len(claim(A, 10))] == [2, 1, 0]
    assert (Token.objects.filter(state="L").count(), in_line(), line()) == (3, 5, "F")


def test_one_claim_takes_all_that_may_begin(house: House) -> None:
    limit(house, 5)
    begin(house, *"abcdefgh")
    assert len(claim(A, 8)) == 5


def test_a_line_is_open_while_there_are_more_places_than_hands(house: House) -> None:
    limit(house, 7)
    begin(house, *"abcdefgh")
    assert len(claim(A, 2)) == 2
    assert line() == "O"
    assert len(claim(B, 9)) == 5


def test_a_free_place_goes_to_who_came_first(house: House) -> None:
    found = limit(house, 1)
    runs = [begin(house, "a") for _ in range(3)]
    (lease,) = claim(A, 9)
    late = begin(house, "a")
    order = [lease["run_id"]]
    for _ in range(3):
        finish(A, lease)
        assert give_back(found)
        (lease,) = claim(A, 9)
        order.append(lease["run_id"])
    assert order == [*runs, late]
    assert line() == "-"


def test_nobody_is_told_of_a_place_that_nobody_waits_for(house: House) -> None:
    found = limit(house, 2)
    begin(house, "a")
    (lease,) = claim(A)
    finish(A, lease)
    assert not give_back(found)


def test_a_higher_priority_goes_first_in_line_and_beside_it(house: House) -> None:
    limit(house, 1)
    other = make_house()
    plain, urgent = begin(house, "a"), begin(house, "a", priority=90)
    theirs, first = begin(other, "a"), begin(other, "a", priority=95)
    assert [lease["run_id"] for lease in claim(A, 1)] == [first]
    assert [lease["run_id"] for lease in claim(A, 9)] == [urgent, theirs]
    assert Token.objects.get(run_id=plain).state == "R"


def test_a_limit_is_one_workspaces(house: House) -> None:
    limit(house, 1)
    other = make_house()
    begin(house, *"abc")
    theirs = begin(other, *"defg")
    assert len(claim(A, 10)) == 5
    assert Token.objects.filter(run_id=theirs, queue_limit_id__isnull=False).count() == 0


def test_a_long_line_is_in_nobodys_way(house: House) -> None:
    limit(house, 1)
    for _ in range(4):
        begin(house, *(f"s{number}" for number in range(300)))
    other = make_house()
    begin(other, "a")
    assert len(claim(A, 3)) == 2  # one of ours, and the one behind 1,199 others
    assert in_line() == 1_199
    assert claim(A, 3) == []


def test_a_step_that_follows_in_a_limited_queue_takes_its_turn(house: House) -> None:
    found = limit(house, 1)
    first = begin(house, "a", "b", lines="a > b")
    second = begin(house, "c")
    (lease,) = claim(A, 9)
    assert go(lease) == ("ready", ["default"])
    assert give_back(found)
    (other,) = claim(B, 9)
    assert (lease["run_id"], other["run_id"]) == (first, second)
    finish(B, other)
    assert give_back(found)
    (again,) = claim(A, 9)
    assert (again["run_id"], again["node"], again["attempt"]) == (first, 1, 1)


def test_without_a_limit_it_stays_in_its_workers_hands(house: House) -> None:
    begin(house, "a", "b", lines="a > b")
    (lease,) = claim(A, 9)
    assert lease["queue_limit_id"] is None
    assert go(lease) == ("moved", [])


def test_a_paused_step_that_follows_is_held_without_a_place(house: House) -> None:
    found = limit(house, 1)
    run_id = begin(house, "a", "b", lines="a > b")
    (lease,) = claim(A, 9)
    pause_run(run_id, house.actor)
    assert go(lease)[0] == "held"
    assert Token.objects.get().queue_limit_id is None
    begin(house, "c")
    assert len(claim(A, 9)) == 1
    assert not give_back(found)


def test_who_waits_holds_no_place(house: House) -> None:
    found = limit(house, 1)
    begin(house, "a")
    begin(house, "b")
    (lease,) = claim(A, 9)
    park(lease, "wait")
    assert Token.objects.get(pk=lease["id"]).queue_limit_id is None
    assert give_back(found)
    (resumed,) = claim(A, 9)  # what has begun goes on before what has not
    assert (resumed["id"], resumed["attempt"]) == (lease["id"], 1)


def test_who_is_tried_again_stands_in_line_again(house: House) -> None:
    found = limit(house, 1)
    begin(house, "a")
    begin(house, "b")
    (lease,) = claim(A, 9)
    park(lease, "retry")
    assert give_back(found)
    (other,) = claim(A, 9)
    assert other["run_id"] != lease["run_id"]
    finish(A, other)
    assert give_back(found)
    (again,) = claim(A, 9)
    assert (again["id"], again["attempt"]) == (lease["id"], 2)


def test_what_is_handed_back_stands_in_line_again(house: House) -> None:
    found = limit(house, 1)
    begin(house, "a")
    (lease,) = claim(A, 9)
    rows(statements.ADVANCE, A, json.dumps([{"t": lease["id"], "e": lease["epoch"], "then": "back"}]))
    assert not give_back(found)
    assert len(claim(B, 9)) == 1


def test_the_place_of_a_dead_worker_is_given_by_the_keeper(house: House) -> None:
    limit(house, 1)
    begin(house, "a")
    claim(33, 9)  # a session without a row is dead
    waiting = begin(house, "b")
    assert claim(A, 9) == []
    take_over()
    assert settle() == ["default"]
    assert [lease["run_id"] for lease in claim(A, 9)] == [waiting]


def test_a_cancelled_run_leaves_the_line_and_its_place(house: House) -> None:
    limit(house, 1)
    at_work, waiting, last = begin(house, "a"), begin(house, "b"), begin(house, "c")
    (lease,) = claim(A, 9)
    cancel_run(waiting, house.actor)
    cancel_run(at_work, house.actor)
    assert finish(A, lease) == "cancelled"
    assert settle() == ["default"]  # nobody told of the place
    assert [one["run_id"] for one in claim(A, 9)] == [last]


def test_a_paused_run_loses_its_turn_not_its_step(house: House) -> None:
    found = limit(house, 1)
    begin(house, "a")
    paused, other = begin(house, "b"), begin(house, "c")
    (lease,) = claim(A, 9)
    pause_run(paused, house.actor)
    finish(A, lease)
    assert give_back(found)
    (lease,) = claim(A, 9)
    assert lease["run_id"] == other
    resume_run(paused, house.actor)
    assert claim(A, 9) == []
    finish(A, lease)
    assert give_back(found)
    assert [one["run_id"] for one in claim(A, 9)] == [paused]


def test_a_suspect_is_passed_over_by_who_has_one(house: House) -> None:
    limit(house, 1)
    begin(house, "a")
    Token.objects.update(lost=2)
    begin(house, "b")
    (lease,) = claim(A, 9, suspects=False)
    assert lease["lost"] == 0
    assert claim(B, 9) == []
    assert finish(A, lease) == "parked"


def test_rows_cannot_say_what_cannot_be(house: House) -> None:
    found = limit(house, 1)
    begin(house, "a")
    for state in ("W", "H", "F"):
        with pytest.raises(IntegrityError), transaction.atomic():
            Token.objects.update(state=state, queue_limit_id=found.pk)
    for wrong in ({"concurrency": None}, {"concurrency": 0}, {"starts": 1}, {"line": "T"}, {"line": "x"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            QueueLimit.objects.update(**wrong)


def test_the_log_has_one_row_for_each_step(house: House) -> None:
    found = limit(house, 2)
    run_id = begin(house, *"abcdefg")
    while leases := claim(A, 9):
        for lease in leases:
            finish(A, lease)
            give_back(found)
    assert StepLog.objects.filter(run_id=run_id).count() == 7


@pytest.mark.parametrize("phase", ["k.phase = 0", "k.phase > 0"])
def test_the_head_of_a_line_is_found_by_its_index(phase: str) -> None:
    """Whoever asks ten times a second must not read a line of ten thousand."""
    head = f"""EXPLAIN SELECT k.id FROM orchestrator_token k
        WHERE k.queue_limit_id = 1 AND k.state = 'R' AND {phase} AND (true OR k.lost < 2)
        ORDER BY k.priority, k.ready_at, k.id FOR UPDATE SKIP LOCKED LIMIT 5"""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(head)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "token_by_queue_limit" in plan, plan
    assert ("Sort" in plan) == (phase == "k.phase > 0"), plan  # of those there are few


def test_all_queues_are_read_by_one_statement(house: House, django_assert_num_queries: Any) -> None:
    limit(house, 1)
    begin(house, *"abc")
    claim(A, 9)
    with django_assert_num_queries(1):
        (queue,) = queues_for_actor(house.actor)
    assert (queue.name, queue.concurrency, queue.at_work, queue.in_line) == ("default", 1, 1, 2)


def test_the_next_start_is_a_period_after_the_last_one_as_logged(house: House) -> None:
    found = limit(house, rate=Rate(starts=20, period=1))
    begin(house, *"ab")
    (lease,) = claim(A, 2)
    found.refresh_from_db()
    began = Token.objects.get(pk=lease["id"]).started_at
    assert began is not None
    assert found.used_until == began + timedelta(milliseconds=50)
