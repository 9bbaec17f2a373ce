"""Retry of what another item's failure has cut short: it goes on where it stood, nothing in it is done twice."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import Effects
from orchestrator.core.outcome import Done, Fail, Outcome, StepFault
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.reopen import retry_run
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers, make_tools, output, worker_at_work
from tests.engine.kinds import Told, kinds
from tests.engine.rows import own_connection
from tests.engine.switched import Switch, at_work, told
from tests.waiting import wait_until

BROKEN = Fail(StepFault(code="broken", message="as told"))


def each(*inside: dict[str, Any], items: int = 2) -> list[dict[str, Any]]:
    """A for-each whose item 0 fails once the gate is open; the others do what is inside."""
    cases = [{"port": "bad", "when": {"$": "item == 0"}}]
    return [
        step("each", "for_each", config={"items": list(range(items))}),
        step("pick", "choose", parent="each", config={"cases": cases}),
        told("gate", parent="each"),
        told("bad", parent="each"),
        *({"parent": "each", **one} for one in inside),
    ]


class Acting(Told):
    """Never begun before what came before it is committed."""

    def effects_of(self, config: JsonObject) -> Effects:
        return "external"


class Cut(Switch):
    """`gate` waits until the test opens it; `slow` too, for another."""

    def __init__(self) -> None:
        super().__init__()
        self.mended = False
        self.gate, self.slow, self.in_slow = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, context: Any) -> Outcome:
        super().__call__(context)
        if context.step_key == "gate":
            assert self.gate.wait(20)
        if context.step_key.startswith("slow"):
            self.in_slow.set()
            assert self.slow.wait(20)
        if context.step_key == "bad" and not self.mended:
            return BROKEN
        return Done(context.step_key)


@pytest.fixture
def cut(house: House, sandbox: Sandbox) -> Iterator[Cut]:
    acts = Cut()
    house.kinds = kinds(told=Acting(acts))  # type: ignore[attr-defined]
    with at_work(house, sandbox, house.kinds):  # type: ignore[attr-defined]
        yield acts


@contextmanager
def elsewhere(house: House, sandbox: Sandbox) -> Iterator[None]:
    """A worker of the queue `elsewhere`, which the other one does not serve."""
    with worker_at_work(make_tools(sandbox, house.kinds), queues=("elsewhere",)):  # type: ignore[attr-defined]
        yield


def fail(house: House, cut: Cut, run_id: UUID) -> None:
    """Let item 0 fail, and with it all; then mend it."""
    cut.gate.set()
    assert house.end_of(run_id).state == "failed"
    stopped = Run.objects.filter(root_run=run_id).exclude(state="running")
    wait_until(
        lambda: stopped.count() == Run.objects.filter(root_run=run_id).count(), 20, "the runs below to hear of it"
    )
    cut.slow.set()
    cut.mended = True
    wait_until(lambda: not Token.objects.filter(run=run_id).exists(), 20, "what was under way to hear of it")


def retry(house: House, run_id: UUID) -> Run:
    """Retry what has failed, and have it succeed."""
    retry_run(run_id, house.actor)
    assert house.worker is not None
    house.worker.poke()
    run = house.end_of(run_id)
    assert (run.state, leftovers(run_id), list(breaches(everything=True))) == ("succeeded", {}, [])
    return run


def test_an_item_whose_step_ended_just_then_goes_on_behind_it(house: House, cut: Cut) -> None:
    """Whoever closes the for-each finds the item's token in other hands, and leaves it to them."""
    wait = step("wait", "delay", config={"for": "PT0S"})
    lines = ("pick.bad > gate > bad", "pick.otherwise > wait > slow > after")
    version = house.publish(document(each(wait, told("slow"), told("after")), *lines), kinds=house.kinds)  # type: ignore[attr-defined]
    run_id = house.start(version)
    assert cut.in_slow.wait(20)
    token = Token.objects.get(run=run_id, node=version.plan["keys"].index("slow"))
    with own_connection() as moving, moving.transaction():
        moving.execute("SELECT 1 FROM orchestrator_token WHERE id = %s FOR UPDATE", [token.pk])
        cut.gate.set()
        assert house.end_of(run_id).state == "failed"
    fail(house, cut, run_id)
    run = retry(house, run_id)
    assert output(run) == [{"bad": "bad", "after": None}, {"bad": None, "after": "after"}]
    assert (cut.attempts("slow"), cut.attempts("after")) == ([1], [1])


