"""Spans of what no worker told of: steps that the database dropped, that people skipped, that lost their worker."""

from contextlib import ExitStack
from typing import Any

import pytest
from django.db import transaction
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from orchestrator.core.kinds import Kinds
from orchestrator.core.outcome import Retry, StepFault, Wait
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import StepLog, Token, WorkerSession
from orchestrator.services.control import cancel_run
from orchestrator.services.skip import skip_step
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work
from tests.engine.kinds import Held, Told, kinds
from tests.engine.rows import take_over
from tests.engine.spans import Seen, by_name, microseconds, wait_for_run_span
from tests.engine.test_events import awaiting, publish, waits
from tests.engine.test_undo import UNDO, failing
from tests.waiting import wait_until

Found = dict[str, list[Seen]]
LONG = {"for": "PT1H"}


@pytest.fixture
def at_hand(house: House, sandbox: Sandbox, spans: InMemorySpanExporter) -> Any:
    """`at_hand(kinds)` lets a worker and a keeper work until the test ends."""
    with ExitStack() as stack:

        def begin(known: Kinds = KINDS) -> None:
            house.worker = stack.enter_context(worker_at_work(make_tools(sandbox, known)))
            stack.enter_context(keeper_at_work(house.worker.poke))

        yield begin


class Waiting(Told):
    """Asked again after a wait, it answers as before."""

    def resume(self, config: Any, context: Any, resumed: Any) -> Any:
        return self.answer(context)


def lose_all() -> None:
    """Have the keeper find that the worker is dead, once."""
    with transaction.atomic():
        WorkerSession.objects.all().delete()
        assert [row["dead"] for row in take_over()] == [True]


def stands(run_id: Any, state: str = "W") -> None:
    wait_until(Token.objects.filter(run_id=run_id, state=state).exists, 10, f"a token in state {state}")


def spans_of(exporter: InMemorySpanExporter) -> Found:
    found = wait_for_run_span(exporter)
    ids = [span.span_id for named in found.values() for span in named]
    assert len(ids) == len(set(ids)), found
    return found


def first_row(run_id: Any, node: int = 0) -> StepLog:
    return StepLog.objects.filter(run_id=run_id, node=node).order_by("attempt")[0]


def test_a_step_cancelled_while_it_waits_has_its_span(house: House, at_hand: Any, spans: Any) -> None:
    at_hand()
    run_id = house.start(house.publish(document([step("w", "delay", config=LONG)]), slug="cut"))
    stands(run_id)
    cancel_run(run_id, house.actor)
    found = spans_of(spans)
    (run_span,), (whole,), (attempt,) = found["run cut"], found["step w"], found["attempt w"]
    row = first_row(run_id)
    assert (whole.parent, attempt.parent) == (run_span.span_id, whole.span_id)
    assert (whole.failure, attempt.failure) == ("cancelled", "cancelled")
    assert {(span.began, span.ended) for span in (whole, attempt)} == {
        (microseconds(row.started_at), microseconds(row.finished_at))
    }
    assert whole.attributes == {
        "branchline.run.id": str(run_id),
        "branchline.workflow": "cut",
        "branchline.workspace": house.actor.workspace_slug,
        "branchline.step.key": "w",
        "branchline.step.kind": "delay",
        "branchline.attempts": 1,
    }


def test_a_step_that_waited_twice_began_when_it_was_first_taken(house: House, at_hand: Any, spans: Any) -> None:
    began = []

    def answer(context: Any) -> Wait:
        began.append(context.lease.first_started_at)
        return Wait(kind="time", text="Not yet", delay=0.01 if len(began) < 3 else 3600.0)

    known = kinds(told=Waiting(answer))
    at_hand(known)
    run_id = house.start(house.publish(document([step("w", "told")]), kinds=known))
    wait_until(lambda: len(began) == 3 and Token.objects.filter(run_id=run_id, state="W").exists(), 10, "the last wait")
    cancel_run(run_id, house.actor)
    assert spans_of(spans)["step w"][0].began == microseconds(began[0])


def test_what_never_began_has_none(house: House, at_hand: Any, spans: Any) -> None:
    at_hand()
    run_id = house.start(house.publish(document([step("here"), step("nobody", queue="nobody")])))
    wait_until(StepLog.objects.filter(run_id=run_id, outcome="S").exists, 10, "the step here to end")
    cancel_run(run_id, house.actor)
    found = spans_of(spans)
    assert StepLog.objects.filter(run_id=run_id, outcome="K").count() == 1
    assert not [name for name in found if name.endswith(" nobody")]


