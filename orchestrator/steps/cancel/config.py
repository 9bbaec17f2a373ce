from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from orchestrator.core.document import KEY_PATTERN
from orchestrator.steps.fields import Config, ui

Key = Annotated[str, StringConstraints(pattern=f"^{KEY_PATTERN}$")]


class CancelConfig(Config):
    """Whom to cancel."""

    steps: list[Key] = Field(
        default_factory=list,
        max_length=200,
        json_schema_extra=ui("list", "Steps", "Their keys. They lie beside this step.", order=1, expression=False),
    )
    region: Key | None = Field(
        default=None,
        json_schema_extra=ui("text", "Region", "All steps of this region.", order=2, expression=False),
    )
    as_: Literal["cancelled", "complete"] = Field(
        default="cancelled",
        alias="as",
        json_schema_extra=ui(
            "choice",
            "They end as",
            "cancelled: nothing follows from them. complete: a For each goes on with the items it has.",
            order=3,
            expression=False,
        ),
    )

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.steps and self.region is None:
            raise ValueError("name the `steps` to cancel, or a `region`")
        return self
