"""Per key the events have their effect in the order in which they were accepted (I13)."""

from typing import Any

from orchestrator.models import Delivery
from orchestrator.queries.fsck import breaches
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.test_events import awaiting, heard, publish, states, waits


def turns(count: int, *more: dict[str, Any], edges: tuple[str, ...] = (), **hear: Any) -> dict[str, Any]:
    """A repeat whose turns wait for the key one after another."""
    box = step("box", "repeat", config={"turns": count, "until": {"$": f"turn >= {count}"}})
    return document([box, awaiting(parent="box", **hear), *more], *edges)


def test_a_dead_letter_does_not_stop_the_turns_after_it(house: House, at_work: None) -> None:
    where = {"where": {"$": "event.data.amount > 10"}}
    note = step("note", parent="box")
    raw = turns(2, note, edges=("hear.error > note",), config=where, retry={"attempts": 1})
    run_id = house.start(house.publish(raw), {"order": 17})
    waits(run_id)
    publish(house, "no amount here")
    publish(house, {"amount": 20})
    assert house.end_of(run_id).state == "succeeded"
    assert heard(run_id) == [{"amount": 20}]
    assert states(run_id) == "DX"
    assert Delivery.objects.filter(run_id=run_id, state="X").count() == 1
    assert list(breaches(everything=True)) == []
