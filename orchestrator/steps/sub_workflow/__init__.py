"""`sub_workflow`: another workflow as one step."""

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT, SUB_WORKFLOW, TIMEOUT_PORT
from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import Group, Resumed, StepContext
from orchestrator.core.outcome import Child, Done, Fail, TimedOut
from orchestrator.steps.faults import fault, passed_on
from orchestrator.steps.kind import Kind
from orchestrator.steps.sub_workflow.config import SubWorkflowConfig


class SubWorkflow(Kind[SubWorkflowConfig]):
    """The version is chosen when the step begins and stays. Its output is the child's; so is its failure."""

    kind = SUB_WORKFLOW
    group: Group = "flow"
    name = "Sub-workflow"
    description = "Runs another workflow of this workspace and waits for its end."
    icon = "workflow"
    config = SubWorkflowConfig

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        return (DEFAULT_PORT, ERROR_PORT, TIMEOUT_PORT)

    def run(self, config: SubWorkflowConfig, context: StepContext) -> Child:
        return Child(workflow=config.workflow, version=config.version, input=config.input)

    def resume(self, config: SubWorkflowConfig, context: StepContext, resumed: Resumed) -> Done | Fail | TimedOut:
        if resumed.signal is None:
            message = f'Workflow "{config.workflow}" took longer than the time-out of {context.step_title} allows.'
            return TimedOut(fault("timeout", message), final=True)
        if resumed.fault is None:
            return Done(resumed.body)
        return Fail(passed_on(resumed.fault, f'workflow "{config.workflow}"'))
