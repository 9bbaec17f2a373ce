"""Runs that pages are looked at with: many items, and an undo that needs a person."""

from typing import Any

from django.db.models.functions import Now

from designer.services.publishing import publish
from designer.services.workflows import create_workflow
from orchestrator.core.json_types import Json
from orchestrator.models import Run, Token, UndoItem, Workspace
from orchestrator.services.control import pause_run
from orchestrator.services.members import machine_actor
from orchestrator.services.runs import start_run
from tests.designer_cast import document, transform
from tests.waiting import wait_until

REFUSES = {"kind": "transform", "config": {"value": {"$": "1 // output"}}}


def started(workspace: Workspace, drawing: dict[str, Any], value: Json = None) -> Run:
    """Draw, publish and start."""
    actor = machine_actor(workspace)
    workflow = create_workflow(name=drawing["name"], actor=actor, document=drawing)
    publish(workflow=workflow, note="", actor=actor)
    workflow.refresh_from_db()
    return Run.objects.get(pk=start_run(workflow=workflow, input=value or {}, actor=actor).run_id)


def run_over_items(workspace: Workspace, total: int = 120) -> Run:
    """Every fortieth item fails; the for-each lets that pass."""
    each: dict[str, Any] = {"key": "each", "name": "Each parcel", "kind": "for_each", "at": [288, 0]}
    each["config"] = {"items": {"$": "input.parcels"}, "tolerate": {"count": 50}}
    drawing = document(
        transform("load", at=(0, 40)),
        each,
        transform("weigh", {"$": "10 // (item % 40)"}, at=(320, 104), parent="each", name="Weigh the parcel"),
        transform("pack", {"$": "item"}, at=(608, 104), parent="each", name="Pack the parcel"),
        transform("report", at=(920, 40)),
        name="Parcels of the day",
        edges=[{"from": "load", "to": "each"}, {"from": "weigh", "to": "pack"}, {"from": "each", "to": "report"}],
    )
    run = started(workspace, drawing, {"parcels": list(range(total))})
    return ended(run, "succeeded")


def run_with_stuck_undo(workspace: Workspace) -> Run:
    """Three bookings whose undo refuses, and a payment that has none; then the last step fails."""
    kinds = {"flight": "Book the flight", "hotel": "Book the hotel", "car": "Rent the car"}
    bookings = [
        transform(key, 0, at=(288, 120 * number), name=name, undo=REFUSES)
        for number, (key, name) in enumerate(kinds.items())
    ]
    drawing = document(
        transform("start", at=(0, 120), name="Take the order"),
        *bookings,
        transform("confirm", {"$": "1 // 0"}, at=(576, 120), name="Confirm the trip"),
        name="Trip to the coast",
        edges=[{"from": "start", "to": key} for key in kinds] + [{"from": key, "to": "confirm"} for key in kinds],
        settings={"on_failure": "undo"},
    )
    run = started(workspace, drawing)
    wait_until(lambda: UndoItem.objects.filter(run_id=run.pk, state="stuck").count() == 3, 30, "the undo to be stuck")
    return Run.objects.get(pk=run.pk)


def run_with_held_undo(workspace: Workspace) -> Run:
    """Its deadline has passed while it was paused."""
    wait: dict[str, Any] = {"key": "wait", "name": "Wait for the ferry", "kind": "delay", "config": {"for": "PT1H"}}
    drawing = document(
        transform("book", 0, at=(0, 0), name="Book the cabin", undo={"kind": "transform", "config": {"value": 0}}),
        {**wait, "at": [288, 0]},
        name="Trip to the island",
        edges=[{"from": "book", "to": "wait"}],
        settings={"on_failure": "undo"},
    )
    run = started(workspace, drawing)
    wait_until(Token.objects.filter(run_id=run.pk, state="W").exists, 30, "the run to wait")
    pause_run(run.pk, machine_actor(workspace))
    Run.objects.filter(pk=run.pk).update(deadline_at=Now())
    wait_until(Run.objects.filter(pk=run.pk, control="C").exists, 30, "the deadline to be seen")
    return Run.objects.get(pk=run.pk)


def run_with_events(workspace: Workspace) -> Run:
    """It waits for a payment by its key, and for any parcel of some weight, at the same time."""
    paid = {"type": "order.paid", "key": "order-7"}
    sent = {"type": "parcel.sent", "where": {"$": "event.data.weight > 2"}, "deadline": "P2D"}
    drawing = document(
        transform("order", at=(0, 40), name="Take the order"),
        {"key": "paid", "name": "Wait for the money", "kind": "wait_event", "at": [288, 0], "config": paid},
        {"key": "sent", "name": "Wait for the parcel", "kind": "wait_event", "at": [288, 120], "config": sent},
        name="Paid orders",
        edges=[{"from": "order", "to": "paid"}, {"from": "order", "to": "sent"}],
    )
    run = started(workspace, drawing)
    waits = Token.objects.filter(run_id=run.pk, state="W")
    wait_until(lambda: waits.count() == 2, 30, "the run to wait for its events")
    return Run.objects.get(pk=run.pk)


def ended(run: Run, state: str) -> Run:
    """Wait until the run has ended so."""
    wait_until(lambda: Run.objects.get(pk=run.pk).state == state, 30, f"the run to be {state}")
    return Run.objects.get(pk=run.pk)
