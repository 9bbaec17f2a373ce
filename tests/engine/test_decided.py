"""A decision ends its step in its own transaction: the rows are those that a worker would have written."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import connection, connections
from django.db.models import F

from orchestrator.core.actor import Actor
from orchestrator.core.json_types import Json
from orchestrator.engine import dispatch, metrics
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Gate, HumanTask, Run, StepLog, Token, Version
from orchestrator.models.ballot import digest_of
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import pause_run, resume_run
from orchestrator.services.task_errors import TaskConflict
from orchestrator.services.tasks import decide_task
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work
from tests.engine.rows import own_connection
from tests.engine.spans import microseconds, recorded, wait_for_run_span
from tests.factories import actor_of, make_member
from tests.harness.mutants import mutated
from tests.waiting import wait_until

OUTCOMES = [{"key": "yes", "label": "Yes"}, {"key": "no", "label": "No"}]
BY_DECISION = 0  # the session of a step that nobody had in hand when it ended


def ask(**more: Any) -> dict[str, Any]:
    return step("ask", "human_task", config={"title": "Go on?", "outcomes": OUTCOMES}, **more)


def box(kind: str, config: dict[str, Any], *more: dict[str, Any], drawn: tuple[str, ...]) -> dict[str, Any]:
    """The task inside a container."""
    steps = [step("box", kind, config=config), ask(parent="box"), *({**one, "parent": "box"} for one in more)]
    return document([*steps, step("after")], *drawn, "box > after")


DRAWINGS = {
    "the run's only step": document([ask()]),
    "a line": document([ask(), step("b"), step("c")], "ask.yes > b > c"),
    "a choice that meets again": document(
        [ask(), step("b"), step("c"), step("m", "merge"), step("z")], "ask.yes > b > m > z", "ask.no > c > m"
    ),
    "a split": document(
        [ask(), step("b"), step("c"), step("m", "merge")], "ask.yes > b > m", "ask.yes > c > m", "ask.no > m"
    ),
    "the last branch of a join": document(
        [ask(), step("b"), step("m", "merge"), step("z")], "ask.yes > m > z", "b > m"
    ),
    "another queue": document([ask(), step("b", queue="other"), step("c")], "ask.yes > b > c"),
    "in a scope": box("scope", {}, step("b"), drawn=("ask.yes > b",)),
    "the end of a scope": box("scope", {}, drawn=()),
    "in an item": box("for_each", {"items": [1]}, step("b"), drawn=("ask.yes > b",)),
    "the end of a turn": box("repeat", {"turns": 3, "until": {"$": "turn >= 1"}}, drawn=()),
    "what was shown and answered": document(
        [
            {**ask(), "config": {"title": {"$": "'Pay ' + input.what"}, "outcomes": OUTCOMES}},
            step("b", config={"value": {"$": "steps.ask.outcome + steps.ask.comment"}}),
        ],
        "ask.yes > b",
    ),
}


def opened(house: House, version: Version) -> tuple[UUID, HumanTask]:
    """A run whose task waits, and everything else has ended."""
    run_id = house.start(version, {"what": "tea"})
    wait_until(lambda: HumanTask.objects.filter(run_id=run_id).exists(), 10, "the task to open")
    wait_until(lambda: not Token.objects.filter(run_id=run_id, state__in="RL").exists(), 10, "the others to end")
    return run_id, HumanTask.objects.get(run_id=run_id)


def decide(house: House, task: HumanTask, outcome: str = "yes", comment: str = "") -> None:
    actor = actor_of(house.workspace, make_member(house.workspace, "approver"))
    digest = digest_of(task)
    decide_task(task_id=task.pk, actor=actor, outcome=outcome, values={}, comment=comment, digest=digest)
    if house.worker is not None:
        house.worker.poke()


@contextmanager
def at_work(house: House, sandbox: Sandbox) -> Iterator[None]:
    with (
        worker_at_work(make_tools(sandbox), queues=("default", "other")) as house.worker,
        keeper_at_work(house.worker.poke),
    ):
        yield


@contextmanager
def no_longer_than(time: str) -> Iterator[None]:
    """Who waits longer for a lock on the test's own connection fails."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [time])
        try:
            yield
        finally:
            cursor.execute("RESET lock_timeout")


