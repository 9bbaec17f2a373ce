"""A sub-workflow hears what its steps would hear in the run above: since that began, and each event once."""

from typing import Any
from uuid import UUID

from orchestrator.core.json_types import Json
from orchestrator.models import Delivery, Run
from orchestrator.queries.fsck import breaches
from orchestrator.services.dead_letters import discard_delivery
from orchestrator.services.rerun import rerun_step
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.test_events import awaiting, publish, waits
from tests.waiting import wait_until

TURNS = {"turns": 3, "until": {"$": "turn >= 3"}}


def call(key: str = "call", workflow: str = "child", **more: Any) -> dict[str, Any]:
    return step(key, "sub_workflow", config={"workflow": workflow, "input": {"order": 17}}, **more)


def heard_below(run_id: UUID) -> list[Json]:
    """What reached the runs below, in order."""
    reached = Delivery.objects.filter(run__root_run=run_id, state="D").order_by("ended_at")
    return list(reached.values_list("event__data", flat=True))


def began_below(house: House, run_id: UUID, count: int = 1) -> list[UUID]:
    def children() -> list[UUID]:
        return list(Run.objects.filter(root_run=run_id).order_by("id").values_list("id", flat=True))

    wait_until(lambda: len(children()) == count, 10, f"{count} runs below")
    return children()


def test_what_came_before_the_child_began_is_kept_for_it(house: House, at_work: None) -> None:
    house.publish(document([awaiting()]), slug="child")
    publish(house, "before the run")
    drawn = document([step("first", "delay", config={"for": "PT0.3S"}), call()], "first > call")
    run_id = house.start(house.publish(drawn))
    publish(house, "before the child")
    assert house.end_of(run_id).state == "succeeded"
    assert heard_below(run_id) == ["before the child"]
    assert list(breaches(everything=True)) == []


def test_a_child_may_look_back_less_far(house: House, at_work: None) -> None:
    house.publish(document([awaiting(config={"look_back": "PT0S"})]), slug="child")
    drawn = document([step("first", "delay", config={"for": "PT0.3S"}), call()], "first > call")
    run_id = house.start(house.publish(drawn))
    publish(house, "before the child")
    (child,) = began_below(house, run_id)
    waits(child)
    publish(house, "now")
    assert house.end_of(run_id).state == "succeeded"
    assert heard_below(run_id) == ["now"]


def test_turns_that_call_get_one_event_after_the_other(house: House, at_work: None) -> None:
    house.publish(document([awaiting()]), slug="grandchild")
    house.publish(document([call(workflow="grandchild")]), slug="child")
    run_id = house.start(house.publish(document([step("box", "repeat", config=TURNS), call(parent="box")])))
    for number in range(1, 4):
        publish(house, number)
    assert house.end_of(run_id).state == "succeeded"
    assert heard_below(run_id) == [1, 2, 3]
    assert list(breaches(everything=True)) == []


def test_items_that_call_get_the_same_event(house: House, at_work: None) -> None:
    house.publish(document([awaiting()]), slug="child")
    drawn = [step("each", "for_each", config={"items": [1, 2, 3], "parallel": 1}), call(parent="each")]
    run_id = house.start(house.publish(document(drawn)))
    publish(house, "all")
    assert house.end_of(run_id).state == "succeeded"
    assert heard_below(run_id) == ["all"] * 3


def test_two_calls_one_after_the_other_get_the_same_event(house: House, at_work: None) -> None:
    house.publish(document([awaiting()]), slug="child")
    run_id = house.start(house.publish(document([call(), call("again")], "call > again")))
    publish(house, "both")
    assert house.end_of(run_id).state == "succeeded"
    assert heard_below(run_id) == ["both"] * 2


def test_an_attempt_that_failed_gives_its_event_back(house: House, at_work: None) -> None:
    fails = step("fails", config={"value": {"$": "1 // 0"}}, retry={"attempts": 1})
    house.publish(document([awaiting(), fails], "hear > fails"), slug="child")
    turn = [step("box", "repeat", config=TURNS), call(parent="box", retry={"attempts": 1}), step("on", parent="box")]
    run_id = house.start(house.publish(document(turn, "call.error > on")))
    publish(house, "again and again")
    assert house.end_of(run_id).state == "succeeded"
    assert heard_below(run_id) == ["again and again"] * 3
    assert list(breaches(everything=True)) == []


def test_a_dead_letter_is_not_given_to_the_next_run_of_the_call(house: House, at_work: None) -> None:
    hear = awaiting(config={"where": {"$": "event.data.amount > 10"}}, retry={"attempts": 1})
    house.publish(document([hear]), slug="child")
    turn = [step("box", "repeat", config=TURNS), call(parent="box", retry={"attempts": 1}), step("on", parent="box")]
    run_id = house.start(house.publish(document(turn, "call.error > on")))
    publish(house, "no amount here")
    second = began_below(house, run_id, 2)[1]
    waits(second)
    publish(house, "nor here")
    third = began_below(house, run_id, 3)[2]
    waits(third)
    for letter in Delivery.objects.filter(run__root_run=run_id, state="X"):
        discard_delivery(actor=house.actor, delivery=letter.pk)
    publish(house, {"amount": 11})
    assert house.end_of(run_id).state == "succeeded"
    assert heard_below(run_id) == [{"amount": 11}]
    assert Delivery.objects.filter(run__root_run=run_id).count() == 3
    assert list(breaches(everything=True)) == []


def test_a_call_done_again_hears_the_kept_event_again(house: House, at_work: None) -> None:
    house.publish(document([awaiting()]), slug="child")
    run_id = house.start(house.publish(document([call()])))
    publish(house, "once")
    house.end_of(run_id)
    rerun_step(run_id, "call", house.actor)
    assert house.end_of(run_id).state == "succeeded"
    assert heard_below(run_id) == ["once"] * 2
