"""Events reach the steps that wait for them: once, in order, whether they come before or after the wait begins."""

from typing import Any
from uuid import UUID, uuid4

from prometheus_client import REGISTRY

from orchestrator.core.json_types import Json
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Delivery, Event, Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.dead_letters import discard_delivery
from orchestrator.services.events import Published, publish_event
from orchestrator.services.reopen import retry_run
from orchestrator.services.rerun import rerun_step
from orchestrator.services.skip import skip_step
from tests.engine.drawings import document, step
from tests.engine.house import House, make_tools, output, worker_at_work
from tests.waiting import wait_until


def awaiting(key: str = "hear", **more: Any) -> dict[str, Any]:
    config = {"type": "order.paid", "key": {"$": "input.order"}, **more.pop("config", {})}
    return step(key, "wait_event", config={name: value for name, value in config.items() if value is not None}, **more)


def publish(house: House, data: Json = None, **more: Any) -> Published:
    event = {"id": str(uuid4()), "source": "/shop", "type": "order.paid", "key": "17", "data": data, **more}
    published = publish_event(actor=house.actor, event=event)
    if house.worker is not None:
        house.worker.poke()
    return published


def waits(run_id: UUID, count: int = 1) -> None:
    def are_there() -> bool:
        return Token.objects.filter(run_id=run_id, state="W", waiting__has_key="topic").count() == count

    wait_until(are_there, 10, f"{count} steps of {run_id} to wait")


def heard(run_id: UUID) -> list[Any]:
    """What the waits inside containers, or else all, were given, in the order in which they ended."""
    rows = StepLog.objects.filter(run_id=run_id, outcome="S", output__has_key="specversion").order_by("entry")
    rows = rows.exclude(scope_id=0) if rows.exclude(scope_id=0).exists() else rows
    return [row.output["data"] for row in rows if row.output is not None]


def states(run_id: UUID) -> str:
    return "".join(sorted(Delivery.objects.filter(run_id=run_id).values_list("state", flat=True)))


def test_an_event_that_comes_later_ends_the_wait(house: House, at_work: None) -> None:
    version = house.publish(document([awaiting(), step("after")], "hear > after"))
    run_id = house.start(version, {"order": 17})
    waits(run_id)
    assert publish(house, "other", key="18").reached == 0
    assert publish(house, "mine", subject="s").reached == 1
    run = house.end_of(run_id)
    assert run.state == "succeeded"
    (row,) = StepLog.objects.filter(run_id=run_id, node=0)
    assert row.output is not None
    assert {name: row.output[name] for name in ("type", "key", "data", "source", "subject", "specversion")} == {
        "type": "order.paid", "key": "17", "data": "mine", "source": "/shop", "subject": "s", "specversion": "1.0",
    }  # fmt: skip
    assert states(run_id) == "D"
    assert list(breaches(everything=True)) == []


def test_an_event_that_came_before_is_kept_for_the_wait(house: House, at_work: None) -> None:
    version = house.publish(document([step("first", "delay", config={"for": "PT0.3S"}), awaiting()], "first > hear"))
    run_id = house.start(version, {"order": 17})
    assert publish(house, "early").reached == 0
    assert house.end_of(run_id).state == "succeeded"
    assert heard(run_id) == ["early"]
    assert states(run_id) == "D"


def test_only_from_now_on(house: House, at_work: None) -> None:
    version = house.publish(document([awaiting(config={"look_back": "PT0S"})]))
    publish(house, "before the run")
    run_id = house.start(version, {"order": 17})
    waits(run_id)
    publish(house, "now")
    house.end_of(run_id)
    assert heard(run_id) == ["now"]


def test_further_back_than_the_run(house: House, at_work: None) -> None:
    publish(house, "before the run")
    run_id = house.start(house.publish(document([awaiting(config={"look_back": "PT1H"})])), {"order": 17})
    house.end_of(run_id)
    assert heard(run_id) == ["before the run"]


def test_what_is_not_wanted_is_passed_over(house: House, at_work: None) -> None:
    version = house.publish(document([awaiting(config={"where": {"$": "event.data > 10"}})]))
    run_id = house.start(version, {"order": 17})
    waits(run_id)
    for amount in (1, 2, 30, 40):
        publish(house, amount)
    house.end_of(run_id)
    assert heard(run_id) == [30]
    assert states(run_id) == "DII"


