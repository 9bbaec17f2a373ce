import math
from collections.abc import Sequence

from pydantic import Field, JsonValue, PrivateAttr

from orchestrator.core.document import MAX_ITEMS
from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.json_types import Json
from orchestrator.core.shares import share
from orchestrator.steps.fields import Config, ui
from orchestrator.steps.numbers import OptionalNumber, OptionalWholeNumber


class Tolerate(Config):
    """How many items may fail before all of it does."""

    count: OptionalWholeNumber = Field(
        default=None, ge=0, le=MAX_ITEMS, json_schema_extra=ui("number", "Items", "As a number.", order=1)
    )
    percent: OptionalNumber = Field(
        default=None, ge=0, le=100, json_schema_extra=ui("number", "Percent", "As a share of all items.", order=2)
    )

    def of(self, total: int) -> int:
        """The number of items out of `total` that may fail: the larger of both."""
        return max(self.count or 0, math.floor(share(total, self.percent or 0)))


class Enough(Config):
    """How many items must succeed before the rest is not needed any more."""

    count: OptionalWholeNumber = Field(
        default=None, ge=1, le=MAX_ITEMS, json_schema_extra=ui("number", "Items", "As a number.", order=1)
    )
    percent: OptionalNumber = Field(
        default=None, gt=0, le=100, json_schema_extra=ui("number", "Percent", "As a share of all items.", order=2)
    )

    def of(self, total: int) -> int | None:
        """The number of items out of `total` that are enough: the smaller of both, none without either."""
        part = None if self.percent is None else max(1, math.ceil(share(total, self.percent)))
        return min((number for number in (self.count, part) if number is not None), default=None)


class ForEachConfig(Config):
    """What to go through, how many at a time, how much failure is bearable."""

    items: list[JsonValue] = Field(
        max_length=MAX_ITEMS,
        json_schema_extra=ui(
            "json", "Items", "A list; each item is `item` inside.", order=1, placeholder="input.orders"
        ),
    )
    parallel: OptionalWholeNumber = Field(
        default=None,
        ge=1,
        le=10_000,
        json_schema_extra=ui("number", "At a time", "No more items than this are under way at once.", order=2),
    )
    tolerate: Tolerate = Field(
        default=Tolerate(),
        json_schema_extra=ui("object", "Tolerated failures", "The larger of both holds.", order=3, expression=False),
    )
    enough: Enough = Field(
        default=Enough(),
        json_schema_extra=ui(
            "json",
            "Enough",
            'As {"count": 3} or {"percent": 50}: when so many succeeded, the rest is cancelled.',
            order=4,
        ),
    )
    #: In the place of `items`: the outputs of an earlier for-each, not read yet.
    _outputs: ItemOutputs | None = PrivateAttr(default=None)

    def over(self, outputs: ItemOutputs) -> "ForEachConfig":
        """The same for those outputs."""
        self._outputs = outputs
        return self

    @property
    def all_items(self) -> Sequence[Json]:
        """What to go through."""
        return self.items if self._outputs is None else self._outputs
