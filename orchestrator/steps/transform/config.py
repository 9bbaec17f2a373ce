from pydantic import Field, JsonValue

from orchestrator.steps.fields import Config, ui


class TransformConfig(Config):
    """One value, usually built from earlier outputs."""

    value: JsonValue = Field(
        json_schema_extra=ui(
            "json", "Value", "What the step gives out. Expressions may stand anywhere inside.", order=1
        )
    )
