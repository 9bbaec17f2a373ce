from typing import Self

from pydantic import AwareDatetime, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.core.durations import parse_duration
from orchestrator.core.errors import BranchlineError
from orchestrator.steps.fields import Config, ui

EITHER = "set either `for` (a duration) or `until` (a moment)"


def seconds_of(text: str) -> float:
    """Seconds of an ISO 8601 duration, as a pydantic validator. Raises `PydanticCustomError` with its code."""
    try:
        return parse_duration(text)
    except BranchlineError as error:
        raise PydanticCustomError(error.error_code, "{text}", {"text": error.message}) from error


class DelayConfig(Config):
    """Either a length or a moment."""

    for_: str | None = Field(
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

    @field_validator("for_")
    @classmethod
    def _is_duration(cls, text: str | None) -> str | None:
        if text is not None:
            seconds_of(text)
        return text
