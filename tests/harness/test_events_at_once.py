"""Who publishes and who begins to wait, at the same time: neither misses the other (I12)."""

import json
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from orchestrator.engine import statements
from orchestrator.models import Delivery, Event, Token
from orchestrator.queries.fsck import breaches
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import beat, claim, own_connection, rows
from tests.harness.faults import Breached
from tests.harness.mutants import mutated
from tests.harness.test_interleaved import Second, at_the_same_time

A, B = 11, 22
PUBLISH = "SELECT event, duplicate, reached, queues, runs, more FROM branchline_publish(%s::bigint, %s::jsonb)"
PAIRS = 300
#: What who waits takes: the event's key, or any.
KEYS = ("17", None)
NO_TOPIC_LOCK = ("IF l.alone THEN", "IF false THEN"), ("PERFORM pg_advisory_xact_lock_shared(l.number)", "NULL")


def begin(house: House, count: int = 1) -> tuple[UUID, list[dict[str, Any]]]:
    """A run whose steps are about to wait: each is in the hands of session A."""
    steps = [step(f"s{number}", "wait_event", config={"type": "paid"}) for number in range(count)]
    run_id = house.start(house.publish(document(steps)))
    beat(A)
    return run_id, claim(A, count)


def waits(house: House, lease: dict[str, Any], key: str | None = "17", **more: Any) -> tuple[Any, ...]:
    """The call by which the step of this lease begins to wait, or goes on waiting."""
    topic = f"{house.workspace.pk}/paid" + ("" if key is None else f"#{key}")
    item = {
        "t": lease["id"], "e": lease["epoch"], "n": lease["node"], "then": "wait",
        "waiting": {"kind": "event", "text": "", "memo": None, "topic": topic},
        "await": {"workspace": house.workspace.pk, "type": "paid", "key": key}, **more,
    }  # fmt: skip
    return statements.ADVANCE_EVENTS, A, json.dumps([item])


def publishes(house: House, key: str = "17", event_id: str = "") -> tuple[Any, ...]:
    event = {"id": event_id or str(uuid4()), "source": "/shop", "type": "paid", "key": key}
    return PUBLISH, house.workspace.pk, json.dumps(event)


def nobody_is_missed(run_id: UUID) -> None:
    waiting = Token.objects.filter(run_id=run_id, state="W")
    if waiting.exists():
        raise Breached("I12 no wake-up is lost", f"{waiting.count()} still wait although their event was accepted")


def an_event_waits_for_who_begins_to_wait(house: House, key: str | None) -> None:
    run_id, (lease,) = begin(house)
    with at_the_same_time(waits(house, lease, key), publishes(house)):
        pass
    nobody_is_missed(run_id)


def who_begins_to_wait_waits_for_an_event(house: House, key: str | None) -> None:
    run_id, (lease,) = begin(house)
    with at_the_same_time(publishes(house), waits(house, lease, key)):
        pass
    nobody_is_missed(run_id)


SCENES = [an_event_waits_for_who_begins_to_wait, who_begins_to_wait_waits_for_an_event]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("scene", SCENES)
def test_neither_misses_the_other(house: House, scene: Callable[[House, str | None], None], key: str | None) -> None:
    scene(house, key)
    assert [one.state for one in Delivery.objects.all()] == ["D"]
    assert list(breaches(everything=True)) == []


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("scene", SCENES)
def test_without_the_lock_of_the_topic_it_is_missed(
    house: House, scene: Callable[[House, str | None], None], key: str | None
) -> None:
    with mutated("branchline_lock_topics", *NO_TOPIC_LOCK), pytest.raises(Breached, match="I12"):
        scene(house, key)
    assert "I12 waits miss no event" in {breach.invariant.name for breach in breaches(everything=True)}


def test_who_waits_for_the_same_key_and_who_publishes_others_go_side_by_side(house: House) -> None:
    _, (one, two) = begin(house, 2)
    with at_the_same_time(waits(house, one), waits(house, two)) as (*_, state):
        assert state == "done"
    with at_the_same_time(publishes(house, "1"), publishes(house, "2")) as (*_, state):
        assert state == "done"


