"""A step that waited began when it was first taken, in the log, by API and on the timeline, whoever ended its wait."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db.models.functions import Now

from orchestrator.core.outcome import Done, Retry, StepFault, Wait
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import HumanTask, Run, StepLog, Token
from orchestrator.queries.step_runs import step_runs
from orchestrator.queries.timeline import WAITING, Span, spans_of
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work
from tests.engine.kinds import Told, kinds
from tests.engine.rows import claim, take_over
from tests.engine.test_decided import decide
from tests.engine.test_events import awaiting, publish
from tests.waiting import wait_until

AGO = timedelta(hours=2)
PASSING = {"until": "2000-01-01T00:00:00Z"}


@pytest.fixture
def at_work(house: House, sandbox: Sandbox) -> Iterator[None]:
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        yield


def parked_long_ago(run_id: UUID, key: str) -> datetime:
    """The step has waited for two hours: its row is set back, instead of the clock."""
    tokens = Token.objects.filter(run_id=run_id, state="W", node=node_of(run_id, key))
    wait_until(tokens.exists, 10, f"{key} to wait")
    taken = tokens.get().first_started_at
    assert taken is not None
    began = taken - AGO
    tokens.update(first_started_at=began, started_at=began)
    return began


def node_of(run_id: UUID, key: str) -> int:
    keys: list[str] = Run.objects.get(pk=run_id).version.plan["keys"]
    return keys.index(key)


def bars(run_id: UUID, key: str) -> list[Span]:
    return [span for span in spans_of(Run.objects.get(pk=run_id)).items if span.key == key]


def assert_began(run_id: UUID, key: str, began: datetime) -> None:
    row = StepLog.objects.get(run_id=run_id, outcome="S", node=node_of(run_id, key))
    assert row.started_at == began
    (shown,) = step_runs(Run.objects.get(pk=run_id), key=key).items
    assert (shown.started_at, shown.finished_at) == (began, row.finished_at)
    wait, end = bars(run_id, key)
    assert (wait.kind, wait.begun, wait.ended) == ("wait", began, row.finished_at)
    assert (end.kind, end.state, end.begun, end.ended) == ("attempt", "succeeded", row.finished_at, row.finished_at)


def test_a_delay(house: House, at_work: None) -> None:
    drawing = document([step("w", "delay", config={"for": "PT2S"}), step("z"), step("p", "delay", config=PASSING)])
    run_id = house.start(house.publish(drawing))
    began = parked_long_ago(run_id, "w")
    (lasting,) = bars(run_id, "w")
    assert (lasting.kind, lasting.state, lasting.begun, lasting.ended) == ("wait", "waiting", began, None)
    house.end_of(run_id)
    assert_began(run_id, "w", began)
    for key in ("z", "p"):  # did not wait
        assert [span.kind for span in bars(run_id, key)] == ["attempt"]


@pytest.mark.parametrize("where", [{}, {"where": {"$": "event.data > 1"}}], ids=["at once", "by a worker"])
def test_an_event(house: House, at_work: None, where: dict[str, Any]) -> None:
    run_id = house.start(house.publish(document([awaiting(config=where), step("z")], "hear > z")), {"order": 17})
    began = parked_long_ago(run_id, "hear")
    publish(house, 2)
    house.end_of(run_id)
    assert_began(run_id, "hear", began)


def test_a_person(house: House, at_work: None) -> None:
    task = step("ask", "human_task", config={"title": "May it?", "outcomes": [{"key": "yes"}]})
    run_id = house.start(house.publish(document([task, step("z")], "ask.yes > z")))
    began = parked_long_ago(run_id, "ask")
    decide(house, HumanTask.objects.get(run_id=run_id))
    house.end_of(run_id)
    assert_began(run_id, "ask", began)


@pytest.mark.parametrize("kind", ["scope", "repeat"])
def test_a_container(house: House, at_work: None, kind: str) -> None:
    config = {"repeat": {"until": {"$": "True"}, "turns": 2}}.get(kind, {})
    steps = [step("box", kind, config=config), step("w", "delay", config={"for": "PT2S"}, parent="box")]
    run_id = house.start(house.publish(document(steps)))
    began = parked_long_ago(run_id, "box")
    house.end_of(run_id)
    assert_began(run_id, "box", began)


def test_a_sub_workflow(house: House, at_work: None) -> None:
    house.publish(document([step("w", "delay", config={"for": "PT2S"})]), "child").workflow.refresh_from_db()
    run_id = house.start(house.publish(document([step("call", "sub_workflow", config={"workflow": "child"})])))
    began = parked_long_ago(run_id, "call")
    house.end_of(run_id)
    assert_began(run_id, "call", began)


class OnceMore(Told):
    """Waits, and fails once when it is asked again."""

    def resume(self, config: Any, context: Any, resumed: Any) -> Any:
        return Retry(StepFault(code="busy", message="busy")) if context.attempt == 1 else Done("at last")


def test_an_attempt_after_a_wait_begins_for_itself(house: House, sandbox: Sandbox) -> None:
    """The first attempt has the wait, the second one does not; the step began with the first."""
    known = kinds(told=OnceMore(lambda context: Wait(kind="time", text="Not yet", delay=2.0)))
    policy = {"attempts": 2, "first": "PT0S", "factor": 1, "cap": "PT0S", "jitter": "none"}
    version = house.publish(document([step("w", "told", retry=policy)]), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke):
        run_id = house.start(version)
        began = parked_long_ago(run_id, "w")
        house.end_of(run_id)
    first, second = StepLog.objects.filter(run_id=run_id).order_by("attempt")
    assert (first.started_at, first.finished_at - began > AGO) == (began, True)
    assert second.started_at is not None
    assert second.started_at >= first.finished_at
    (shown,) = step_runs(Run.objects.get(pk=run_id)).items
    assert shown.started_at == began


AGAIN = {"attempts": 2, "first": "PT0S", "factor": 1, "cap": "PT0S", "jitter": "none"}


class WaitsTwice(Told):
    """Fails once; its second attempt waits, and waits again."""

    def __init__(self) -> None:
        super().__init__(lambda context: BUSY if context.attempt == 1 else self.wait)

    wait = Wait(kind="time", text="Not yet", delay=600.0)
    waited = False

    def resume(self, config: Any, context: Any, resumed: Any) -> Any:
        waited, self.waited = self.waited, True
        return Done("at last") if waited else self.wait


BUSY = Retry(StepFault(code="busy", message="busy"))


def taken_and_parked(run_id: UUID) -> datetime:
    """When the attempt was taken that has begun to wait just now."""
    tokens = Token.objects.filter(run_id=run_id, state="W", phase=1)
    wait_until(tokens.exists, 10, "the second attempt to wait")
    taken = tokens.get().started_at
    assert taken is not None
    return taken


def test_a_second_attempt_has_all_of_its_waits(house: House, sandbox: Sandbox) -> None:
    known = kinds(told=WaitsTwice())
    version = house.publish(document([step("w", "told", retry=AGAIN)]), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke):
        run_id = house.start(version)
        taken = taken_and_parked(run_id)
        epoch = Token.objects.get(run_id=run_id).epoch
        Token.objects.filter(run_id=run_id).update(wake_at=Now())
        again = Token.objects.filter(run_id=run_id, state="W", epoch__gt=epoch)
        wait_until(again.exists, 10, "it to wait again")
        assert again.filter(started_at__gt=taken).exists(), "claimed again"
        assert [span.begun for span in bars(run_id, "w")][-1] == taken
        again.update(wake_at=Now())
        house.end_of(run_id)
    first, second = StepLog.objects.filter(run_id=run_id).order_by("attempt")
    assert first.finished_at <= taken
    assert (second.attempt, second.outcome, second.started_at) == (2, "S", taken)


def test_a_container_whose_first_worker_died(house: House, sandbox: Sandbox) -> None:
    steps = [step("box", "scope"), step("w", "delay", config={"for": "PT10M"}, parent="box")]
    run_id = house.start(house.publish(document(steps)))
    assert len(claim(99)) == 1  # by a session without a row: it is dead
    take_over()
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        inside = Token.objects.filter(run_id=run_id, state="W", node=node_of(run_id, "w"))
        wait_until(inside.exists, 10, "what it holds to wait")
        taken = Token.objects.get(run_id=run_id, node=node_of(run_id, "box")).started_at
        inside.update(wake_at=Now())
        house.end_of(run_id)
    second = StepLog.objects.get(run_id=run_id, node=node_of(run_id, "box"), final=True)
    assert (second.attempt, second.outcome, second.started_at) == (2, "S", taken)


def test_the_kinds_that_wait_are_those_that_are_told_so() -> None:
    assert set(KINDS) >= WAITING
    assert {kind for kind, one in KINDS.items() if one.group == "wait"} <= WAITING
