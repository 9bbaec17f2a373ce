from typing import Literal

from pydantic import Field

from orchestrator.steps.fields import Config, ui


class EndConfig(Config):
    """How the run ends here."""

    result: Literal["succeed", "fail"] = Field(
        default="succeed",
        json_schema_extra=ui("choice", "Result", "Failing ends the run as failed.", order=1, expression=False),
    )
    code: str = Field(
        default="ended",
        max_length=64,
        json_schema_extra=ui("text", "Code", "For machines; kept with a failure.", order=2, placeholder="out_of_stock"),
    )
    message: str = Field(
        default="",
        max_length=2_000,
        json_schema_extra=ui("long_text", "Message", "For people; kept with a failure.", order=3),
    )
    whole: bool = Field(
        default=False,
        json_schema_extra=ui(
            "toggle", "End the whole run", "At once: everything else in it is cancelled.", order=4, expression=False
        ),
    )
