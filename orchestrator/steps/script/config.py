from pydantic import Field, JsonValue

from orchestrator.core.syntax import LONGEST_SCRIPT
from orchestrator.steps.fields import Config, ui


class ScriptConfig(Config):
    """Python that runs in the sandbox."""

    code: str = Field(
        min_length=1,
        max_length=LONGEST_SCRIPT,
        json_schema_extra=ui(
            "code",
            "Code",
            "The value of the last line is the output. print() writes to the step's log.",
            order=1,
            language="python",
            expression=False,
        ),
    )
    arguments: dict[str, JsonValue] = Field(
        default_factory=dict,
        json_schema_extra=ui("map", "Arguments", "Read in the code as arguments.name.", order=2),
    )
