"""`end`: a path stops here, well or badly."""

from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import Effects, Group, StepContext
from orchestrator.core.outcome import Done, Fail
from orchestrator.steps.end.config import EndConfig
from orchestrator.steps.faults import fault
from orchestrator.steps.kind import Kind


class End(Kind[EndConfig]):
    """No arrow leaves it; a failure here is the run's failure."""

    kind = "end"
    group: Group = "flow"
    name = "End"
    description = "Ends this path, or the whole run. It succeeds, or fails with a code."
    icon = "flag"
    config = EndConfig
    effects: Effects = "none"
    literal = ("result", "whole")

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        return ()

    def run(self, config: EndConfig, context: StepContext) -> Done | Fail:
        if config.result == "fail":
            return Fail(fault(config.code, config.message or f"The run was ended with code {config.code}."))
        return Done(None, ports=())