def test_a_retry_that_never_began_has_none_but_its_step_has(house: House, at_hand: Any, spans: Any) -> None:
    known = kinds(told=Told(lambda context: Retry(StepFault(code="busy", message="busy"))))
    at_hand(known)
    raw = document([step("w", "told", retry={"attempts": 5, "first": "PT1H"})])
    run_id = house.start(house.publish(raw, kinds=known))
    stands(run_id)
    cancel_run(run_id, house.actor)
    found = spans_of(spans)
    (whole,), (attempt,) = found["step w"], found["attempt w"]
    assert (attempt.failure, attempt.attributes["branchline.attempt"]) == ("busy", 1)
    assert (whole.failure, whole.attributes["branchline.attempts"]) == ("cancelled", 1)
    assert (whole.began, attempt.parent) == (attempt.began, whole.span_id)
    last = StepLog.objects.get(run_id=run_id, outcome="K")
    assert whole.ended == microseconds(last.finished_at)
    assert last.started_at is None, "the log does not say either that it began"


def test_a_failure_that_meets_the_cancellation_has_one_attempt(house: House, at_hand: Any, spans: Any) -> None:
    held = Held()

    def answer(context: Any) -> Retry:
        Held.run(held, None, context)  # type: ignore[arg-type]
        return Retry(StepFault(code="busy", message="busy"))

    known = kinds(told=Told(answer))
    at_hand(known)
    run_id = house.start(house.publish(document([step("w", "told", retry={"attempts": 5})]), kinds=known))
    held.enter()
    cancel_run(run_id, house.actor)
    found = spans_of(spans)
    assert [span.failure for span in found["attempt w"]] == ["busy"]
    (whole,) = found["step w"]
    assert (whole.failure, whole.attributes["branchline.attempts"]) == ("cancelled", 1)


@pytest.mark.parametrize("hard", [False, True])
def test_a_step_that_is_stopped_at_work_has_its_span(house: House, at_hand: Any, spans: Any, hard: bool) -> None:
    held = Held(listens=not hard)
    known = kinds(held=held)
    at_hand(known)
    run_id = house.start(house.publish(document([step("w", "held")]), kinds=known))
    held.enter()
    cancel_run(run_id, house.actor, hard=hard)
    found = spans_of(spans)
    held.release.set()
    wait_until(lambda: len(by_name(spans).get("step w", [])) == 1, 10, "the step's span")
    found = by_name(spans)
    assert found["attempt w"][0].parent == found["step w"][0].span_id
    assert found["step w"][0].failure == ("cancelled" if hard else None)


def test_a_late_branch_has_its_span(house: House, at_hand: Any, spans: Any) -> None:
    at_hand()
    steps = [step("quick", "delay", config={"for": "PT0.2S"}), step("late", "delay", config=LONG)]
    steps += [step("z", "merge", join={"mode": "any", "late": "cancel"})]
    run = house.end_of(house.start(house.publish(document(steps, "quick > z", "late > z"), slug="join")))
    assert run.state == "succeeded"
    found = spans_of(spans)
    assert found["step late"][0].failure == "cancelled"
    assert found["step late"][0].parent == found["run join"][0].span_id
    assert found["step late"][0].ended < found["run join"][0].ended


def test_a_step_found_cancelled_before_it_began_is_told_once(house: House, at_hand: Any, spans: Any) -> None:
    at_hand()
    cancels = step("cut", "cancel", config={"steps": ["b"]})
    waits = step("wait", "delay", config={"for": "PT0.2S"})
    house.end_of(house.start(house.publish(document([cancels, waits, step("b")], "cut > wait > b"))))
    found = spans_of(spans)
    assert [span.failure for span in found["attempt b"]] == ["cancelled"]
    assert [span.failure for span in found["step b"]] == ["cancelled"]


def test_a_container_that_is_cut_short_and_what_is_in_it_have_spans(house: House, at_hand: Any, spans: Any) -> None:
    at_hand()
    steps = [step("s", "scope"), step("in", "delay", config=LONG, parent="s")]
    run_id = house.start(house.publish(document(steps)))
    wait_until(lambda: Token.objects.filter(run_id=run_id, state="W").count() == 2, 10, "both to wait")
    cancel_run(run_id, house.actor)
    found = spans_of(spans)
    assert [span.failure for span in found["step s"] + found["step in"]] == ["cancelled", "cancelled"]


def test_a_lost_lane_lies_below_its_for_each(house: House, at_hand: Any, spans: Any) -> None:
    held = Held(listens=False)
    known = kinds(held=held)
    at_hand(known)
    raw = document([step("each", "for_each", config={"items": [1]}), step("look", "held", parent="each")])
    run_id = house.start(house.publish(raw, kinds=known))
    held.enter()
    lose_all()
    held.release.set()
    house.end_of(run_id)
    found = spans_of(spans)
    (lost,) = [span for span in found["attempt each"] if span.failure == "worker_lost"]
    assert [lost.parent] == [span.span_id for span in found["step each"]]


