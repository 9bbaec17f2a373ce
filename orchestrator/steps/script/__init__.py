"""`script`: Python typed in the browser, run in the sandbox."""

from collections import ChainMap

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.kinds import Effects, Group, StepContext
from orchestrator.core.outcome import Done, Fail, Retry, TimedOut
from orchestrator.steps.faults import fault, not_evaluated
from orchestrator.steps.kind import Kind
from orchestrator.steps.script.config import ScriptConfig


class Script(Kind[ScriptConfig]):
    """The step's timeout is the script's time limit."""

    kind = "script"
    group: Group = "do"
    name = "Script"
    description = "Runs a few lines of Python in the sandbox: no files, no network, bounded time and memory."
    icon = "square-terminal"
    config = ScriptConfig
    effects: Effects = "none"
    literal = ("code",)
    default_timeout = 5.0

    def run(self, config: ScriptConfig, context: StepContext) -> Done | Fail | Retry | TimedOut:
        # A chain, not a copy: a root that is costly to read is read only where the script names it.
        roots = ChainMap({"arguments": config.arguments}, context.roots)  # type: ignore[arg-type]  # written to nowhere
        try:
            value = context.sandbox.script(config.code, roots, seconds=context.timeout, log=context.log.info)
        except ExpressionFailed as error:
            if error.error_code == "expression_timeout":
                return TimedOut(fault(error.error_code, error.message))
            return not_evaluated(error)
        return Done(value)