@pytest.mark.parametrize(
    ("container", "times"),
    [
        (step("box", "scope"), 1),
        (step("box", "repeat", config={"turns": 3, "until": {"$": "turn == 2"}}), 2),
        (step("box", "for_each", config={"items": [1, 2]}), 2),
    ],
    ids=["scope", "repeat", "for each"],
)
def test_a_container_that_was_cut_short_at_its_end_goes_on_from_there(
    house: House, sandbox: Sandbox, cut: Cut, container: dict[str, Any], times: int
) -> None:
    container = {**container, "queue": "elsewhere"}
    lines = ("pick.bad > gate > bad", "pick.otherwise > box > after")
    raw = document(each(container, told("slow", parent="box"), told("after")), *lines)
    version = house.publish(raw, kinds=house.kinds)  # type: ignore[attr-defined]
    with elsewhere(house, sandbox):
        run_id = house.start(version)
        assert cut.in_slow.wait(20)
    # Its steps end, and nobody takes it further.
    cut.slow.set()
    waiting = Token.objects.filter(run=run_id, queue="elsewhere")
    wait_until(lambda: waiting.filter(state="R").exists(), 20, "the container to be ready to go on")
    fail(house, cut, run_id)
    with elsewhere(house, sandbox):
        retry(house, run_id)
    assert cut.attempts("slow") == [1] * times
    assert cut.attempts("after") == [1]


def test_a_childs_run_that_was_cut_short_goes_on(house: House, cut: Cut) -> None:
    own = {"kinds": house.kinds}  # type: ignore[attr-defined]
    house.publish(document([told("first"), told("slow"), told("last")], "first > slow > last"), slug="child", **own)
    sub = step("sub", "sub_workflow", config={"workflow": "child"})
    raw = document(each(sub, told("after")), "pick.bad > gate > bad", "pick.otherwise > sub > after")
    run_id = house.start(house.publish(raw, **own))
    assert cut.in_slow.wait(20)
    fail(house, cut, run_id)
    child = house.end_of(Run.objects.get(root_run=run_id).pk)
    assert child.state == "cancelled"
    retry(house, run_id)
    assert Run.objects.get(root_run=run_id).state == "succeeded"
    assert (cut.attempts("first"), cut.attempts("slow"), cut.attempts("last")) == ([1], [1], [1])
    assert cut.attempts("after") == [1]


def test_a_childs_run_that_had_just_succeeded_is_not_begun_anew(house: House, sandbox: Sandbox, cut: Cut) -> None:
    own = {"kinds": house.kinds}  # type: ignore[attr-defined]
    house.publish(document([told("slow")]), slug="child", **own)
    sub = step("sub", "sub_workflow", config={"workflow": "child"}, queue="elsewhere")
    raw = document(each(sub, told("after")), "pick.bad > gate > bad", "pick.otherwise > sub > after")
    version = house.publish(raw, **own)
    with elsewhere(house, sandbox):
        run_id = house.start(version)
        assert cut.in_slow.wait(20)
    cut.slow.set()
    assert house.end_of(Run.objects.get(root_run=run_id).pk).state == "succeeded"
    fail(house, cut, run_id)
    with elsewhere(house, sandbox):
        run = retry(house, run_id)
    assert output(run) == [{"bad": "bad", "after": None}, {"bad": None, "after": "after"}]
    assert (Run.objects.filter(root_run=run_id).count(), cut.attempts("slow")) == (1, [1])