def session_of_answer(run_id: UUID) -> int | None:
    node = Run.objects.get(pk=run_id).version.plan["keys"].index("ask")
    return StepLog.objects.get(run_id=run_id, node=node, outcome="S").session_id


def told(output: Json) -> Json:
    """An output without when and by whom an answer was given, wherever it stands."""
    if isinstance(output, dict):
        return {key: None if key in ("at", "by") else told(value) for key, value in output.items()}
    return [told(value) for value in output] if isinstance(output, list) else output


def picture(run_id: UUID) -> list[Any]:
    """Every row of a run that has ended, without what differs between any two runs."""
    log = list(StepLog.objects.filter(run_id=run_id).order_by("node", "scope_id", "generation", "attempt"))
    scopes = {scope: place for place, scope in enumerate(sorted({row.scope_id for row in log}))}
    places = {row.entry: (row.node, scopes[row.scope_id]) for row in log}
    lines = [
        (
            *(places[row.entry], row.generation, row.attempt, row.outcome, row.final, row.ports, row.input, row.error),
            *(told(row.output), row.log, sorted(places[entry] for entry in row.cause or ())),
        )
        for row in log
    ]
    gates = Gate.objects.filter(run_id=run_id).order_by("gate", "scope_id")
    run = Run.objects.values_list("state", "error").get(pk=run_id)
    return [lines, list(gates.values_list("gate", "ok", "skip", "fail", "verdict", "decided")), run]


@pytest.mark.parametrize("outcome", ["yes", "no"])
@pytest.mark.parametrize("name", DRAWINGS)
def test_it_writes_what_a_worker_would_have_written(house: House, sandbox: Sandbox, name: str, outcome: str) -> None:
    version = house.publish(DRAWINGS[name])

    def played() -> tuple[list[Any], int | None]:
        run_id, task = opened(house, version)
        decide(house, task, outcome, "by all means")
        assert house.end_of(run_id).state == "succeeded"
        return picture(run_id), session_of_answer(run_id)

    with at_work(house, sandbox):
        by_decision, session = played()
        with mutated("branchline_end_decided", ("IF v_item IS NULL OR", "IF true OR")):
            by_worker, another = played()
    assert by_decision == by_worker
    assert (session == BY_DECISION) is (name != "the run's only step")
    assert another != BY_DECISION
    assert not list(breaches())


def test_nobody_has_the_next_step_in_hand(house: House, sandbox: Sandbox) -> None:
    """What follows is ready for whoever serves its queue, and its first attempt is its first."""
    queues: list[str] = []
    with at_work(house, sandbox):
        run_id, task = opened(house, house.publish(DRAWINGS["a split"]))
    house.worker = None
    Token.objects.update(ready_at="2020-01-01T00:00Z")
    counted = metrics.ATTEMPTS.labels("human_task", "succeeded")
    before = counted._value.get()
    with patch.object(dispatch, "wake", lambda queue, count: queues.extend([queue] * count)):
        decide(house, task)
    tokens = list(Token.objects.filter(run_id=run_id).values_list("state", "session_id", "attempt", "phase"))
    assert tokens == [("R", None, 0, 0)] * 2
    assert not Token.objects.filter(ready_at__lt=task.opened_at).exists(), "it waits for a worker since now"
    assert queues == ["default"] * 2
    assert counted._value.get() == before + 1
    assert session_of_answer(run_id) == BY_DECISION


def new_version(house: House, task: HumanTask) -> None:
    """The run goes on in another version: what would follow there was never asked."""
    other = house.publish(DRAWINGS["a line"])
    Token.objects.filter(run_id=task.run_id).update(version_id=other.pk)
    Run.objects.filter(pk=task.run_id).update(version_id=other.pk)


def nothing_known(house: House, task: HumanTask) -> None:
    """It was opened by somebody who kept nothing."""
    HumanTask.objects.update(follows=None)


def moved_on(house: House, task: HumanTask) -> None:
    """It is another step's now."""
    HumanTask.objects.update(follows={**(HumanTask.objects.get().follows or {}), "node": 1})


@pytest.mark.parametrize("change", [new_version, nothing_known, moved_on])
def test_a_worker_ends_it_where_what_follows_is_not_known(house: House, sandbox: Sandbox, change: Any) -> None:
    with at_work(house, sandbox):
        run_id, task = opened(house, house.publish(DRAWINGS["a line"]))
        change(house, task)
        decide(house, task)
        assert house.end_of(run_id).state == "succeeded"
    assert session_of_answer(run_id) != BY_DECISION


