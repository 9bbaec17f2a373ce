from typing import Literal

from pydantic import Field, field_validator

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT, KEY_PATTERN, TIMEOUT_PORT
from orchestrator.steps.conditions import Condition
from orchestrator.steps.fields import Config, ui

OTHERWISE = "otherwise"
_TAKEN = {DEFAULT_PORT, ERROR_PORT, TIMEOUT_PORT, OTHERWISE}


class Case(Config):
    """One way on, and when it is taken."""

    port: str = Field(
        pattern=f"^{KEY_PATTERN}$",
        json_schema_extra=ui("text", "Port", "The name on the arrow.", order=1, expression=False),
    )
    when: Condition = Field(
        json_schema_extra=ui("condition", "When", "Taken when this is true.", order=2, placeholder="input.amount > 100")
    )


class ChooseConfig(Config):
    """Cases are tested from the first to the last."""

    mode: Literal["exclusive", "inclusive"] = Field(
        default="exclusive",
        json_schema_extra=ui("choice", "Take", "The first true case, or every true case.", order=1, expression=False),
    )
    cases: list[Case] = Field(
        min_length=1,
        max_length=50,
        json_schema_extra=ui("cases", "Cases", "Tested in this order.", order=2, expression=False),
    )

    @field_validator("cases")
    @classmethod
    def _ports_differ(cls, cases: list[Case]) -> list[Case]:
        ports = [case.port for case in cases]
        for port in ports:
            if port in _TAKEN:
                raise ValueError(f'the port name "{port}" has a meaning already; choose another')
            if ports.count(port) > 1:
                raise ValueError(f'two cases are named "{port}"; rename one')
        return cases
