from typing import Self

from pydantic import Field, model_validator

from orchestrator.core.document import MAX_ITEMS
from orchestrator.steps.conditions import OptionalCondition
from orchestrator.steps.fields import Config, ui
from orchestrator.steps.numbers import WholeNumber

EITHER = "set either `until` (tested after a turn) or `while` (tested before one)"


class RepeatConfig(Config):
    """When to stop, and the most turns there may be."""

    until: OptionalCondition = Field(
        default=None,
        json_schema_extra=ui(
            "condition", "Until", "Tested after each turn: stop when true.", order=1, placeholder="last.done"
        ),
    )
    while_: OptionalCondition = Field(
        default=None,
        alias="while",
        json_schema_extra=ui("condition", "While", "Tested before each turn: go on while true.", order=2),
    )
    turns: WholeNumber = Field(
        ge=1,
        le=MAX_ITEMS,
        json_schema_extra=ui("number", "Most turns", "One more, and the step fails.", order=3, expression=False),
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.until is None) == (self.while_ is None):
            raise ValueError(EITHER)
        return self