def test_a_long_answer_is_kept_as_a_payload_by_a_worker(house: House, sandbox: Sandbox) -> None:
    with at_work(house, sandbox):
        run_id, task = opened(house, house.publish(DRAWINGS["a line"]))
        decide(house, task, comment="x" * 3_000)
        assert house.end_of(run_id).state == "succeeded"
    row = StepLog.objects.get(run_id=run_id, node=0, outcome="S")
    assert (row.output, row.output_ref is None) == (None, False)
    assert row.session_id != BY_DECISION


def test_a_paused_run_keeps_the_answer_and_goes_on_when_resumed(house: House, sandbox: Sandbox) -> None:
    with at_work(house, sandbox):
        run_id, task = opened(house, house.publish(DRAWINGS["a line"]))
        pause_run(run_id, house.actor)
        decide(house, task)
        assert not StepLog.objects.filter(run_id=run_id, outcome="S").exists()
        resume_run(run_id, house.actor)
        assert house.worker is not None
        house.worker.poke()
        assert house.end_of(run_id).state == "succeeded"


def test_it_never_waits_for_the_run(house: House, sandbox: Sandbox) -> None:
    """Who cancels or pauses holds the run's lock and may wait for the task: a decision must not wait for that lock."""
    with at_work(house, sandbox):
        run_id, task = opened(house, house.publish(DRAWINGS["a line"]))
        with own_connection() as other, other.transaction(), no_longer_than("5s"):
            other.execute("SELECT branchline_lock_run(%s)", (run_id,))
            decide(house, task)
            assert Token.objects.filter(run_id=run_id, node=0).exists(), "a worker is to end it"
        assert house.worker is not None
        house.worker.poke()
        assert house.end_of(run_id).state == "succeeded"
    assert session_of_answer(run_id) != BY_DECISION


def test_a_retried_attempt_has_its_own_number(house: House, sandbox: Sandbox) -> None:
    """A task opened in the second attempt is decided in the second attempt."""
    with at_work(house, sandbox):
        run_id, task = opened(house, house.publish(DRAWINGS["a line"]))
        Token.objects.filter(run_id=run_id).update(attempt=F("attempt") + 1)
        decide(house, task)
        assert house.end_of(run_id).state == "succeeded"
    assert StepLog.objects.get(run_id=run_id, node=0, outcome="S").attempt == 2


def test_of_many_who_decide_at_once_one_ends_the_step(house: House, sandbox: Sandbox) -> None:
    people = [actor_of(house.workspace, make_member(house.workspace, "approver")) for _ in range(8)]
    with at_work(house, sandbox):
        run_id, task = opened(house, house.publish(DRAWINGS["a split"]))
        digest, together = digest_of(task), Barrier(len(people))

        def answer(actor: Actor) -> str:
            together.wait(10)
            try:
                decide_task(task_id=task.pk, actor=actor, outcome="yes", values={}, digest=digest)
            except TaskConflict as conflict:
                return conflict.error_code
            finally:
                connections.close_all()
            return "counted"

        with ThreadPoolExecutor(len(people)) as pool:
            answers = Counter(pool.map(answer, people))
        assert answers == {"counted": 1, "not_waiting": len(people) - 1}
        assert house.worker is not None
        house.worker.poke()
        assert house.end_of(run_id).state == "succeeded"
    assert StepLog.objects.filter(run_id=run_id, node=0).count() == 1


def test_its_span_lasts_as_long_as_people_were_asked(house: House, sandbox: Sandbox) -> None:
    with recorded() as exporter, at_work(house, sandbox):
        run_id, task = opened(house, house.publish(DRAWINGS["a line"], slug="asked"))
        decide(house, task)
        house.end_of(run_id)
        found = wait_for_run_span(exporter)
    (run,), (whole,), (attempt,) = found["run asked"], found["step ask"], found["attempt ask"]
    row = StepLog.objects.get(run_id=run_id, node=0, outcome="S")
    assert (whole.parent, attempt.parent) == (run.span_id, whole.span_id)
    assert row.started_at is not None
    assert row.started_at <= task.opened_at
    assert (whole.began, whole.ended) == (microseconds(row.started_at), microseconds(row.finished_at))
    assert (whole.failure, attempt.failure, whole.attributes["branchline.attempts"]) == (None, None, 1)
