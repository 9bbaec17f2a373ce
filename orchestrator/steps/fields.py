"""How a config field is shown in the inspector: `x-ui` beside the JSON Schema of the same field."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Widget = Literal[
    "text",
    "long_text",
    "code",
    "number",
    "toggle",
    "choice",
    "condition",
    "duration",
    "map",
    "object",
    "list",
    "json",
    "cases",
    "fields",
    "outcomes",
    "assignees",
    "function",
    "arguments",
    "workflow",
]


class Config(BaseModel):
    """A step's config: unknown keys are refused, values never change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def ui(widget: Widget, label: str, help: str = "", **more: Any) -> dict[str, Any]:
    """`json_schema_extra` of a field. `expression=False` where the drawing itself depends on the value."""
    shown: dict[str, Any] = {"widget": widget, "label": label, "help": help, **more}
    return {"x-ui": {name: value for name, value in shown.items() if value != ""}}
