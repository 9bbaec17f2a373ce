from collections.abc import Callable

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from orchestrator.core.errors import BranchlineError
from orchestrator.core.event_names import event_key, event_type
from orchestrator.core.json_types import Json
from orchestrator.steps.conditions import OptionalCondition
from orchestrator.steps.durations import Duration
from orchestrator.steps.fields import Config, ui


class WaitEventConfig(Config):
    """Which event, and how long it is waited for."""

    type: str = Field(
        json_schema_extra=ui(
            "text", "Event type", "What happened, as its sender calls it.", order=1, placeholder="order.paid"
        )
    )
    key: str | None = Field(
        default=None,
        json_schema_extra=ui(
            "text", "Event key", "What it is about, like the number of an order. Empty: events of any key.", order=2
        ),
    )
    where: OptionalCondition = Field(
        default=None,
        json_schema_extra=ui(
            "condition",
            "Where",
            "Only an event for which this is true; others are passed over.",
            order=3,
            placeholder="event.data.amount > 100",
        ),
    )
    deadline: Duration | None = Field(
        default=None,
        json_schema_extra=ui("duration", "Deadline", "Then the port `timeout` is taken.", order=4, placeholder="P2D"),
    )
    look_back: Duration | None = Field(
        default=None,
        json_schema_extra=ui(
            "duration",
            "Look back",
            "How old an event may be when the wait begins. Empty: as old as the run, or the one at the top. "
            "Zero: only new ones.",
            order=5,
            placeholder="PT1H",
        ),
    )

    @field_validator("type", mode="before")
    @classmethod
    def _is_type(cls, value: Json) -> str:
        return _checked(event_type, value)

    @field_validator("key", mode="before")
    @classmethod
    def _is_key(cls, value: Json) -> str:
        if value is None:  # an expression that gave nothing must not mean "any key"
            text = "the key is null. Read another value, or remove the key to wait for events of any key"
            raise PydanticCustomError("event_key_invalid", "{text}", {"text": text})
        return _checked(event_key, value)


def _checked(rule: Callable[[Json], str], value: Json) -> str:
    try:
        return rule(value)
    except BranchlineError as error:
        raise PydanticCustomError(error.error_code, "{text}", {"text": error.message}) from error
