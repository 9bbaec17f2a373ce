"""One workspace with a task, who asked for it and who may decide it."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.core.errors import BranchlineError
from orchestrator.models import HumanTask, User
from orchestrator.models.ballot import digest_of
from orchestrator.services import task_rows, tasks
from orchestrator.services.tasks import decide_task
from tests.factories import actor_of, make_member, make_workspace
from tests.run_factories import drawn, make_run, make_task, make_version, make_workflow

OUTCOMES = [{"key": "approved", "label": "Approve"}, {"key": "rejected", "label": "Reject"}]
DRAWING = drawn("ask.approved -> go", "ask.rejected -> stop", steps={"ask": {"kind": "human_task"}})


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Queues that were told to look, instead of a broker."""
    queues: list[str] = []
    for module in (tasks, task_rows):
        monkeypatch.setattr(module.dispatch, "wake", lambda queue, *_: queues.append(queue))
        monkeypatch.setattr(module.dispatch, "announce", lambda *_, **__: None)
        monkeypatch.setattr(module.dispatch, "notify", lambda: None)
    return queues


class House:
    """One workspace with a requester, an editor who published, and approvers."""

    def __init__(self) -> None:
        self.workspace = make_workspace()
        self.requester = make_member(self.workspace, "operator", "approver")
        self.publisher = make_member(self.workspace, "editor", "approver")
        self.bob = make_member(self.workspace, "approver", groups=["finance"])
        self.version = make_version(make_workflow(self.workspace), DRAWING, by=self.publisher)

    def task(self, **fields: object) -> HumanTask:
        run = make_run(self.version, started_by=self.requester)
        return make_task(run, "ask", **{"outcomes": OUTCOMES, "requester": self.requester, **fields})

    def decide(self, task: HumanTask, user: User, *, outcome: str = "approved", digest: str = "", **more: Any):
        return decide_task(
            task_id=task.pk,
            actor=actor_of(self.workspace, user),
            outcome=outcome,
            values=more.pop("values", {}),
            digest=digest or digest_of(task),
            **more,
        )


@pytest.fixture
def house(db: None) -> House:
    return House()


def code_of(attempt: Callable[[], object]) -> str:
    """The code of the refusal; the attempt must be refused."""
    with pytest.raises(BranchlineError) as refusal:
        attempt()
    return refusal.value.error_code
