"""The sample workspace at work, by both drivers."""

from pathlib import Path
from uuid import UUID

import pytest

from orchestrator.core.csv_rows import csv_input
from orchestrator.core.errors import Forbidden
from orchestrator.models import StepLog, UndoItem
from orchestrator.models.workspace import Role
from orchestrator.services.undo import settle_undo
from tests.engine.house import House, leftovers, output
from tests.engine.test_events import publish, waits
from tests.scenarios.conftest import begin, person
from tests.scenarios.driver import decide
from tests.scenarios.sales import add_up, write_sales
from tests.waiting import wait_until

SUPPLIES = {"article": "mug", "quantity": 2, "supplier": "sales@supplier.example", "buyer": "ann@example.org"}


def done(run_id: UUID) -> set[str]:
    """The keys of the steps that succeeded."""
    rows = StepLog.objects.filter(run_id=run_id, outcome="S").values_list("run__version__plan", "node")
    return {plan["keys"][node] for plan, node in rows}


pytestmark = pytest.mark.usefixtures("at_work")


def test_an_order_is_paid_or_apologised_for(samples: House) -> None:
    order = {"customer": "Ann", "email": "ann@example.org", "sku": "mug", "quantity": 2, "amount": 24.5}
    paid = samples.end_of(begin(samples, "order-payment", order), 30)
    refused = samples.end_of(begin(samples, "order-payment", {**order, "card": "declined"}), 30)
    assert paid.state == "succeeded", paid.error
    assert output(paid)["receipt"]
    assert refused.state == "failed"
    assert done(refused.pk) == {"reserve", "release", "sorry"}, "stock is given back and the customer is told"


def test_a_trip_is_booked_or_taken_back(samples: House) -> None:
    wish = {"traveller": "Ann", "email": "ann@example.org", "to": "Lisbon", "amount": 640}
    booked = samples.end_of(begin(samples, "trip-booking", wish), 30)
    refused = samples.end_of(begin(samples, "trip-booking", {**wish, "card": "declined"}), 30)
    assert booked.state == "succeeded", booked.error
    assert refused.state == "undone"
    assert {item.state for item in UndoItem.objects.filter(run=refused)} == {"undone", "not_needed"}
    assert leftovers(refused.pk) == {}


def test_a_flight_that_cannot_be_cancelled_waits_for_a_person(samples: House) -> None:
    wish = {"traveller": "Ann", "email": "ann@example.org", "to": "Lisbon", "amount": 640}
    run = samples.end_of(begin(samples, "trip-booking", {**wish, "card": "declined", "fare": "saver"}), 30)
    assert run.state == "undo_stuck"
    stuck = UndoItem.objects.get(run=run, state="stuck")
    assert stuck.error is not None
    assert stuck.error["code"] == "not_refundable"
    settle_undo(run.pk, stuck.entry, "by_hand", samples.actor, "The airline gave a voucher.")
    assert samples.end_of(run.pk, 30).state == "undone"


def test_a_report_of_ten_thousand_rows_adds_up(samples: House, tmp_path: Path) -> None:
    write_sales(tmp_path / "sales.csv", 10_000)
    approver = person(samples, "ada", Role.APPROVER)
    run_id = begin(samples, "regional-report", csv_input((tmp_path / "sales.csv").read_bytes()))
    decide(run_id, approver, "approved", {"remark": "Well done."})
    run = samples.end_of(run_id, 30)
    assert run.state == "succeeded", run.error
    assert output(run)["rows"] == 10_000
    found = {one["region"]: (one["rows"], one["quantity"], round(one["revenue"], 2)) for one in output(run)["regions"]}
    assert found == {
        region: (rows, quantity, float(revenue))
        for region, (rows, quantity, revenue) in add_up(tmp_path / "sales.csv").items()
    }
    assert output(run)["signed_by"] == "ada"
    assert leftovers(run.pk) == {}


def test_leave_is_granted_by_somebody_else(samples: House) -> None:
    asker, chief = person(samples, "bo", Role.APPROVER, Role.OPERATOR), person(samples, "cy", Role.APPROVER)
    wish = {"employee": "Bo", "email": "bo@example.org", "first_day": "2026-12-01", "days": 5, "kind": "holiday"}
    run_id = begin(samples, "leave-request", wish, asker)
    with pytest.raises(Forbidden) as refused:
        decide(run_id, asker, "approved", {"substitute": "Cy"})
    assert refused.value.error_code == "self_approval"
    decide(run_id, chief, "approved", {"substitute": "Cy"})
    assert samples.end_of(run_id, 30).state == "succeeded"


def answered(samples: House, order: str, status: str, **more: str) -> None:
    data = {"status": status, **more}
    publish(samples, data, type="supplier.answered", key=order, source="/supplier")


def test_a_supplier_confirms_or_refuses(samples: House) -> None:
    good, bad = (begin(samples, "supplier-order", SUPPLIES | {"order": order}) for order in ("PO-1", "PO-2"))
    waits(good)
    waits(bad)
    answered(samples, "PO-1", "seen")  # no answer yet: the wait goes on
    answered(samples, "PO-1", "confirmed", delivery="2026-07-01")
    answered(samples, "PO-2", "refused")
    confirmed, refused = samples.end_of(good, 30), samples.end_of(bad, 30)
    assert confirmed.state == "succeeded", confirmed.error
    assert output(confirmed) == {"confirmed": True, "delivery": "2026-07-01"}
    assert done(good) == {"ask", "answer", "reply", "which", "tell_confirmed"}
    assert (refused.state, refused.error and refused.error["code"]) == ("failed", "order_refused")
    assert leftovers(good) == {}


def test_a_supplier_is_reminded_and_then_given_up(samples: House) -> None:
    late = begin(samples, "supplier-order", SUPPLIES | {"order": "PO-3", "patience": "PT5S"})
    silent = samples.end_of(begin(samples, "supplier-order", SUPPLIES | {"order": "PO-4", "patience": "PT0.5S"}), 30)
    assert (silent.state, silent.error and silent.error["code"]) == ("failed", "no_answer")
    assert done(silent.pk) == {"ask", "remind", "tell_silence"}
    wait_until(lambda: "remind" in done(late), 30, "the supplier to be reminded")
    answered(samples, "PO-3", "confirmed")
    run = samples.end_of(late, 30)
    assert run.state == "succeeded", run.error
    assert done(late) == {"ask", "remind", "late_answer", "reply", "which", "tell_confirmed"}
    assert output(run) == {"confirmed": True, "delivery": None}
