from typing import Literal

from pydantic import Field

from orchestrator.core.document import KEY_PATTERN
from orchestrator.steps.fields import Config, ui


class ScopeConfig(Config):
    """What a failure inside means."""

    on_failure: Literal["fail", "undo", "continue"] = Field(
        default="fail",
        json_schema_extra=ui(
            "choice",
            "On failure",
            "fail: the scope fails. undo: what happened inside is undone first. continue: go on with what there is.",
            order=1,
            expression=False,
        ),
    )
    lock: str | None = Field(
        default=None,
        pattern=f"^{KEY_PATTERN}$",
        json_schema_extra=ui(
            "text",
            "Lock",
            "Of the scopes with the same lock, one is open in a run at a time; the others wait for their turn.",
            order=2,
            expression=False,
        ),
    )