def test_a_step_that_people_skipped_while_it_waited_has_its_span(house: House, at_hand: Any, spans: Any) -> None:
    at_hand()
    run_id = house.start(house.publish(document([step("w", "delay", config=LONG), step("z")], "w > z")))
    stands(run_id)
    began = Token.objects.get(run_id=run_id).first_started_at
    skip_step(run_id, "w", house.actor)
    house.end_of(run_id)
    found = spans_of(spans)
    (whole,), (attempt,) = found["step w"], found["attempt w"]
    assert (whole.began, whole.failure, attempt.parent) == (microseconds(began), None, whole.span_id)


def test_a_lost_undo_attempt_bears_the_name_of_its_step(house: House, at_hand: Any, spans: Any) -> None:
    held = Held(listens=False)
    known = kinds(held=held)
    at_hand(known)
    steps = [step("a", undo={"kind": "held", "config": {}}), step("b"), failing()]
    run_id = house.start(house.publish(document(steps, "a > b > bad", **UNDO), kinds=known), {"by": 0})
    held.enter()
    lose_all()
    held.release.set()
    assert house.end_of(run_id).state == "undone"
    found = spans_of(spans)
    (lost,) = [span for named in found.values() for span in named if span.failure == "worker_lost"]
    assert lost in found["attempt a"]
    assert lost.attributes["branchline.step.kind"] == "held"
    assert lost.parent in {span.span_id for span in found["undo a"]}


@pytest.mark.parametrize("where", [{}, {"where": {"$": "event.data > 1"}}], ids=["at once", "by a worker"])
def test_a_step_that_an_event_ends_began_with_its_wait(house: House, at_hand: Any, spans: Any, where: Any) -> None:
    """Also the second turn's, which has the same place in the drawing."""
    at_hand()
    again = step("again", "repeat", config={"until": {"$": "turn == 2"}, "turns": 2})
    version = house.publish(document([again, awaiting(parent="again", config=where)]))
    run_id, row = house.start(version, {"order": 17}), StepLog.objects.filter(outcome="S", scope_id__gt=0)
    began: list[int] = []
    for _ in range(2):
        wait_until(lambda: row.filter(run_id=run_id).count() == len(began), 10, "the turn before to end")
        waits(run_id)
        began.append(microseconds(Token.objects.get(run_id=run_id, waiting__has_key="topic").first_started_at))
        publish(house, 2)
    house.end_of(run_id)
    found = sorted(spans_of(spans)["step hear"], key=lambda one: one.began)
    ended = [microseconds(one.finished_at) for one in row.filter(run_id=run_id).order_by("entry")]
    assert [one.began for one in found] == began
    if not where:
        assert [one.ended for one in found] == ended


def test_an_undo_bears_another_name_than_its_step(house: House, at_hand: Any, spans: Any) -> None:
    at_hand()
    undo = {"kind": "transform", "config": {"value": 1}}
    run_id = house.start(house.publish(document([step("a", undo=undo), failing()], "a > bad", **UNDO)), {"by": 0})
    assert house.end_of(run_id).state == "undone"
    found = spans_of(spans)
    (done,), (undone,) = found["step a"], found["undo a"]
    assert done.ended <= undone.began
    assert {one.parent for one in found["attempt a"]} == {done.span_id, undone.span_id}
    assert [one.attributes.get("branchline.undo") for one in found["attempt a"]] == [None, True]


def test_spans_of_items_say_of_which(house: House, at_hand: Any, spans: Any) -> None:
    """As a scope, as the API names it: those that a lane tells, and those that the keeper tells."""
    at_hand()
    each = step("each", "for_each", config={"items": [1, 2]})
    inner = [step("look", parent="each"), step("w", "delay", config=LONG, parent="each")]
    run_id = house.start(house.publish(document([each, *inner], "look > w")))
    wait_until(lambda: Token.objects.filter(run_id=run_id, state="W", node__gt=1).count() == 2, 10, "two waits")
    cancel_run(run_id, house.actor)
    found = spans_of(spans)
    scopes = {str(one) for one in StepLog.objects.filter(run_id=run_id, node=1).values_list("scope_id", flat=True)}
    assert len(scopes) == 2
    for name in ("step look", "attempt look", "step w", "attempt w"):
        assert {one.attributes["branchline.scope"] for one in found[name]} == scopes
    assert "branchline.scope" not in found["step each"][0].attributes
