"""`choose`: which way on."""

from collections.abc import Mapping

from orchestrator.core.document import ERROR_PORT
from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import Effects, Group, StepContext
from orchestrator.core.outcome import Done, Fail, Retry
from orchestrator.steps.choose.config import OTHERWISE, Case, ChooseConfig
from orchestrator.steps.conditions import holds
from orchestrator.steps.faults import not_evaluated
from orchestrator.steps.kind import Kind


class Choose(Kind[ChooseConfig]):
    """Conditions are evaluated here, one by one, so that a later case may rely on an earlier one being false."""

    kind = "choose"
    group: Group = "flow"
    name = "Choose"
    description = "Takes the first true case, or every true case; otherwise the port `otherwise`."
    icon = "split"
    config = ChooseConfig
    effects: Effects = "none"
    ports_from: str | None = "cases"
    lazy: tuple[str, ...] = ("cases.*.when",)
    literal = ("mode", "cases", "cases.*", "cases.*.port")

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        cases = config.get("cases")
        cases = cases if isinstance(cases, list | tuple) else ()
        named = [case.get("port") for case in cases if isinstance(case, Mapping)]
        return (*dict.fromkeys(port for port in named if isinstance(port, str)), OTHERWISE, ERROR_PORT)

    def run(self, config: ChooseConfig, context: StepContext) -> Done | Fail | Retry:
        ports: list[str] = []
        for case in config.cases:
            try:
                is_true = holds(case.when, context.sandbox, context.roots)
            except ExpressionFailed as error:
                return _failed(case, error)
            if is_true:
                ports.append(case.port)
                if config.mode == "exclusive":
                    break
        ports = ports or [OTHERWISE]
        return Done({"ports": ports}, ports=tuple(ports))


def _failed(case: Case, error: ExpressionFailed) -> Fail | Retry:
    return not_evaluated(error, f'Case "{case.port}": ', {"case": case.port})