def test_started_together_many_times(house: House) -> None:
    """One thread publishes, one begins to wait, for each of many keys; a barrier lets them go together."""
    run_id, leases = begin(house, PAIRS)
    barrier = threading.Barrier(2, timeout=10)

    def side(calls: list[tuple[Any, ...]]) -> None:
        with own_connection() as database:
            for statement, *arguments in calls:
                barrier.wait()
                database.execute(statement, arguments).fetchall()

    keys = [str(number) for number in range(PAIRS)]
    sides = [
        threading.Thread(
            target=side, args=([waits(house, lease, key) for lease, key in zip(leases, keys, strict=True)],)
        ),
        threading.Thread(target=side, args=([publishes(house, key) for key in keys],)),
    ]
    for thread in sides:
        thread.start()
    for thread in sides:
        thread.join()
    nobody_is_missed(run_id)
    assert Delivery.objects.filter(state="D").count() == PAIRS
    assert list(breaches(everything=True)) == []


def left_pending(house: House, lease: dict[str, Any], key: str) -> int:
    """An event whose publisher found the token in somebody's hands, and left the rest to others."""
    with own_connection() as other, other.transaction():
        other.execute("SELECT FROM orchestrator_token WHERE id = %s FOR UPDATE", (lease["id"],))
        (row,) = rows(*publishes(house, key))
    assert row["more"]
    return int(row["event"])


def what_is_left_of_one_key_is_found_once(house: House) -> None:
    """A step that waits for any key looks at an event of one key while one of another is still to be delivered. When it
    waits again it finds that one; the keeper must not take it away at this very moment, or it would come twice."""
    _, (lease,) = begin(house)
    rows(*waits(house, lease, None))
    left = left_pending(house, lease, "a")
    (other,) = rows(*publishes(house, "b"))
    (lease,) = claim(A)
    again = waits(house, lease, None, event={"no": other["event"], "state": "I"})
    with at_the_same_time(again, (statements.DELIVER, f"{house.workspace.pk}/paid#a", 10)):
        pass
    assert Token.objects.get(pk=lease["id"]).state == "R"
    states = dict(Delivery.objects.values_list("event_id", "state"))
    if states != {left: "D", other["event"]: "I"}:
        raise Breached("I12 once", f"the step looks at event {left}, of {states}")


def test_what_is_left_of_one_key_is_not_taken_from_who_finds_it_by_itself(house: House) -> None:
    what_is_left_of_one_key_is_found_once(house)


def test_without_the_lock_of_the_type_it_is_taken_away(house: House) -> None:
    with (
        mutated(
            "branchline_deliver",
            ("branchline_lock_topics(ARRAY[split_part(p_topic, '#', 1)]", "branchline_lock_topics(NULL"),
        ),
        pytest.raises(Breached, match="I12"),
    ):
        what_is_left_of_one_key_is_found_once(house)


