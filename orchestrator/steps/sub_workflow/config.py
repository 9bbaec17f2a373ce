from pydantic import Field, JsonValue

from orchestrator.steps.fields import Config, ui
from orchestrator.steps.numbers import OptionalWholeNumber


class SubWorkflowConfig(Config):
    """Which workflow, in which version, with what."""

    workflow: str = Field(
        min_length=1,
        max_length=63,
        json_schema_extra=ui("workflow", "Workflow", "Its short name in this workspace.", order=1),
    )
    version: OptionalWholeNumber = Field(
        default=None,
        ge=1,
        json_schema_extra=ui("number", "Version", "The live one at that moment, when empty.", order=2),
    )
    input: JsonValue = Field(
        default={}, json_schema_extra=ui("map", "Input", "What the other workflow is given.", order=3)
    )
