"""What the sample workflows call: a shop, a journey, a report, and arithmetic. Nothing here leaves the process."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from orchestrator.steps import Permanent, StepContext, step

Quantity = Annotated[int, Field(ge=1, le=1_000)]
Amount = Annotated[float, Field(ge=0)]


class Row(BaseModel):
    """One sale."""

    region: str
    amount: float
    quantity: int = 1


class Summary(BaseModel):
    """What a region sold."""

    region: str
    rows: int
    quantity: int
    total: float
    mean: float


Fare = Literal["flexible", "saver"]


class Booking(BaseModel):
    """A hotel or a flight that was booked."""

    id: str
    what: Literal["hotel", "flight"]
    to: str
    fare: Fare = "flexible"


@step("shop.reserve")
def reserve(context: StepContext, sku: str, quantity: Quantity = 1) -> dict[str, object]:
    """Reserve items of the stock."""
    if sku.startswith("sold-out"):
        raise Permanent("out_of_stock", f"There are not {quantity} of {sku} left.", {"sku": sku})
    return {"id": _number("reservation", context), "sku": sku, "quantity": quantity}


@step("shop.charge")
def charge(
    context: StepContext, amount: Amount, card: str = "visa-4242", currency: str = "EUR", limit: Amount = 10_000
) -> dict[str, object]:
    """Charge a card. A card named "declined", or an amount over the limit, is refused."""
    if card == "declined" or amount > limit:
        raise Permanent(
            "card_declined", f"The card refused {amount:.2f} {currency}.", {"amount": amount, "currency": currency}
        )
    return {"id": _number("charge", context), "amount": amount, "currency": currency}


@step("shop.apologise")
def apologise(name: str, reason: str = "") -> dict[str, object]:
    """Write the letter that goes out when an order fails."""
    because = f" ({reason})" if reason else ""
    return {"text": f"Dear {name}, we are sorry: your order could not be completed{because}."}


@step("shop.release")
def release(id: str) -> dict[str, object]:
    """Give reserved items back to the stock."""
    return {"id": id, "released": True}


@step("shop.refund")
def refund(id: str, amount: Amount | None = None) -> dict[str, object]:
    """Pay a charge back."""
    return {"id": id, "refunded": True, "amount": amount}


@step("travel.book")
def book_travel(context: StepContext, what: Literal["hotel", "flight"], to: str, fare: Fare = "flexible") -> Booking:
    """Book a hotel or a flight. A place that starts with "nowhere" has none."""
    if to.startswith("nowhere"):
        raise Permanent("none_left", f"There is no {what} to {to}.", {"to": to})
    return Booking(id=_number(what, context), what=what, to=to, fare=fare)


@step("travel.cancel")
def cancel_travel(booking: Booking) -> dict[str, object]:
    """Cancel a booking. Flights of the fare "saver" cannot be cancelled."""
    if booking.what == "flight" and booking.fare == "saver":
        raise Permanent("not_refundable", f"The airline does not take back {booking.id}: its fare is saver.")
    return {"id": booking.id, "cancelled": True}


@step("reports.parse", effects="none")
def parse(text: str, separator: Literal[",", ";", "\t"] = ",") -> list[Row]:
    """Read lines of region, amount, quantity. The first line names the columns."""
    header, *lines = [line.split(separator) for line in text.strip().splitlines() if line.strip()] or [[]]
    names = [name.strip().lower() for name in header]
    if "region" not in names or "amount" not in names:
        raise Permanent("report_invalid", "The first line must name the columns region and amount.")
    rows = [dict(zip(names, (cell.strip() for cell in line), strict=False)) for line in lines]
    try:
        return [Row.model_validate(row) for row in rows]
    except ValueError as error:
        raise Permanent("report_invalid", "A line does not hold a region and a number.") from error


@step("reports.summarise_region", effects="none")
def summarise_region(rows: Sequence[Row], region: str) -> Summary:
    """Add up the rows of one region."""
    own = [row for row in rows if row.region == region]
    total = sum(row.amount for row in own)
    return Summary(
        region=region,
        rows=len(own),
        quantity=sum(row.quantity for row in own),
        total=round(total, 2),
        mean=round(total / len(own), 2) if own else 0.0,
    )


class Sale(BaseModel):
    """One line of a sales file; CSV cells are text, so numbers are read from text too."""

    product: str
    quantity: int = Field(ge=0)
    price: Decimal = Field(ge=0)


class RegionRows(BaseModel):
    """The lines of one region."""

    region: str
    rows: Sequence[Sale]


class RegionTotals(BaseModel):
    """What a region sold; money is added up exactly and rounded once, at the end."""

    region: str
    rows: int
    quantity: int
    revenue: float
    products: dict[str, float]


@step("reports.totals", effects="none")
def totals(regions: Sequence[RegionRows]) -> list[RegionTotals]:
    """Add up quantity and revenue (quantity times price) of each region, in all and by product."""
    return [_totals(part) for part in regions]


def _totals(part: RegionRows) -> RegionTotals:
    products: dict[str, Decimal] = {}
    for sale in part.rows:
        products[sale.product] = products.get(sale.product, Decimal(0)) + sale.quantity * sale.price
    return RegionTotals(
        region=part.region,
        rows=len(part.rows),
        quantity=sum(sale.quantity for sale in part.rows),
        revenue=_money(sum(products.values(), Decimal(0))),
        products={name: _money(revenue) for name, revenue in sorted(products.items())},
    )


def _money(amount: Decimal) -> float:
    return float(amount.quantize(Decimal("0.01")))


@step("leave.book")
def book_leave(
    context: StepContext, employee: str, first_day: date, days: Annotated[int, Field(ge=1, le=365)]
) -> dict[str, object]:
    """Enter a leave into the calendar."""
    return {"id": _number("leave", context), "employee": employee, "from": first_day.isoformat(), "days": days}


@step("demo.fibonacci", effects="none")
def fibonacci(n: Annotated[int, Field(ge=0, le=40)]) -> int:
    """Compute a Fibonacci number the slow way, to have something that takes time."""
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def _number(prefix: str, context: StepContext) -> str:
    # Made from the idempotency key: trying again gives the same number, as a real shop would.
    return f"{prefix}-{sha256(context.idempotency_key.encode()).hexdigest()[:12]}"
