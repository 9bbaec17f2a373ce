"""Lanes of a for-each: what leaves them, what kills them, what stops them in the middle."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from orchestrator.core.kinds import Kinds
from orchestrator.core.outcome import Done, Fail, Outcome, Retry, StepFault
from orchestrator.engine import roots
from orchestrator.engine.lease import Lease
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import HumanTask, Run, Scope, StepLog, Token, User
from orchestrator.models.ballot import digest_of
from orchestrator.models.scope import BLOCK
from orchestrator.models.workspace import Role
from orchestrator.queries.actors import actor_in
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.tasks import decide_task
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.engine.house import House, error, leftovers, make_tools, output, worker_at_work
from tests.engine.house import keeper_at_work as keeper
from tests.engine.kinds import Held, Told, kinds
from tests.scenarios.conftest import person
from tests.waiting import wait_until

AGAIN = {"attempts": 3, "first": "PT0S", "factor": 1, "cap": "PT0S", "jitter": "none"}


@contextmanager
def at_work(house: House, sandbox: Sandbox, known: Kinds) -> Iterator[None]:
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper(house.worker.poke):
        yield


def place(context: Any) -> int:
    """The item's place in the list."""
    return int(context.lease.scope_id % BLOCK) - 1


def drawing(total: int, *inside: dict[str, Any], lines: tuple[str, ...] = (), **config: Any) -> dict[str, Any]:
    items = {"$": f"list(range({total}))"}
    each = step("each", "for_each", config={"items": items, **config})
    return document([each, *({"parent": "each", **one} for one in inside)], *lines)


def ended(house: House, run_id: UUID, state: str = "succeeded") -> Run:
    run = house.end_of(run_id, 30)
    assert run.state == state, run.error
    assert leftovers(run_id) == {}
    assert list(breaches()) == []
    return run


def successes(run_id: UUID, node: int = 1) -> Counter[int]:
    """Item -> how often the log has a success of that node."""
    scopes = StepLog.objects.filter(run_id=run_id, node=node, outcome="S").values_list("scope_id", flat=True)
    return Counter(scope % BLOCK - 1 for scope in scopes)


def test_an_item_that_must_be_tried_again_leaves_and_comes_back_in_its_place(house: House, sandbox: Sandbox) -> None:
    def answer(context: Any) -> Outcome:
        if place(context) % 10 == 3 and context.attempt < 3:
            return Retry(StepFault(code="flaky", message="not yet"))
        return Done(place(context))

    known = kinds(told=Told(answer))
    version = house.publish(drawing(40, step("a", "told", retry=AGAIN)), kinds=known)
    with at_work(house, sandbox, known):
        run = ended(house, house.start(version))
    assert output(run) == list(range(40))
    tried = StepLog.objects.filter(run=run, node=1, outcome="F").values_list("scope_id", flat=True)
    assert Counter(scope % BLOCK - 1 for scope in tried) == {3: 2, 13: 2, 23: 2, 33: 2}


def test_an_item_that_overstays_leaves_its_lane_and_the_others_go_on(house: House, sandbox: Sandbox) -> None:
    held = Held(listens=False)

    def answer(context: Any) -> Outcome:
        return held.run(context, context) if place(context) == 5 else Done(place(context))

    known = kinds(told=Told(answer))
    inside = step("a", "told", timeout="PT0.2S", retry={**AGAIN, "attempts": 1})
    version = house.publish(drawing(12, inside, parallel=1, tolerate={"count": 1}), kinds=known)
    with at_work(house, sandbox, known):
        run = ended(house, house.start(version))
        held.release.set()
    assert output(run) == [0, 1, 2, 3, 4, None, *range(6, 12)]
    assert list(StepLog.objects.filter(run=run, node=1, outcome="T").values_list("scope_id", flat=True)) == [
        Scope.objects.get(run=run).pk + 6
    ]


