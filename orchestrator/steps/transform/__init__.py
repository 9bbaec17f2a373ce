"""`transform`: give out a value made of earlier ones."""

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT
from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import Effects, Group, StepContext
from orchestrator.core.outcome import Done
from orchestrator.steps.kind import Kind
from orchestrator.steps.transform.config import TransformConfig


class Transform(Kind[TransformConfig]):
    """Its work is done when the config is evaluated."""

    kind = "transform"
    group: Group = "do"
    name = "Transform"
    description = "Builds a value from the input and earlier outputs."
    icon = "braces"
    config = TransformConfig
    effects: Effects = "none"

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        return (DEFAULT_PORT, ERROR_PORT)

    def run(self, config: TransformConfig, context: StepContext) -> Done:
        return Done(config.value)
