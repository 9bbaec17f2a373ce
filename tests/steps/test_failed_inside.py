"""A failure on its way out of containers and sub-workflows: each says where, and nobody cuts off why."""

from orchestrator.core.kinds import Resumed
from orchestrator.core.outcome import Fail, StepFault
from orchestrator.steps import KINDS
from orchestrator.steps.containers import failed_inside
from orchestrator.steps.faults import LONGEST_MESSAGE, passed_on
from tests.steps.context import NOW, Context

SLUG = "a" * 63
WHY = "x" * (LONGEST_MESSAGE - len("the bank refused")) + "the bank refused"


def test_what_the_innermost_said_is_whole_after_eight_sub_workflows() -> None:
    inner = StepFault(code="refused", message=WHY)
    kind = KINDS["sub_workflow"]
    config = kind.build({"workflow": SLUG, "input": {}})
    for _ in range(8):
        ended = Resumed(signal={"state": "failed"}, memo=None, waited_since=NOW, now=NOW, fault=inner)
        told = kind.resume(config, Context(), ended)
        assert isinstance(told, Fail)
        inner = told.fault
    assert inner.code == "refused"
    assert inner.message == f'Workflow "{SLUG}" (8 times, one in the other) failed: {WHY}'


def test_workflows_that_start_one_another_are_told_once() -> None:
    inner = StepFault(code="subworkflow_depth", message="Too deep.")
    for slug in ("b", "a", "b", "a", "b", "top"):
        inner = passed_on(inner, f'workflow "{slug}"')
    assert inner.message == (
        'Workflow "top" > workflow "b" > workflow "a" (2 times, one in the other) > workflow "b" failed: Too deep.'
    )
    assert inner.details["failed_in"] == [f'workflow "{slug}"' for slug in ("top", "b", "a", "b", "a", "b")]


def test_what_a_step_says_of_itself_is_no_way() -> None:
    inner = StepFault(code="refused", message='Workflow "x" failed: so it said.', details={"failed_in": 7})
    assert passed_on(inner, 'workflow "a"').message == 'Workflow "a" failed: Workflow "x" failed: so it said.'


def test_one_cause_through_workflows_and_containers() -> None:
    inner = StepFault(code="refused", message="No money.", details={"step": "charge", "name": "Charge the card"})
    inner = failed_inside(inner).fault
    assert inner.message == 'Step "Charge the card" (charge) inside failed: No money.'
    inner = passed_on(inner, 'workflow "pay"')
    assert inner.message == 'Workflow "pay" > step "Charge the card" (charge) inside failed: No money.'


def test_and_after_eight_containers() -> None:
    inner = StepFault(code="refused", message=WHY, details={"step": SLUG})
    for _ in range(8):
        inner = failed_inside(inner).fault
    assert inner.message.endswith(WHY)


def test_and_after_a_for_each() -> None:
    kind, inner = KINDS["for_each"], StepFault(code="refused", message=WHY, details={"step": SLUG})
    ended = Resumed(signal={"fail": 1, "total": 2}, memo=None, waited_since=NOW, now=NOW, fault=inner)
    told = kind.resume(kind.build({"items": [1, 2]}), Context(), ended)
    assert isinstance(told, Fail)
    assert told.fault.message.endswith(f'The first: Step "{SLUG}" inside failed: {WHY}')


def test_there_is_an_end_to_it() -> None:
    inner = StepFault(code="refused", message=WHY, details={"step": SLUG})
    for _ in range(500):
        inner = failed_inside(inner).fault
    assert len(inner.message) < 20_000