def test_pausing_stops_a_for_each_between_items_and_resuming_ends_it(house: House, sandbox: Sandbox) -> None:
    held = Held()

    def answer(context: Any) -> Outcome:
        return held.run(context, context) if place(context) == 50 else Done(place(context))

    known = kinds(told=Told(answer))
    version = house.publish(drawing(640, step("a", "told"), parallel=1), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        held.enter()
        pause_run(run_id, house.actor)
        held.release.set()
        wait_until(Token.objects.filter(run_id=run_id, state="H").exists, 10, "the lane to be held")
        done = successes(run_id)
        assert done[50] == 1
        assert len(done) < 640
        resume_run(run_id, house.actor)
        run = ended(house, run_id)
    assert successes(run_id) == Counter(range(640))
    assert len(output(run)) == 640


def test_cancelling_in_the_middle_ends_all_lanes(house: House, sandbox: Sandbox) -> None:
    held = Held()
    known = kinds(told=Told(lambda context: held.run(context, context)))
    version = house.publish(drawing(100, step("a", "told"), parallel=2), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        held.enter()
        held.enter()
        cancel_run(run_id, house.actor)
        held.release.set()
        ended(house, run_id, "cancelled")
    assert len(successes(run_id)) < 100


def test_for_each_in_for_each_in_repeat(house: House, at_work: None) -> None:
    raw = document(
        [
            step("again", "repeat", config={"turns": 3, "until": {"$": "turn == 2"}}),
            step("rows", "for_each", parent="again", config={"items": {"$": "[10, 20, 30]"}}),
            step("row", "transform", parent="rows", config={"value": {"$": "item + index"}}),
            step("cells", "for_each", parent="rows", config={"items": {"$": "[steps.row, turn, 5]"}}),
            step("cell", "transform", parent="cells", config={"value": {"$": "item * 2"}}),
        ],
        "row > cells",
    )
    run = ended(house, house.start(house.publish(raw)))
    assert output(run) == [[20, 4, 10], [42, 4, 10], [64, 4, 10]]


def test_items_that_wait_for_a_person_end_in_their_order(house: House, sandbox: Sandbox) -> None:
    known = kinds()
    form = {"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}], "assignees": {"users": ["ann"]}}
    ask = step("ask", "human_task", config=form)
    then = step("then", config={"value": {"$": "[item, steps.ask.outcome]"}})
    version = house.publish(drawing(3, ask, then, lines=("ask.yes > then",)), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        wait_until(lambda: HumanTask.objects.filter(run_id=run_id).count() == 3, 10, "three people to be asked")
        ann = person(house, "ann", Role.APPROVER)
        for task in HumanTask.objects.filter(run_id=run_id).order_by("-token_id"):
            answered(house, ann, task)
        run = ended(house, run_id)
    assert output(run) == [[0, "yes"], [1, "yes"], [2, "yes"]]


def answered(house: House, person: User, task: HumanTask) -> None:
    actor = actor_in(house.workspace.slug, person)
    assert actor is not None
    decide_task(task_id=task.pk, actor=actor, outcome="yes", values={}, comment="", digest=digest_of(task))
    assert house.worker is not None
    house.worker.poke()


@pytest.mark.parametrize("total", [99_999, 100_000, 100_001])
def test_the_longest_list(house: House, sandbox: Sandbox, total: int) -> None:
    """The limit itself; that as many items are gone through is the bench's part."""
    known = kinds(told=Told(lambda context: Fail(StepFault(code="stop", message="enough"))))
    version = house.publish(drawing(total, step("a", "told")), kinds=known)
    with at_work(house, sandbox, known):
        run = ended(house, house.start(version), "failed")
    assert error(run)["code"] == ("too_many_items" if total > 100_000 else "items_failed")


def test_a_literal_list_that_is_too_long_is_a_problem_of_the_drawing() -> None:
    (problem,) = KINDS["for_each"].check({"items": [0] * 100_001})
    assert (problem.code, problem.path) == ("too_many_items", "items")


def test_outputs_that_are_too_large_together_stay_where_they_are(house: House, sandbox: Sandbox) -> None:
    known = kinds(told=Told(lambda context: Done("x" * 1_000_000)))
    version = house.publish(drawing(12, step("a", "told")), kinds=known)
    with at_work(house, sandbox, known):
        run = ended(house, house.start(version))
    assert (output(run)["step"], output(run)["total"]) == ("each", 12)
    assert 12_000_000 < output(run)["bytes"] < 12_001_000


def test_outputs_that_just_fit_are_kept(house: House, sandbox: Sandbox) -> None:
    known = kinds(told=Told(lambda context: Done("x" * 1_000_000)))
    version = house.publish(drawing(7, step("a", "told")), kinds=known)
    with at_work(house, sandbox, known):
        run = ended(house, house.start(version))
    assert [len(text) for text in output(run)] == [1_000_000] * 7


def test_a_large_input_is_not_read_again_for_every_item(house: House, sandbox: Sandbox) -> None:
    value = {"items": list(range(200)), "text": "x" * 50_000}
    each = step("each", "for_each", config={"items": {"$": "input.items"}})
    raw = document([each, step("a", parent="each", config={"value": {"$": "item + len(input.text)"}})])
    version = house.publish(raw)
    read: list[str] = []
    with at_work(house, sandbox, kinds()):
        counted(house, read)
        run = ended(house, house.start(version, value))
    assert output(run)[-1] == 50_199
    # Once for the for-each, once for each of its lanes, once for the run's end: never once for each item.
    assert len(read) <= 40


def counted(house: House, read: list[str]) -> None:
    assert house.worker is not None
    reader = house.worker._insides.roots
    original = reader._input

    def spy(lease: Lease) -> Any:
        if lease.run.input_ref is not None and roots.INPUT not in lease.outer:
            read.append(str(lease.run.run_id))
        return original(lease)

    reader._input = spy  # type: ignore[method-assign]