def test_a_condition_that_fails_makes_a_dead_letter(house: House, at_work: None) -> None:
    drawn = [awaiting(config={"where": {"$": "event.data.amount > 10"}}, retry={"attempts": 1}), step("after")]
    run_id = house.start(house.publish(document(drawn, "hear.error > after")), {"order": 17})
    waits(run_id)
    publish(house, "no amount here")
    assert house.end_of(run_id).state == "succeeded"
    (delivery,) = Delivery.objects.filter(run_id=run_id)
    assert delivery.state == "X"
    assert delivery.error is not None
    assert "where" in delivery.error["message"]


def test_a_second_copy_changes_nothing(house: House, at_work: None) -> None:
    version = house.publish(document([awaiting(), awaiting("again", config={"look_back": "PT0S"})], "hear > again"))
    run_id = house.start(version, {"order": 17})
    waits(run_id)
    first = publish(house, 1, id="same")
    waits(run_id)
    second = publish(house, 1, id="same")
    assert second.duplicate
    assert second.number == first.number
    assert Event.objects.filter(workspace=house.workspace).count() == 1
    waits(run_id)


def test_each_step_gets_the_event_once(house: House, at_work: None) -> None:
    """Two steps of a run one after another may have the same event; a repeat's turns get one after the other."""
    drawn = [
        step("box", "repeat", config={"turns": 3, "until": {"$": "turn >= 3"}}),
        awaiting(parent="box"),
    ]
    run_id = house.start(house.publish(document(drawn)), {"order": 17})
    for number in range(1, 4):
        publish(house, number)
    assert house.end_of(run_id).state == "succeeded"
    assert heard(run_id) == [1, 2, 3]


def test_items_wait_for_their_own(house: House, at_work: None) -> None:
    drawn = [
        step("each", "for_each", config={"items": {"$": "input.orders"}}),
        awaiting(parent="each", config={"key": {"$": "item"}}),
        step("after", config={"value": {"$": "steps.each"}}),
    ]
    orders = [str(number) for number in range(30)]
    run_id = house.start(house.publish(document(drawn, "each > after")), {"orders": orders})
    for order in reversed(orders[10:]):
        publish(house, f"paid {order}", key=order)
    waits(run_id, 10)
    for order in orders[:10]:
        publish(house, f"paid {order}", key=order)
    assert house.end_of(run_id).state == "succeeded"
    given = output(Run.objects.get(pk=run_id))
    assert [event["data"] for event in given] == [f"paid {order}" for order in orders]
    assert list(breaches(everything=True)) == []


def test_one_event_for_all_items(house: House, at_work: None) -> None:
    drawn = [
        step("each", "for_each", config={"items": list(range(300))}),
        awaiting(parent="each", config={"key": None}),
    ]
    run_id = house.start(house.publish(document(drawn)))
    waits(run_id, 300)
    assert publish(house, "all").reached == 300
    assert house.end_of(run_id).state == "succeeded"
    assert heard(run_id) == ["all"] * 300


def test_a_wait_that_was_too_long(house: House, at_work: None) -> None:
    drawn = [awaiting(config={"deadline": "PT0.2S"}), step("late")]
    run_id = house.start(house.publish(document(drawn, "hear.timeout > late")), {"order": 17})
    house.end_of(run_id)
    assert StepLog.objects.filter(run_id=run_id, outcome="T").count() == 1
    assert publish(house).reached == 0


def test_a_paused_run_keeps_the_event(house: House, at_work: None) -> None:
    run_id = house.start(house.publish(document([awaiting(), step("after")], "hear > after")), {"order": 17})
    waits(run_id)
    pause_run(run_id=run_id, actor=house.actor)
    publish(house, "held")
    wait_until(lambda: Token.objects.filter(run_id=run_id, state="H").exists(), 10, "the step to be held")
    resume_run(run_id=run_id, actor=house.actor)
    house.worker.poke()  # type: ignore[union-attr]
    house.end_of(run_id)
    assert heard(run_id) == ["held"]


def test_a_cancelled_run_hears_nothing(house: House, at_work: None) -> None:
    run_id = house.start(house.publish(document([awaiting()])), {"order": 17})
    waits(run_id)
    cancel_run(run_id=run_id, actor=house.actor)
    assert publish(house).reached == 0
    assert list(breaches(everything=True)) == []


def test_a_large_event_travels_beside_the_token(house: House, at_work: None) -> None:
    text = "x" * 100_000
    run_id = house.start(house.publish(document([awaiting(), step("after")], "hear > after")), {"order": 17})
    waits(run_id)
    publish(house, text)
    house.end_of(run_id)
    (row,) = StepLog.objects.filter(run_id=run_id, node=0)
    assert row.output_ref is not None


