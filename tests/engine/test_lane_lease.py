"""How long a lane of a for-each stays with its worker, and what the items in it hear of that."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db.models import F

from orchestrator.core.kinds import Kinds
from orchestrator.core.outcome import Done, Fail, Outcome, StepFault
from orchestrator.engine import lane as lanes
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.lease import LANE
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token
from orchestrator.models.scope import BLOCK
from orchestrator.queries.fsck import breaches
from orchestrator.services.reopen import retry_run
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers, make_tools, output, worker_at_work
from tests.engine.kinds import Held, Told, kinds
from tests.engine.rows import own_connection, take_over
from tests.waiting import wait_until

OTHER = 11  # a session of another process, which does not live
ONCE = {"attempts": 1, "first": "PT0S", "factor": 1, "cap": "PT0S", "jitter": "none"}


def drawing(*inside: dict[str, Any], lines: tuple[str, ...] = ()) -> dict[str, Any]:
    each = step("each", "for_each", config={"items": [0, 1, 2], "parallel": 1})
    return document([each, *({"parent": "each", **one} for one in inside)], *lines)


def place(context: Any) -> int:
    return int(context.lease.scope_id % BLOCK) - 1


@contextmanager
def at_work(house: House, sandbox: Sandbox, known: Kinds, raw: dict[str, Any]) -> Iterator[UUID]:
    version = house.publish(raw, kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker:
        yield house.start(version)


def pass_seconds(run_id: UUID, seconds: float) -> None:
    """What the keeper sees so many seconds later; the process lives and its session beats."""
    Token.objects.filter(run_id=run_id, state="L").update(deadline_at=F("deadline_at") - timedelta(seconds=seconds))


def ended(house: House, run_id: UUID) -> Run:
    run = house.end_of(run_id)
    assert run.state == "succeeded", run.error
    assert (leftovers(run_id), list(breaches())) == ({}, [])
    return run


LONG = (step("a", "told", timeout="PT5M"),)
SEVERAL = (step("a", "told"), step("b", "told"))


@pytest.mark.parametrize(
    ("inside", "lines", "healthy", "hangs"),
    [
        (LONG, (), 301, 311),
        (SEVERAL, ("a > b",), 61, 71),  # each has its 30 s
    ],
)
def test_a_lane_is_taken_over_only_once_an_item_cannot_be_at_work_any_more(
    house: House, sandbox: Sandbox, inside: Any, lines: Any, healthy: float, hangs: float
) -> None:
    held = Held(listens=False)

    def answer(context: Any) -> Outcome:
        # What overstays is given up by its worker: here the lane hangs where no step's time-out can see it.
        return held.run(context, context) if context.step_key == "a" else Done(place(context))

    with at_work(house, sandbox, kinds(told=Told(answer)), drawing(*inside, lines=lines)) as run_id:
        held.enter()
        pass_seconds(run_id, healthy)
        assert take_over() == []
        pass_seconds(run_id, hangs - healthy)
        assert [(row["n"], row["dead"]) for row in take_over()] == [(1, False)]
        held.release.set()
        assert len(output(ended(house, run_id))) == 3


def test_a_lane_has_its_time_anew_once_something_is_stored(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "PACE", 0.0)
    first, second = Held(), Held()
    known = kinds(told=Told(lambda context: (second if place(context) else first).run(context, context)))
    with at_work(house, sandbox, known, drawing(*LONG)) as run_id:
        first.enter()
        pass_seconds(run_id, 301)
        first.release.set()
        second.enter()
        pass_seconds(run_id, 301)
        assert take_over() == []
        second.release.set()
        ended(house, run_id)


def test_a_retry_gives_its_lanes_the_same_time(house: House, sandbox: Sandbox) -> None:
    broken = True

    def answer(context: Any) -> Outcome:
        return Fail(StepFault(code="no", message="no")) if broken and place(context) == 1 else Done(place(context))

    known = kinds(told=Told(answer))
    with at_work(house, sandbox, known, drawing({**LONG[0], "retry": ONCE})) as run_id:
        assert house.end_of(run_id).state == "failed"
    retry_run(run_id, house.actor)
    assert set(Token.objects.filter(run_id=run_id, phase=LANE).values_list("timeout", flat=True)) == {300.0}
    broken = False
    with worker_at_work(make_tools(sandbox, known)):
        assert output(ended(house, run_id)) == [0, 1, 2]


def test_items_hear_of_no_cancellation_while_their_lane_goes_on(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call of a lane uses its epoch up; that is no sign that somebody else has its token."""
    monkeypatch.setattr(lanes, "PACE", 0.0)
    held = [Held() for _ in range(3)]
    heard: list[int] = []

    def answer(context: Any) -> Outcome:
        outcome = held[place(context)].run(context, context)
        heard.extend([place(context)] * context.cancelled())
        return outcome

    with at_work(house, sandbox, kinds(told=Told(answer)), drawing(*LONG)) as run_id:
        for one in held:
            one.enter()
            looked_after(house)
            one.release.set()
        ended(house, run_id)
    assert heard == []


def test_items_hear_that_their_lane_was_taken_away(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "PACE", 0.0)
    first, second = Held(), Held(listens=True)
    known = kinds(told=Told(lambda context: (second if place(context) else first).run(context, context)))
    with at_work(house, sandbox, known, drawing(*LONG)) as run_id:
        first.enter()
        first.release.set()
        second.enter()
        Token.objects.filter(run_id=run_id, phase=LANE).update(session_id=OTHER, epoch=F("epoch") + 2)
        looked_after(house)
        assert house.worker is not None
        attempts = house.worker._attempts
        wait_until(lambda: not attempts, 10, "the lane to be let go")
        second.release.set()
        take_over()
        house.worker.poke()
        assert output(ended(house, run_id)) == ["held"] * 3


def looked_after(house: House) -> None:
    """What the worker does each second."""
    assert house.worker is not None
    with own_connection() as connection:
        house.worker._upkeep.see_to(connection)


def test_a_handler_that_ends_just_as_it_is_given_up_costs_no_other_its_time(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, after, given_up = Held(listens=False), Held(), threading.Event()
    held = {"a": late, "b": after}
    known = kinds(told=Told(lambda context: held[context.step_key].run(context, context)))
    inside = step("a", "told", timeout="PT0.2S"), step("b", "told", timeout="PT5M")
    version = house.publish(drawing(*inside, lines=("a > b",)), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker:
        overstaying = house.worker._overstaying
        give_up = overstaying._give_up

        def just_ended(attempt: Attempt) -> None:
            late.release.set()
            after.enter()
            give_up(attempt)
            given_up.set()

        monkeypatch.setattr(overstaying, "_give_up", just_ended)
        run_id = house.start(version)
        assert given_up.wait(20)
        monkeypatch.setattr(overstaying, "_give_up", give_up)
        after.release.set()
        assert output(ended(house, run_id)) == ["held"] * 3
    assert set(StepLog.objects.filter(run_id=run_id).values_list("outcome", flat=True)) == {"S"}
