"""Which ends need no flush of their own, and that everything else has one."""

import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from orchestrator.core.compile import compile_plan
from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import Effects
from orchestrator.core.outcome import Done, Fail, StepFault
from orchestrator.core.parse import parse_document
from orchestrator.core.settle import Tries, settle
from orchestrator.engine import statements
from orchestrator.engine.ahead import is_repeatable
from orchestrator.engine.committer import Committer, _Entry
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import HumanTask, StepLog
from orchestrator.models.ballot import digest_of
from orchestrator.services.tasks import decide_task
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.engine.house import House, make_tools, worker_at_work
from tests.engine.kinds import Told, kinds
from tests.engine.rows import claim, own_connection
from tests.factories import actor_of, make_member
from tests.waiting import wait_until

ASK = {"title": "Go on?", "outcomes": [{"key": "yes", "label": "Yes"}]}
ASKING = document([step("ask", "human_task", config=ASK), step("b")], "ask.yes > b")
YES = Done({"outcome": "yes"}, ports=("yes",))


class Acts(Told):
    """Has effects, so it never begins ahead of a commit."""

    def effects_of(self, config: JsonObject) -> Effects:
        return "external"


def end_of(kind: str, outcome: Any, **lease: Any) -> bool:
    plan = compile_plan(parse_document(ASKING), KINDS)
    settled = settle(plan, 0, outcome, Tries(attempt=1, spent=0.0, draw=0.5))
    known = {"phase": 1, "signal": {"outcome": "yes"}, "node": 0, **lease}
    return is_repeatable(SimpleNamespace(**known), SimpleNamespace(kind=KINDS[kind]), settled)  # type: ignore[arg-type]


def test_a_decided_task_that_goes_on_is_repeatable() -> None:
    assert end_of("human_task", YES)


@pytest.mark.parametrize(
    ("kind", "outcome", "lease"),
    [
        ("delay", YES, {}),  # its output holds the time
        ("human_task", YES, {"phase": 0}),  # has just opened
        ("human_task", YES, {"signal": None}),  # its due date passed
        ("human_task", Fail(StepFault(code="x", message="x")), {}),  # ends the run
    ],
)
def test_nothing_else_is(kind: str, outcome: Any, lease: dict[str, Any]) -> None:
    assert not end_of(kind, outcome, **lease)


def test_only_kinds_that_say_so_resume_alike() -> None:
    assert {name for name, kind in KINDS.items() if kind.resumes_alike} == {"human_task", "wait_event"}


def test_the_statement_waits_for_no_flush_and_changes_nothing_else(house: House) -> None:
    house.start(house.publish(document([step("a"), step("b")], "a > b")))
    (lease,) = claim(1)
    item = json.dumps([{"t": lease["id"], "e": lease["epoch"], "n": lease["node"], "then": "back"}])
    with own_connection() as connection, connection.transaction():
        asked = connection.execute(statements.ADVANCE_SOON, (1, item)).fetchall()
        told = connection.execute("SHOW synchronous_commit").fetchall()
    assert [row["status"] for row in asked if row["token_id"] == lease["id"]] == ["back"]
    assert told == [{"synchronous_commit": "off"}]


@pytest.mark.parametrize(("soon", "flushed"), [([True, True], False), ([True, False], True), ([False], True)])
def test_what_shares_a_commit_is_flushed_for_those_who_need_it(soon: list[bool], flushed: bool) -> None:
    committer = Committer(1, lambda queues: None)
    called: list[bool] = []

    def ask(statement: str, text: str) -> list[Any]:
        called.append(statement == statements.ADVANCE)
        return [{"token_id": item["t"], "status": "moved"} for item in json.loads(text)]

    with patch.object(committer, "_ask", ask):
        committer._commit([_Entry({"t": number}, soon=wish) for number, wish in enumerate(soon)])
    assert called == [flushed]


def test_a_worker_that_ends_a_decided_step_begins_the_next_without_a_flush(house: House, sandbox: Sandbox) -> None:
    asked: list[str] = []
    ask = Committer._ask

    def noted(self: Committer, statement: str, text: str) -> Any:
        asked.append(statement)
        return ask(self, statement, text)

    known = kinds(acts=Acts(lambda context: Done(None)))
    drawing = document([step("ask", "human_task", config=ASK), step("b", "acts")], "ask.yes > b")
    version = house.publish(drawing, kinds=known)
    with patch.object(Committer, "_ask", noted), worker_at_work(make_tools(sandbox, known)) as house.worker:
        run_id = house.start(version)
        wait_until(lambda: HumanTask.objects.filter(run_id=run_id).exists(), 10, "the task to open")
        task = HumanTask.objects.get(run_id=run_id)
        approver = make_member(house.workspace, "approver")
        decide_task(
            task_id=task.pk,
            actor=actor_of(house.workspace, approver),
            outcome="yes",
            values={},
            comment="x" * 3_000,  # too much for the decision to end the step itself
            digest=digest_of(task),
        )
        assert house.end_of(run_id).state == "succeeded"
    assert asked.count(statements.ADVANCE_SOON) == 1
    assert asked.count(statements.ADVANCE) >= 2  # the task's opening, and the end
    assert StepLog.objects.filter(run_id=run_id, node=0, outcome="S").exists()