def test_an_event_ends_the_only_wait_in_its_own_transaction(house: House, sandbox: Sandbox) -> None:
    with worker_at_work(make_tools(sandbox)) as house.worker:
        run_id = house.start(house.publish(document([awaiting(), step("after")], "hear > after")), {"order": 17})
        waits(run_id)
    house.worker = None
    publish(house, "now")
    assert heard(run_id) == ["now"]
    assert Token.objects.get(run_id=run_id).state == "R"
    assert Token.objects.get(run_id=run_id).node == 1


def test_a_wait_can_be_skipped(house: House, at_work: None) -> None:
    run_id = house.start(house.publish(document([awaiting(), step("after")], "hear > after")), {"order": 17})
    waits(run_id)
    skip_step(run_id, "hear", house.actor, output={"data": "by hand"}, reason="It came by telephone.")
    assert house.end_of(run_id).state == "succeeded"
    assert publish(house).reached == 0
    assert list(breaches(everything=True)) == []


def test_a_step_done_again_hears_the_kept_event_again(house: House, at_work: None) -> None:
    drawn = document([awaiting(), step("after")], "hear > after")
    run_id = house.start(house.publish(drawn), {"order": 17})
    waits(run_id)
    publish(house, "once")
    house.end_of(run_id)
    rerun_step(run_id, "hear", house.actor)
    house.end_of(run_id)
    assert heard(run_id) == ["once", "once"]
    assert list(breaches(everything=True)) == []


def test_an_event_that_came_too_late_counts_after_a_retry(house: House, at_work: None) -> None:
    run_id = house.start(house.publish(document([awaiting(config={"deadline": "PT0.2S"})])), {"order": 17})
    assert house.end_of(run_id).state == "failed"
    publish(house, "late")
    retry_run(run_id, house.actor)
    assert house.end_of(run_id).state == "succeeded"
    assert heard(run_id) == ["late"]


def test_a_branch_that_is_not_wanted_hears_nothing(house: House, at_work: None) -> None:
    any_of = step("m", "merge", join={"mode": "any", "late": "cancel"})
    drawn = document([awaiting(), step("quick"), any_of], "hear > m", "quick > m")
    run_id = house.start(house.publish(drawn), {"order": 17})
    assert house.end_of(run_id).state == "succeeded"
    assert publish(house).reached == 0
    assert list(breaches(everything=True)) == []


def test_an_item_of_an_ended_for_each_hears_nothing(house: House, at_work: None) -> None:
    drawn = document(
        [
            step("each", "for_each", config={"items": [1, 0]}),
            step("divide", config={"value": {"$": "1 // item"}}, retry={"attempts": 1}, parent="each"),
            awaiting(parent="each"),
            step("after"),
        ],
        "divide > hear",
        "each.error > after",
    )
    run_id = house.start(house.publish(drawn), {"order": 17})
    assert house.end_of(run_id).state == "succeeded"
    assert publish(house).reached == 0
    assert list(breaches(everything=True)) == []


def test_events_are_counted(house: House, at_work: None) -> None:
    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"branchline_{name}_total", labels) or 0.0

    def all_counted() -> list[float]:
        results = [counted("events", result=result) for result in ("accepted", "duplicate")]
        return [*results, counted("events_delivered"), counted("attempts", kind="wait_event", outcome="succeeded")]

    run_id = house.start(house.publish(document([awaiting(), step("after")], "hear > after")), {"order": 17})
    waits(run_id)
    before = all_counted()
    publish(house, id="a")
    publish(house, id="a")
    house.end_of(run_id)
    assert [now - was for now, was in zip(all_counted(), before, strict=True)] == [1, 1, 1, 1]


def test_a_discarded_event_is_not_given_to_its_step_again(house: House, at_work: None) -> None:
    drawn = [awaiting(config={"where": {"$": "event.data.amount > 10"}}, retry={"attempts": 1})]
    run_id = house.start(house.publish(document(drawn)), {"order": 17})
    waits(run_id)
    publish(house, "no amount here")
    assert house.end_of(run_id).state == "failed"
    discard_delivery(actor=house.actor, delivery=Delivery.objects.get(run_id=run_id).pk)
    retry_run(run_id, house.actor)
    waits(run_id)
    publish(house, {"amount": 11})
    assert house.end_of(run_id).state == "succeeded"
    assert heard(run_id) == [{"amount": 11}]
    assert Delivery.objects.get(run_id=run_id, state="I").why == "discarded"
