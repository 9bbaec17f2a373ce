"""Spans of a run, its steps and their attempts: parents, times, failures, and the W3C context in and out."""

import threading
from typing import Any

import pytest
from opentelemetry import trace
from prometheus_client import REGISTRY

from orchestrator.core.kinds import HttpAnswer
from orchestrator.core.outcome import Done, Outcome, Retry, StepFault
from orchestrator.engine import statements, tracing
from orchestrator.engine.ended import EndedRuns
from orchestrator.engine.log_context import add_facts
from orchestrator.engine.perform import Tools
from orchestrator.engine.plans import LonePlans
from orchestrator.models import Run, StepLog
from orchestrator.services.control import cancel_run
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work
from tests.engine.kinds import Held, Told, kinds
from tests.engine.rows import own_connection, rows, take_over
from tests.engine.spans import by_name, microseconds, start_under, version_node, wait_for_run_span
from tests.waiting import wait_until

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CAME = f"00-{TRACE_ID}-b7ad6b7169203331-01"
UNSAMPLED = f"00-{TRACE_ID}-b7ad6b7169203331-00"


def failing_once() -> Told:
    def answer(context: Any) -> Outcome:
        if context.attempt == 1:
            return Retry(StepFault(code="busy", message="not now: secret"))
        return Done("charged")

    return Told(answer)


RETRIED = step("charge", "acted", retry={"attempts": 3, "first": "PT0.01S"})


def test_a_retried_step_has_a_span_of_its_own_above_its_attempts(house, sandbox, spans):
    known = kinds(acted=failing_once())
    version = house.publish(document([RETRIED, step("ship")], "charge > ship"), slug="orders", kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke):
        run = house.end_of(house.start(version))
        found = wait_for_run_span(spans)
    (run_span,), (charge,), (ship,) = found["run orders"], found["step charge"], found["step ship"]
    first, second = found["attempt charge"]
    assert run_span.parent is None
    assert {charge.parent, ship.parent} == {run_span.span_id}
    assert {first.parent, second.parent} == {charge.span_id}
    assert found["attempt ship"][0].parent == ship.span_id
    assert len({span.trace_id for names in found.values() for span in names}) == 1
    assert len({span.span_id for names in found.values() for span in names}) == 6
    assert [span.failure for span in (first, second, charge)] == ["busy", None, None]
    assert (run_span.began, run_span.ended) == (microseconds(run.started_at), microseconds(run.finished_at))
    log = StepLog.objects.filter(run_id=run.pk, node=version_node(version, "charge")).order_by("attempt")
    assert [span.began for span in (first, second)] == [microseconds(row.started_at) for row in log]
    assert charge.began == first.began
    assert (charge.attributes["branchline.attempts"], second.attributes["branchline.attempt"]) == (2, 2)
    assert "secret" not in str([span.to_json() for span in spans.get_finished_spans()])


def test_a_handler_in_a_lane_is_at_its_items_attempt(house, sandbox, spans):
    """By the lines that it writes, and by the span that what it records lies below."""
    lines, seen = [], []

    def answer(context: Any) -> Outcome:
        lines.append(dict(add_facts(None, "", {"event": "at work"})))
        seen.append(trace.format_span_id(trace.get_current_span().get_span_context().span_id))
        return Done(None)

    known = kinds(acted=Told(answer))
    steps = [step("each", "for_each", config={"items": [1, 2]}), step("act", "acted", parent="each")]
    version = house.publish(document(steps), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke):
        run = house.end_of(start_under(house, version, CAME))
        found = wait_for_run_span(spans)
    assert {span.span_id for span in found["attempt act"]} == set(seen)
    about = {"event": "at work", "run": str(run.pk), "step": "act", "attempt": 1, "trace_id": TRACE_ID}
    assert lines == [about, about]


def test_a_handlers_lines_in_a_lane_name_its_attempt_without_a_trace(house, sandbox):
    lines: list[dict[str, Any]] = []

    def answer(context: Any) -> Outcome:
        lines.append(dict(add_facts(None, "", {"event": "at work"})))
        return Done(None)

    known = kinds(acted=Told(answer))
    steps = [step("each", "for_each", config={"items": [1]}), step("act", "acted", parent="each")]
    with worker_at_work(make_tools(sandbox, known)) as house.worker:
        run = house.end_of(house.start(house.publish(document(steps), kinds=known)))
    assert lines == [{"event": "at work", "run": str(run.pk), "step": "act", "attempt": 1}]


