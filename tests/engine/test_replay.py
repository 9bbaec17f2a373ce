"""A dead letter goes to its step again, wherever that waits now in its item; where it cannot, the way out is told."""

from typing import Any
from uuid import UUID

import pytest

from orchestrator.core.errors import Conflict
from orchestrator.models import Delivery, Run, Token
from orchestrator.queries.deliveries import dead_letters, delivery_views
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run
from orchestrator.services.dead_letters import NotAwaited, WaitIsOver, replay_delivery
from orchestrator.services.reopen import retry_run
from orchestrator.services.rerun import rerun_step
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.test_events import awaiting, heard, publish, waits
from tests.waiting import wait_until

#: True from the second turn on: what the first could not look at a later one can.
LATER = {"$": "event.data.amount > 10 if turn == 1 else True"}


def picky(where: Any, **more: Any) -> dict[str, Any]:
    return awaiting(config={"where": where}, retry={"attempts": 1}, **more)


def letter_of(run_id: UUID) -> int:
    found = Delivery.objects.filter(run_id=run_id, state="X")
    wait_until(found.exists, 10, "a dead letter")
    return found.get().pk


def replay(house: House, letter: int) -> None:
    replay_delivery(actor=house.actor, delivery=letter)
    if house.worker is not None:
        house.worker.poke()


def refusal(house: House, letter: int) -> Conflict:
    assert [one.waits for one in delivery_views(dead_letters(house.actor, {}).items)] == [False]
    with pytest.raises(Conflict) as refused:
        replay(house, letter)
    assert Delivery.objects.get(pk=letter).state == "X"
    return refused.value


def turns(house: House, **more: Any) -> UUID:
    """Turns that go on by the error port where their wait fails."""
    box = step("box", "repeat", config={"turns": 3, "until": {"$": "turn >= 2"}})
    inside = [picky(LATER, parent="box", **more), step("on", parent="box")]
    raw = document([box, *inside, step("after")], "hear.error > on", "hear > on", "box > after")
    return house.start(house.publish(raw), {"order": 17})


def test_a_later_turn_has_what_an_ended_one_could_not_look_at(house: House, at_work: None) -> None:
    run_id = turns(house)
    waits(run_id)
    publish(house, "no amount here")
    letter = letter_of(run_id)
    waits(run_id)
    ended, now = (
        Delivery.objects.get(pk=letter).scope_id,
        Token.objects.get(run_id=run_id, waiting__has_key="topic").scope_id,
    )
    assert ended != now
    assert [one.waits for one in delivery_views(dead_letters(house.actor, {}).items)] == [True]
    replay(house, letter)
    assert house.end_of(run_id).state == "succeeded"
    assert heard(run_id) == ["no amount here"]
    told = Delivery.objects.filter(run_id=run_id).order_by("replay").values_list("scope_id", "replay", "state", "why")
    assert list(told) == [(ended, 0, "I", "replayed"), (now, 1, "D", "")]
    assert list(breaches(everything=True)) == []


def test_a_turn_of_another_item_does_not_have_it(house: House, at_work: None) -> None:
    each = step("each", "for_each", config={"items": [1, 2]})
    box = step("box", "repeat", config={"turns": 2, "until": {"$": "turn >= 2"}}, parent="each")
    only_first = {"$": "event.data.amount > 10 if turn == 1 and item == 1 else event.data == 'end'"}
    inside = [picky(only_first, parent="box"), step("on", parent="box")]
    run_id = house.start(house.publish(document([each, box, *inside], "hear.error > on", "hear > on")), {"order": 17})
    waits(run_id, 2)
    publish(house, "for both")
    letter = letter_of(run_id)
    waits(run_id, 2)
    publish(house, "end")  # the first item is done with it, the second has another turn
    waits(run_id, 1)
    with pytest.raises(WaitIsOver):
        replay(house, letter)
    assert Token.objects.filter(run_id=run_id, state="W", waiting__has_key="topic").count() == 1


def test_of_a_turn_that_is_over_the_way_out_is_told(house: House, at_work: None) -> None:
    run_id = turns(house)
    waits(run_id)
    publish(house, "no amount here")
    letter = letter_of(run_id)
    waits(run_id)
    publish(house, "enough")
    assert house.end_of(run_id).state == "succeeded"
    told = refusal(house, letter)
    assert (told.error_code, told.status) == ("wait_is_over", 409)
    assert "Re-run the step" in told.message
    scope = Delivery.objects.get(pk=letter).scope_id
    rerun_step(run_id, "hear", house.actor, scope=scope)
    house.end_of(run_id)
    letters = Delivery.objects.filter(run_id=run_id, state="X", event__data="no amount here")
    assert letters.count() == 2, "the re-run has looked at it anew, as the refusal promised"
    with pytest.raises(WaitIsOver, match="done again"):
        replay(house, letter)


def test_of_a_failed_run_the_step_is_retried_first(house: House, at_work: None) -> None:
    run_id = house.start(house.publish(document([picky({"$": "event.data.amount > 10"})])), {"order": 17})
    waits(run_id)
    publish(house, "no amount here")
    assert house.end_of(run_id).state == "failed"
    told = refusal(house, letter_of(run_id))
    assert isinstance(told, NotAwaited)
    assert "Retry the step first" in told.message
    retry_run(run_id, house.actor)
    waits(run_id)
    replay(house, letter_of(run_id))
    assert house.end_of(run_id).state == "failed"
    wait_until(lambda: Delivery.objects.filter(run_id=run_id, state="X", replay=1).exists(), 10, "it to be dead again")


def test_of_a_step_that_waits_for_something_else_that_is_told(house: House, at_work: None) -> None:
    drawn = awaiting(config={"where": {"$": "event.data.amount > 10"}, "key": None}, retry={"attempts": 1})
    run_id = house.start(house.publish(document([drawn])), {"order": 17})
    waits(run_id)
    publish(house, "no amount here")
    assert house.end_of(run_id).state == "failed"
    letter = letter_of(run_id)
    retry_run(run_id, house.actor)
    waits(run_id)
    Token.objects.filter(run_id=run_id).update(waiting={"kind": "event", "topic": f"{house.workspace.pk}/order.sent"})
    told = refusal(house, letter)
    assert (told.error_code, "another event" in told.message) == ("not_awaited", True)


def test_of_a_run_below_the_run_at_the_top_is_named(house: House, at_work: None) -> None:
    house.publish(document([picky({"$": "event.data.amount > 10"})]), slug="child")
    call = step("call", "sub_workflow", config={"workflow": "child", "input": {"order": 17}}, retry={"attempts": 1})
    run_id = house.start(house.publish(document([call])))
    wait_until(lambda: Run.objects.filter(root_run=run_id).exists(), 10, "the run below")
    child = Run.objects.get(root_run=run_id).pk
    waits(child)
    publish(house, "no amount here")
    assert house.end_of(run_id).state == "failed"
    told = refusal(house, letter_of(child))
    assert told.error_code == "not_awaited"
    assert str(run_id) in told.message


def test_of_a_cancelled_run_it_is_told(house: House, at_work: None) -> None:
    drawn = [picky({"$": "event.data.amount > 10"}), step("after", "delay", config={"for": "PT1H"})]
    run_id = house.start(house.publish(document(drawn, "hear.error > after")), {"order": 17})
    waits(run_id)
    publish(house, "no amount here")
    letter = letter_of(run_id)
    cancel_run(run_id=run_id, actor=house.actor)
    assert house.end_of(run_id).state == "cancelled"
    assert refusal(house, letter).error_code == "wait_is_over"
