"""A workspace in the middle of a working day: what the monitor's pages are tested and looked at with."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.models import HumanTask, Run, User, Version, Workspace
from orchestrator.models.task import TaskState
from tests.factories import make_member, make_workspace
from tests.run_factories import (
    drawn,
    make_decision,
    make_log,
    make_record,
    make_run,
    make_session,
    make_task,
    make_token,
    make_undo_item,
    make_version,
    make_workflow,
)

LEAVE = drawn(
    "check -> approve",
    "approve.approved -> book",
    "approve.rejected -> tell",
    name="Leave request",
    steps={
        "check": {"at": [0, 0], "name": "Check the balance", "kind": "call", "config": {"function": "people.balance"}},
        "approve": {"at": [300, 0], "name": "Approve the leave", "kind": "human_task"},
        "book": {"at": [600, -80], "name": "Book the days", "kind": "call", "retry": {"attempts": 5}},
        "tell": {"at": [600, 80], "name": "Tell the person", "kind": "call"},
    },
)
RELEASE = {"kind": "call", "config": {"function": "shop.release", "arguments": {}}}
REFUND = {"kind": "call", "config": {"function": "shop.refund", "arguments": {}}}
ORDER = drawn(
    "reserve -> charge",
    "charge -> ship",
    "charge.error -> apologise",
    name="Order payment",
    steps={
        "reserve": {"at": [0, 0], "name": "Reserve stock", "kind": "call", "undo": RELEASE},
        "charge": {
            "at": [300, 0],
            "name": "Charge the card",
            "kind": "call",
            "retry": {"attempts": 3},
            "undo": REFUND,
        },
        "ship": {"at": [600, -80], "name": "Ship the parcel", "kind": "call"},
        "apologise": {"at": [600, 80], "name": "Apologise", "kind": "call"},
    },
) | {"regions": [{"key": "payment", "name": "Payment", "pattern": "sequence", "steps": ["reserve", "charge"]}]}
FIELDS: list[dict[str, Any]] = [
    {"key": "days", "kind": "number", "label": "Days granted", "required": True, "min": 0, "max": 30},
    {"key": "from", "kind": "date", "label": "First day"},
    {
        "key": "cover",
        "kind": "choice",
        "label": "Who covers",
        "options": [{"value": "team", "label": "The team"}, {"value": "temp", "label": "A temporary worker"}],
    },
    {"key": "paid", "kind": "yes_no", "label": "Paid leave", "required": True},
    {"key": "note", "kind": "long_text", "label": "Note to the person", "help": "They read it in their mail."},
]
OUTCOMES = [
    {"key": "approved", "label": "Approve"},
    {"key": "changes", "label": "Ask for changes"},
    {"key": "rejected", "label": "Reject", "tone": "danger", "comment": "required"},
]


@dataclass
class Day:
    """The cast: who works here, what runs, what waits."""

    workspace: Workspace
    alice: User
    bob: User
    carol: User
    leave: Version
    order: Version
    runs: dict[str, Run] = field(default_factory=dict)
    tasks: dict[str, HumanTask] = field(default_factory=dict)


def working_day(slug: str = "demo", *, now: datetime | None = None) -> Day:
    """Alice asks and operates, Bob (finance) approves, Carol administers."""
    moment = now or datetime.now(UTC)
    workspace = make_workspace(slug, "Demo team")
    day = Day(
        workspace=workspace,
        alice=make_member(workspace, "operator", "editor", username=f"{slug}-alice"),
        bob=make_member(workspace, "approver", username=f"{slug}-bob", groups=["finance"]),
        carol=make_member(workspace, "admin", "approver", username=f"{slug}-carol"),
        leave=make_version(make_workflow(workspace, slug="leave-request", name="Leave request"), LEAVE),
        order=make_version(make_workflow(workspace, slug="order-payment", name="Order payment"), ORDER),
    )
    make_session("default")
    _waiting_leave(day, moment)
    _failed_order(day, moment)
    _retrying_order(day, moment)
    _done_leave(day, moment)
    return day


def _waiting_leave(day: Day, now: datetime) -> None:
    began = now - timedelta(minutes=42)
    run = make_run(
        day.leave,
        started_at=began,
        started_by=day.alice,
        trigger="person",
        business_key="LEAVE-2026-118",
        input={"person": "Ada Lovelace", "days": 4, "reason": "Moving house", "history": [1, 2, 3]},
    )
    done = began + timedelta(milliseconds=240)
    make_log(
        run, "check", started_at=began, finished_at=done, output={"days_left": 12}, input={"person": "Ada Lovelace"}
    )
    day.runs["waiting"] = run
    day.tasks["leave"] = make_task(
        run,
        "approve",
        title="Approve 4 days of leave for Ada Lovelace",
        text="Ada asks for 4 days from 7 December because she moves house.\n\n12 days are left this year.",
        fields=FIELDS,
        outcomes=OUTCOMES,
        groups=["finance"],
        requester=day.alice,
        opened_at=done,
        due_at=now + timedelta(hours=5),
    )


def _failed_order(day: Day, now: datetime) -> None:
    began = now - timedelta(hours=3)
    error = {"code": "card_declined", "message": 'The bank declined the card ending in 4242: "insufficient funds".'}
    run = make_run(
        day.order,
        state="failed",
        started_at=began,
        started_by=day.alice,
        business_key="ORDER-7781",
        input={"order": {"sku": "bike", "quantity": 1}},
        error={**error, "node": 1},
    )
    make_log(run, "reserve", started_at=began, finished_at=began + timedelta(milliseconds=90), output={"id": "R-1"})
    at = began + timedelta(milliseconds=100)
    for attempt, wait in ((1, 0.0), (2, 0.3), (3, 0.55)):
        begun = at + timedelta(seconds=wait)
        make_log(
            run,
            "charge",
            outcome="F",
            attempt=attempt,
            final=attempt == 3,
            started_at=begun,
            finished_at=begun + timedelta(milliseconds=120),
            error=error,
            log=[{"at": begun.isoformat(), "level": "info", "text": f"try {attempt} at the bank"}],
            input={"amount": 129900, "currency": "EUR"},
        )
    make_record(run, "failed", actor="", detail={"error": error}, at=run.finished_at)
    day.runs["failed"] = run


def stuck_order(day: Day, now: datetime | None = None) -> Run:
    """An order whose shipping failed; the card could not be refunded, so the stock is still reserved."""
    began = (now or datetime.now(UTC)) - timedelta(minutes=8)
    error = {"code": "no_carrier", "message": "No carrier takes this parcel.", "node": 2}
    run = make_run(day.order, state="undo_stuck", started_at=began, business_key="ORDER-7790", error=error)
    at = began
    for key, outcome in (("reserve", "S"), ("charge", "S"), ("ship", "F")):
        done = at + timedelta(milliseconds=140)
        make_log(run, key, outcome=outcome, started_at=at, finished_at=done, error=error if outcome == "F" else None)
        at = done + timedelta(milliseconds=20)
    refused = {"code": "no_such_payment", "message": "The bank refuses: No such payment."}
    reserve = make_undo_item(run, "reserve", "waiting", awaits=1, position=1)
    charge = make_undo_item(run, "charge", "stuck", releases=[reserve.entry], error=refused, at=at)
    done = at + timedelta(milliseconds=300)
    make_log(run, "charge", node=-1 - charge.node, outcome="F", started_at=at, finished_at=done, error=refused)
    make_record(run, "undo_started", actor="", at=at)
    day.runs["stuck"] = run
    return run


def _retrying_order(day: Day, now: datetime) -> None:
    began = now - timedelta(seconds=50)
    run = make_run(day.order, started_at=began, started_by=day.alice, input={"order": {"sku": "lamp", "quantity": 3}})
    make_log(run, "reserve", started_at=began, finished_at=began + timedelta(milliseconds=60))
    make_log(
        run,
        "charge",
        outcome="F",
        final=False,
        started_at=began + timedelta(milliseconds=70),
        finished_at=began + timedelta(seconds=2),
        error={"code": "bank_unreachable", "message": "The bank does not answer."},
    )
    make_token(
        run,
        "charge",
        state="W",
        waiting={"kind": "retry", "text": "retry"},
        wake_at=now + timedelta(seconds=40),
        first_started_at=began + timedelta(milliseconds=70),
    )
    day.runs["retrying"] = run


def _done_leave(day: Day, now: datetime) -> None:
    began = now - timedelta(days=1, hours=2)
    run = make_run(
        day.leave,
        state="succeeded",
        started_at=began,
        started_by=day.alice,
        business_key="LEAVE-2026-117",
        input={"person": "Alan Turing", "days": 1},
        output={"booked": True},
    )
    make_log(run, "check", started_at=began, finished_at=began + timedelta(milliseconds=200))
    closed = began + timedelta(hours=1, minutes=12)
    task = HumanTask.objects.create(
        workspace=day.workspace,
        run=run,
        token_id=0,
        epoch=1,
        step_key="approve",
        state=TaskState.DONE,
        outcome="approved",
        title="Approve 1 day of leave for Alan Turing",
        fields=FIELDS,
        outcomes=OUTCOMES,
        groups=["finance"],
        requester=day.alice,
        opened_at=began + timedelta(seconds=1),
        closed_at=closed,
    )
    make_decision(task, day.bob, values={"days": 1, "paid": True, "cover": "team"}, comment="Enjoy the day.", at=closed)
    make_log(run, "approve", started_at=closed, finished_at=closed + timedelta(milliseconds=15), ports=["approved"])
    make_log(
        run, "book", started_at=closed + timedelta(milliseconds=20), finished_at=closed + timedelta(milliseconds=400)
    )
    Run.objects.filter(pk=run.pk).update(finished_at=closed + timedelta(milliseconds=410))
    day.runs["done"] = run
    day.tasks["done"] = task