def test_steps_of_items_done_in_a_lane_have_spans(house, sandbox, spans):
    steps = [step("each", "for_each", config={"items": [1, 2, 3]}), step("look", parent="each")]
    version = house.publish(document(steps), slug="orders")
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        run = house.end_of(house.start(version))
        found = wait_for_run_span(spans)
    (run_span,) = found["run orders"]
    assert [span.parent for span in found["step look"]] == [run_span.span_id] * 3
    assert {span.parent for span in found["attempt look"]} == {span.span_id for span in found["step look"]}
    assert len({span.span_id for span in found["attempt look"]}) == 3
    log = StepLog.objects.filter(run_id=run.pk, node=version_node(version, "look"))
    assert sorted(span.began // 1_000 for span in found["attempt look"]) == sorted(
        microseconds(row.started_at) // 1_000 for row in log
    )


def test_the_trace_of_who_started_the_run_goes_on(house, sandbox, spans):
    version = house.publish(document([step("one")]), slug="orders")
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        house.end_of(start_under(house, version, CAME))
        found = wait_for_run_span(spans)
    assert found["run orders"][0].parent == "b7ad6b7169203331"
    assert {span.trace_id for names in found.values() for span in names} == {TRACE_ID}


def test_a_sub_workflows_run_lies_below_the_step_that_started_it(house, sandbox, spans):
    house.publish(document([step("in")]), slug="child")
    version = house.publish(document([step("sub", "sub_workflow", config={"workflow": "child"})]), slug="top")
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        house.end_of(start_under(house, version, CAME))
        wait_until(lambda: by_name(spans).keys() >= {"run top", "run child"}, 10, "the spans of both runs")
        found = by_name(spans)
    assert [span.parent for span in found["run child"]] == [span.span_id for span in found["step sub"]]
    assert [span.parent for span in found["step in"]] == [span.span_id for span in found["run child"]]
    assert {span.trace_id for names in found.values() for span in names} == {TRACE_ID}


def test_where_nobody_records_a_sub_workflow_goes_on_from_who_started_the_run(house, sandbox):
    house.publish(document([step("in")]), slug="child")
    version = house.publish(document([step("sub", "sub_workflow", config={"workflow": "child"})]))
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        run = house.end_of(start_under(house, version, CAME))
    assert Run.objects.get(parent_run=run).trace_context == {"traceparent": CAME}


def test_a_trace_that_its_sender_does_not_sample_is_not_recorded(house, sandbox, spans):
    version = house.publish(document([step("one")]), slug="quiet")
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        house.end_of(start_under(house, version, UNSAMPLED))
        house.end_of(house.start(version))
        found = wait_for_run_span(spans)
    assert TRACE_ID not in {span.trace_id for names in found.values() for span in names}
    assert {name: len(names) for name, names in found.items()} == {"run quiet": 1, "step one": 1, "attempt one": 1}


@pytest.mark.parametrize("header", ["", "00-zz", f"00-{'0' * 32}-b7ad6b7169203331-01", "\x00" * 55, "x" * 9000])
def test_a_header_that_is_no_trace_starts_a_run_without_one(house, header):
    version = house.publish(document([step("one")]))
    run = Run.objects.get(pk=start_under(house, version, header))
    assert run.trace_context is None


def test_http_steps_send_the_attempts_span(house, sandbox, spans):
    sent = asked(house, sandbox, CAME)
    (attempt,) = by_name(spans)["attempt ask"]
    expected = f"00-{TRACE_ID}-{attempt.span_id}-01"
    assert sent["traceparent"] == expected


def test_http_steps_pass_the_trace_on_where_nobody_records(house, sandbox):
    assert asked(house, sandbox, CAME)["traceparent"] == CAME
    assert "traceparent" not in asked(house, sandbox, "")


