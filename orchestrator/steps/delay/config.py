from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from orchestrator.steps.durations import Duration
from orchestrator.steps.fields import Config, ui

EITHER = "set either `for` (a duration) or `until` (a moment)"


class DelayConfig(Config):
    """Either a length or a moment."""

    for_: Duration | None = Field(
        default=None,
        alias="for",
        json_schema_extra=ui("duration", "For", "How long to wait.", order=1, placeholder="PT10M"),
    )
    until: AwareDatetime | None = Field(
        default=None,
        json_schema_extra=ui(
            "text",
            "Until",
            "A moment with its zone. One that has passed does not wait.",
            order=2,
            placeholder="2026-03-31T09:00:00+02:00",
        ),
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.for_ is None) == (self.until is None):
            raise ValueError(EITHER)
        return self