def at_once(count: int, what: Callable[[int], Any]) -> list[Any]:
    """What each of many threads got, started together."""
    barrier, found = threading.Barrier(count, timeout=10), [None] * count

    def one(number: int) -> None:
        barrier.wait()
        found[number] = what(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def on_its_own(call: tuple[Any, ...]) -> dict[str, Any]:
    statement, *arguments = call
    with own_connection() as database:
        (row,) = database.execute(statement, arguments).fetchall()
    return row


def test_the_same_event_from_many_at_once_is_one(house: House) -> None:
    """Also where a sender gives one id to different keys: whoever comes first is the event."""
    _, leases = begin(house, 2)
    for lease, key in zip(leases, "12", strict=True):
        rows(*waits(house, lease, key))
    answers = at_once(12, lambda number: on_its_own(publishes(house, "12"[number % 2], event_id="same")))
    assert len({answer["event"] for answer in answers}) == 1
    assert sorted(answer["duplicate"] for answer in answers) == [False] + [True] * 11
    assert Event.objects.count() == 1
    assert [one.state for one in Delivery.objects.all()] == ["D"]
    assert Token.objects.filter(state="W").count() == 1


def test_a_repeated_call_whose_reply_was_lost_has_no_effect(house: House) -> None:
    _, (lease,) = begin(house)
    rows(*waits(house, lease))
    call = publishes(house)
    first, second = rows(*call)[0], rows(*call)[0]
    assert (first["reached"], second["reached"]) == (1, 0)
    assert (second["duplicate"], second["event"]) == (True, first["event"])
    assert Delivery.objects.count() == 1


def test_an_event_that_was_rolled_back_may_come_again(house: House) -> None:
    """A crash before the commit: nobody was told of the event, and nobody has it."""
    _, (lease,) = begin(house)
    rows(*waits(house, lease))
    call = publishes(house)
    with own_connection() as database, database.transaction(force_rollback=True):
        database.execute(call[0], call[1:])
    assert Token.objects.get(pk=lease["id"]).state == "W"
    assert rows(*call)[0]["reached"] == 1


def looks_at(lease: dict[str, Any]) -> int:
    """The event that a step is resumed with."""
    signal = Token.objects.get(pk=lease["id"]).signal
    assert signal is not None
    return int(signal["no"])


def cancel(run_id: UUID) -> tuple[Any, ...]:
    return statements.SET_CONTROL, run_id, "C", json.dumps({"state": "cancelled"}), "tester", "cancel_requested", "{}"


def test_who_publishes_never_waits_for_a_cancellation(house: House) -> None:
    """It has the token; what was to be delivered ends with the wait."""
    run_id, (lease,) = begin(house)
    rows(*waits(house, lease))
    with at_the_same_time(cancel(run_id), publishes(house)) as (_, published, state):
        assert state == "done"
        assert (published.rows[0]["reached"], published.rows[0]["more"]) == (1, True)
    rows(statements.DELIVER, f"{house.workspace.pk}/paid#17", 10)
    assert list(Delivery.objects.values_list("state", "why")) == [("I", "wait_ended")]
    assert list(breaches(everything=True)) == []


def test_who_waits_for_a_topic_holds_nothing_that_a_cancellation_needs(house: House) -> None:
    """The locks of topics come first, or a cancellation would stand behind a publisher that it has never heard of."""
    run_id, (lease,) = begin(house)
    with own_connection("publishes") as publisher, own_connection("observer") as observer:
        with publisher.transaction():
            statement, *arguments = publishes(house)
            publisher.execute(statement, arguments)
            begins = Second(*waits(house, lease))
            assert begins.state(observer) == "waits"
            assert rows(*cancel(run_id))
            observer.execute("SELECT FROM orchestrator_token WHERE run_id = %s FOR UPDATE NOWAIT", (run_id,))
        assert begins.end()[0]["status"] == "cancelled"
    assert list(breaches(everything=True)) == []


def test_an_event_and_a_takeover_at_once(house: House) -> None:
    """Who looked at an event is taken over while the next one comes: the step has the first, then finds the second."""
    _, (lease,) = begin(house)
    rows(*waits(house, lease))
    (first,) = rows(*publishes(house))
    (lease,) = claim(B)  # a session that is dead
    with at_the_same_time((statements.TAKE_OVER, 15.0, 10), publishes(house)) as (_, second, state):
        assert (state, second.rows[0]["reached"]) == ("done", 0)
    (lease,) = claim(A)
    assert looks_at(lease) == first["event"]
    rows(*waits(house, lease, event={"no": first["event"], "state": "I"}))
    assert looks_at(claim(A)[0]) == second.rows[0]["event"]
    assert list(breaches(everything=True)) == []


def test_an_event_in_a_run_that_is_being_paused_is_kept_for_it(house: House) -> None:
    run_id, (lease,) = begin(house)
    rows(*waits(house, lease))
    pause = (statements.SET_CONTROL, run_id, "P", None, "tester", "paused", "{}")
    with at_the_same_time(pause, publishes(house)) as (_, published, state):
        assert (state, published.rows[0]["more"]) == ("done", False)
    assert claim(A) == []
    assert Token.objects.get(pk=lease["id"]).state == "H"
    rows(statements.SET_CONTROL, run_id, "-", None, "tester", "resumed", "{}")
    assert looks_at(claim(A)[0]) == published.rows[0]["event"]