class Web:
    """Keeps the headers of what is asked."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    async def request(self, method: str, url: str, **more: Any) -> HttpAnswer:
        self.headers = dict(more["headers"])
        return HttpAnswer(status=200, headers={}, body=b"")


def asked(house: House, sandbox: Any, traceparent: str) -> dict[str, str]:
    """The headers that an http step sends in a run started with that header."""
    web = Web()
    tools = Tools(kinds=KINDS, sandbox=sandbox, mail=make_tools(sandbox).mail, http_for=lambda workspace_id: web)
    version = house.publish(document([step("ask", "http", config={"method": "GET", "url": "https://shop.example/"})]))
    with worker_at_work(tools) as house.worker, keeper_at_work(house.worker.poke):
        assert house.end_of(start_under(house, version, traceparent)).state == "succeeded"
    return web.headers


def test_what_a_handler_records_lies_below_its_attempt(house, sandbox, spans):
    seen = []

    def answer(context: Any) -> Outcome:
        seen.append(trace.format_span_id(trace.get_current_span().get_span_context().span_id))
        return Done(None)

    known = kinds(acted=Told(answer))
    version = house.publish(document([step("one", "acted"), step("two")], "one > two"), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke):
        house.end_of(house.start(version))
        found = wait_for_run_span(spans)
    assert seen == [found["attempt one"][0].span_id]


def test_a_lost_attempt_and_a_cancelled_run_are_told_by_the_keeper(house, sandbox, spans):
    held = Held()
    known = kinds(acted=held)
    version = house.publish(document([step("one", "acted")]), slug="lost", kinds=known)
    run_id = house.start(version)
    (dead,) = rows(statements.CLAIM, 4711, ["default"], 1, True)
    assert take_over()[0]["dead"]
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke):
        house.worker.poke()
        held.enter()
        cancel_run(run_id, house.actor)
        assert house.end_of(run_id).state == "cancelled"
        found = wait_for_run_span(spans)
        wait_until(lambda: len(by_name(spans).get("attempt one", [])) > 1, 10, "both attempts")
        found = by_name(spans)
    assert dead["attempt"] == 1
    assert found["run lost"][0].failure == "cancelled"
    lost = next(span for span in found["attempt one"] if span.attributes["branchline.attempt"] == 1)
    assert lost.failure == "worker_lost"
    assert lost.parent == found["step one"][0].span_id


def test_a_handlers_log_lines_name_its_attempt_and_trace(house, sandbox):
    lines: list[dict[str, Any]] = []

    def answer(context: Any) -> Outcome:
        lines.append(dict(add_facts(None, "", {"event": "at work"})))
        return failing_once().answer(context)

    known = kinds(acted=Told(answer), away=AwayTold(answer))
    away = step("away", "away", retry={"attempts": 3, "first": "PT0.01S"})
    version = house.publish(document([RETRIED, away], "charge > away"), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke):
        run = house.end_of(start_under(house, version, CAME))
    about = {"event": "at work", "run": str(run.pk), "trace_id": TRACE_ID}
    assert lines == [{**about, "step": key, "attempt": attempt} for key in ("charge", "away") for attempt in (1, 2)]


class AwayTold(Told):
    """The same on the event loop."""

    def is_async(self, config: Any) -> bool:
        return True

    async def run(self, config: Any, context: Any) -> Outcome:  # type: ignore[override]
        return self.answer(context)


def test_without_a_recorder_nothing_is_made(house, sandbox):
    version = house.publish(document([step("one")]))
    run_id = house.start(version)
    (row,) = rows(statements.CLAIM, 4711, ["default"], 1, True)
    assert row["run_id"] == run_id
    assert tracing.trace_of(run_id, row["trace_context"]) is None


def test_ids_are_the_same_in_every_process(spans):
    run_id = Run(pk="0190a3c4-0000-7000-8000-000000000001").pk
    other: list[Any] = []
    thread = threading.Thread(target=lambda: other.append(tracing.trace_of(run_id, None)))
    thread.start()
    thread.join()
    assert other == [tracing.trace_of(run_id, None)]


def test_a_run_is_told_once_and_again_when_it_ends_again(house, sandbox):
    def finished() -> float:
        return REGISTRY.get_sample_value("branchline_runs_finished_total", {"state": "succeeded"}) or 0.0

    version = house.publish(document([step("one")]))
    with own_connection() as connection, worker_at_work(make_tools(sandbox)) as house.worker:
        ended = EndedRuns(LonePlans(lambda: connection).of)
        ended.look(connection)
        before = finished()
        run = house.end_of(house.start(version))
        for _ in range(3):
            ended.look(connection)
        assert finished() == before + 1
        Run.objects.filter(pk=run.pk).update(finished_at=run.finished_at.replace(year=2999))
        for _ in range(3):
            ended.look(connection)
        assert finished() == before + 2
