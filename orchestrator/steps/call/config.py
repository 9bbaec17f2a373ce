from pydantic import Field, JsonValue

from orchestrator.steps.fields import Config, ui


class CallConfig(Config):
    """Which function, with what."""

    function: str = Field(
        min_length=1,
        max_length=200,
        json_schema_extra=ui(
            "function", "Function", "A Python function registered by @step.", order=1, expression=False
        ),
    )
    arguments: dict[str, JsonValue] = Field(
        default_factory=dict, json_schema_extra=ui("arguments", "Arguments", order=2)
    )
