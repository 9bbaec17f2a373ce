"""Cursor pages: a list is read onward from its last row, never by counting past rows.

The cursor holds the last row's ordering values. It names only rows that the filter of the queryset admits, so a
forged one shows nothing that the list itself would not.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.db.models import Q, QuerySet

from orchestrator.core.errors import BranchlineError
from orchestrator.core.json_types import Json

MOST = 200
USUAL = 50
LONGEST_CURSOR = 1_000  # characters

Row = TypeVar("Row", bound=models.Model)


class CursorInvalid(BranchlineError):
    """The cursor was not made by this list."""

    code = "cursor_invalid"


class LimitInvalid(BranchlineError):
    """The asked page size is no positive whole number."""

    code = "limit_invalid"


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, and the cursor of what follows them (None at the end)."""

    items: Sequence[Row]
    next: str | None

    def body(self, show: Callable[[Row], Json | Mapping[str, Any]]) -> dict[str, Any]:
        """The JSON form of a list in the API: `{"items": [...], "next": cursor or null}`."""
        return {"items": [show(item) for item in self.items], "next": self.next}


def page_of(rows: QuerySet[Row], parameters: Mapping[str, str], *, order: Sequence[str] = ("-pk",)) -> Page[Row]:
    """The page that `cursor` and `limit` of the query parameters ask for; `limit` is cut to 200.

    `order` names fields (with "-" for descending) that together are unique and not null; the last is the key.
    Raises CursorInvalid or LimitInvalid.
    """
    size = page_size(parameters.get("limit", ""))
    ordered = rows.order_by(*order)
    if cursor := parameters.get("cursor", ""):
        ordered = ordered.filter(after(rows.model, order, cursor))
    found = list(ordered[: size + 1])
    items = found[:size]
    return Page(items, encode(items[-1], order) if len(found) > size else None)


def page_size(text: str) -> int:
    """The asked size within 1 to 200. Raises LimitInvalid."""
    if not text:
        return USUAL
    if not (text.isascii() and text.isdecimal()) or not text.strip("0"):
        raise LimitInvalid(f'"limit" is "{text[:40]}". Give a whole number from 1 to {MOST}.')
    return min(int(text[:6]), MOST)


def encode(row: models.Model, order: Sequence[str]) -> str:
    """The row's place in the list, as opaque text."""
    values = [column(type(row), name).value_to_string(row) for name in order]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def after(model: type[models.Model], order: Sequence[str], cursor: str) -> Q:
    """What follows the cursor's row: (a, b) > (x, y) written as a >= x and (a > x or (a = x and b > y)).

    By the first part an index is entered where the page begins.
    """
    condition, same = Q(), Q()
    values = decode(model, order, cursor)
    for name, value in zip(order, values, strict=True):
        field = name.lstrip("-")
        beyond = "lt" if name.startswith("-") else "gt"
        condition |= same & Q(**{f"{field}__{beyond}": value})
        same &= Q(**{field: value})
    first = order[0]
    return Q(**{f"{first.lstrip('-')}__{'lte' if first.startswith('-') else 'gte'}": values[0]}) & condition


def decode(model: type[models.Model], order: Sequence[str], cursor: str) -> list[Any]:
    """The ordering values a cursor holds. Raises CursorInvalid."""
    refusal = CursorInvalid("The cursor was not made by this list. Start again without one.")
    if len(cursor) > LONGEST_CURSOR:
        raise refusal
    try:
        values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(values, list) or len(values) != len(order):
            raise refusal
        return [parsed(column(model, name), value) for name, value in zip(order, values, strict=True)]
    except (ValueError, RecursionError, binascii.Error, ValidationError, TypeError) as error:
        raise refusal from error


def parsed(field: "models.Field[Any, Any]", value: Json) -> Any:
    """The value as the field holds it. Raises ValidationError when it cannot hold it."""
    if not isinstance(value, str) or "\x00" in value:
        raise ValidationError("not a value of this field")
    return field.clean(value, None) if not field.null else field.to_python(value)


def column(model: type[models.Model], name: str) -> "models.Field[Any, Any]":
    bare = name.lstrip("-")
    field = model._meta.pk if bare == "pk" else model._meta.get_field(bare)
    if not isinstance(field, models.Field):
        raise FieldDoesNotExist(bare)
    return field
