"""Retry of what failed inside containers and sub-workflows: what succeeded stays, under the same keys."""

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.core.errors import BranchlineError
from orchestrator.core.outcome import Done, Fail, Outcome, StepFault
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, Scope, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.bulk import change_runs
from orchestrator.services.control import cancel_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.repeat_preview import preview_rerun, preview_retry
from orchestrator.services.rerun import rerun_step
from orchestrator.services.retry_step import retry_step
from orchestrator.services.skip import preview_skip, skip_step
from orchestrator.services.undo import undo_run
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers, output
from tests.engine.kinds import Told, kinds
from tests.engine.switched import Switch, at_work
from tests.waiting import wait_until

BROKEN = Fail(StepFault(code="broken", message="as told"))


class Repaired(Switch):
    """Fails as told until `mended`."""

    def __init__(self) -> None:
        super().__init__()
        self.mended = False
        self.seen_items: list[Any] = []

    def __call__(self, context: Any) -> Outcome:
        super().__call__(context)
        where = context.roots.get("item", context.roots.get("turn"))
        self.seen_items.append((context.step_key, where))
        if context.step_key.startswith("bad") and not self.mended and where in (None, 2, 5, 7):
            return BROKEN
        return Done(where)


@pytest.fixture
def acts() -> Repaired:
    return Repaired()


@pytest.fixture
def busy(house: House, sandbox: Sandbox, acts: Repaired) -> Iterator[None]:
    house.kinds = kinds(told=Told(acts))  # type: ignore[attr-defined]
    with at_work(house, sandbox, house.kinds):  # type: ignore[attr-defined]
        yield


def told(key: str, **more: Any) -> dict[str, Any]:
    """A step that reads what is around it, so that its handler sees it."""
    return step(key, "told", **more)


def retried(house: House, acts: Repaired, raw: dict[str, Any], count: int) -> Run:
    """Run until it fails, mend, retry; the steps that succeeded are not run again."""
    version = house.publish(raw, kinds=house.kinds)  # type: ignore[attr-defined]
    run_id = house.start(version)
    assert house.end_of(run_id).state == "failed"
    blocks = Scope.objects.filter(run=run_id).count()
    acts.mended = True
    retry_run(run_id, house.actor)
    assert house.worker is not None
    house.worker.poke()
    run = house.end_of(run_id)
    assert (run.state, leftovers(run_id), list(breaches(everything=True))) == ("succeeded", {}, [])
    assert StepLog.objects.filter(run=run_id, outcome="S", node__gte=0).count() == count
    assert Scope.objects.filter(run=run_id).count() == blocks
    return run


def test_a_step_in_a_scope(house: House, busy: None, acts: Repaired) -> None:
    raw = document([step("box", "scope"), told("a", parent="box"), told("bad", parent="box")], "a > bad")
    retried(house, acts, raw, 3)
    assert acts.attempts("a") == [1]
    assert acts.attempts("bad") == [1, 2]
    assert len(acts.keys("bad")) == 1


def test_a_step_in_scopes_in_scopes_beside_another_branch(house: House, busy: None, acts: Repaired) -> None:
    raw = document(
        [
            step("box", "scope"),
            step("inner", "scope", parent="box"),
            told("beside", parent="box"),
            told("a", parent="inner"),
            told("bad", parent="inner"),
            told("after"),
        ],
        "a > bad",
        "box > after",
    )
    retried(house, acts, raw, 6)
    assert (acts.attempts("a"), acts.attempts("beside"), acts.attempts("after")) == ([1], [1], [1])


def test_a_turn_of_a_repeat(house: House, busy: None, acts: Repaired) -> None:
    config = {"turns": 5, "until": {"$": "turn == 3"}}
    bad = told("bad", parent="again", config=READS_TURN)
    raw = document([step("again", "repeat", config=config), told("a", parent="again"), bad], "a > bad")
    retried(house, acts, raw, 7)
    assert len(acts.attempts("a")) == 3


READS_TURN = {"note": {"$": "turn"}}
READS_ITEM = {"note": {"$": "item"}}


@pytest.mark.parametrize("slow", [False, True])
def test_the_failed_items_of_a_for_each(house: House, busy: None, acts: Repaired, slow: bool) -> None:
    config = {"items": list(range(10)), "tolerate": {"count": 2}}
    steps = [
        step("each", "for_each", config=config),
        told("a", parent="each"),
        told("bad", parent="each", config=READS_ITEM),
    ]
    if slow:
        steps.append(step("w", "delay", config={"for": "PT0S"}, parent="each"))
    raw = document(steps, "a > bad", *(["w > a"] if slow else []))
    run = retried(house, acts, raw, 21 + 10 * slow)
    # What was under way when the others failed may have acted once more; in the log every success stands once.
    assert output(run) == list(range(10))


def test_a_childs_run_goes_on(house: House, busy: None, acts: Repaired) -> None:
    house.publish(document([told("a"), told("bad")], "a > bad"), slug="child", kinds=house.kinds)  # type: ignore[attr-defined]
    raw = document([told("first"), step("sub", "sub_workflow", config={"workflow": "child"})], "first > sub")
    run = retried(house, acts, raw, 2)
    child = Run.objects.get(parent_run=run)
    assert (child.state, acts.attempts("a"), acts.attempts("bad")) == ("succeeded", [1], [1, 2])


def failed_family(house: House) -> tuple[Run, Run, Run]:
    """A run, its sub-workflow and that one's own: the innermost has failed at its second step."""
    known = house.kinds  # type: ignore[attr-defined]
    house.publish(document([told("a"), told("bad")], "a > bad"), slug="child", kinds=known)
    house.publish(document([step("low", "sub_workflow", config={"workflow": "child"})]), slug="middle", kinds=known)
    raw = document([step("sub", "sub_workflow", config={"workflow": "middle"})])
    top = house.end_of(house.start(house.publish(raw, kinds=known)))
    middle = Run.objects.get(parent_run=top)
    child = Run.objects.get(parent_run=middle)
    assert (top.state, middle.state, child.state) == ("failed", "failed", "failed")
    return top, middle, child


@pytest.mark.parametrize("child_first", [True, False])
def test_many_runs_are_retried_at_the_top_and_nothing_runs_twice(
    house: House, busy: None, acts: Repaired, child_first: bool
) -> None:
    top, middle, child = failed_family(house)
    chosen = [child.pk, middle.pk, top.pk] if child_first else [top.pk, middle.pk, child.pk]
    acts.mended = True
    told = change_runs("retry", chosen, house.actor, dry_run=True)
    assert {result.run_id: result.code for result in told} == {
        child.pk: "run_of_sub_workflow",
        middle.pk: "run_of_sub_workflow",
        top.pk: "",
    }
    done = change_runs("retry", chosen, house.actor)
    assert [result.run_id for result in done if result.ok] == [top.pk]
    assert house.worker is not None
    house.worker.poke()
    assert house.end_of(top.pk).state == "succeeded"
    assert [run.state for run in Run.objects.filter(root_run=top)] == ["succeeded", "succeeded"]
    assert (acts.attempts("a"), acts.attempts("bad")) == ([1], [1, 2])
    assert list(breaches(everything=True)) == []


def test_the_ended_run_of_a_sub_workflow_is_not_changed_alone(house: House, busy: None) -> None:
    top, _, child = failed_family(house)
    for change in (
        lambda: retry_run(child.pk, house.actor),
        lambda: preview_retry(child.pk, house.actor),
        lambda: retry_step(child.pk, "bad", house.actor),
        lambda: rerun_step(child.pk, "a", house.actor),
        lambda: preview_rerun(child.pk, "a", house.actor),
        lambda: skip_step(child.pk, "bad", house.actor),
        lambda: preview_skip(child.pk, "bad", house.actor),
    ):
        with pytest.raises(BranchlineError, match=f"{top.pk}.*goes on from where this one failed") as refused:
            change()
        assert (refused.value.error_code, refused.value.status) == ("run_of_sub_workflow", 409)
        assert refused.value.details == {"top": str(top.pk)}
    child.refresh_from_db()
    assert (child.state, child.generation) == ("failed", 0)


def test_it_is_refused_though_the_run_above_has_handled_the_failure(house: House, busy: None) -> None:
    known = house.kinds  # type: ignore[attr-defined]
    house.publish(document([told("a"), told("bad")], "a > bad"), slug="child", kinds=known)
    raw = document([step("sub", "sub_workflow", config={"workflow": "child"}), step("rescue")], "sub.error > rescue")
    top = house.end_of(house.start(house.publish(raw, kinds=known)))
    assert top.state == "succeeded"
    child = Run.objects.get(parent_run=top)
    with pytest.raises(BranchlineError, match=f'Re-run step "sub" of run {top.pk}') as refused:
        retry_run(child.pk, house.actor)
    assert refused.value.error_code == "run_of_sub_workflow"


def waiting_family(house: House) -> tuple[Run, Run, Run]:
    """A run, its sub-workflow in a scope and that one's own: the innermost waits for an hour."""
    known = house.kinds  # type: ignore[attr-defined]
    house.publish(document([step("wait", "delay", config={"for": "PT1H"})]), slug="child", kinds=known)
    house.publish(document([step("low", "sub_workflow", config={"workflow": "child"})]), slug="middle", kinds=known)
    raw = document([step("box", "scope"), step("sub", "sub_workflow", config={"workflow": "middle"}, parent="box")])
    run_id = house.start(house.publish(raw, kinds=known))
    wait_until(Run.objects.filter(root_run=run_id, depth=2, tokens__state="W").exists, 20, "the child to wait")
    middle = Run.objects.get(parent_run=run_id)
    return Run.objects.get(pk=run_id), middle, Run.objects.get(parent_run=middle)


def test_below_a_cancelled_run_it_names_the_step_to_run_again(house: House, busy: None) -> None:
    top, middle, child = waiting_family(house)
    cancel_run(top.pk, house.actor)
    for run in (top, middle, child):
        assert house.end_of(run.pk).state == "cancelled"
    for run in (middle, child):
        with pytest.raises(BranchlineError, match=f'Re-run step "box" of run {top.pk}') as refused:
            retry_run(run.pk, house.actor)
        assert refused.value.error_code == "run_of_sub_workflow"
    rerun_step(top.pk, "box", house.actor)  # the way that it names is open
    assert Run.objects.get(pk=top.pk).state == "running"
    cancel_run(top.pk, house.actor)


def test_below_a_run_that_goes_on_it_names_the_step_to_run_again(house: House, busy: None) -> None:
    """The step took its error port: the run above has no failure that a retry could begin with."""
    known = house.kinds  # type: ignore[attr-defined]
    house.publish(document([told("a"), told("bad")], "a > bad"), slug="child", kinds=known)
    steps = [step("sub", "sub_workflow", config={"workflow": "child"}), step("wait", "delay", config={"for": "PT1H"})]
    run_id = house.start(house.publish(document(steps, "sub.error > wait"), kinds=known))
    wait_until(Token.objects.filter(run_id=run_id, state="W", node=1).exists, 20, "the run above to go on")
    with pytest.raises(BranchlineError, match=f'Re-run step "sub" of run {run_id}') as refused:
        retry_run(Run.objects.get(parent_run=run_id).pk, house.actor)
    assert refused.value.error_code == "run_of_sub_workflow"
    rerun_step(run_id, "sub", house.actor)  # the way that it names is open
    cancel_run(run_id, house.actor)


def test_a_run_goes_on_without_a_step_while_the_one_above_still_waits(house: House, busy: None) -> None:
    """Its child has ended, its other branch is open: the child is still not changed alone."""
    known = house.kinds  # type: ignore[attr-defined]
    house.publish(document([told("a"), told("bad")], "a > bad"), slug="child", kinds=known)
    steps = [step("sub", "sub_workflow", config={"workflow": "child"}), step("wait", "delay", config={"for": "PT1H"})]
    meet = step("meet", "merge", join={"on_branch_failure": "finish"})
    version = house.publish(document([*steps, meet], "sub > meet", "wait > meet"), kinds=known)
    run_id = house.start(version)
    failed = Run.objects.filter(parent_run=run_id, state="failed")
    wait_until(failed.exists, 20, "the child to fail")
    with pytest.raises(BranchlineError) as refused:
        retry_run(failed.get().pk, house.actor)
    assert refused.value.error_code == "run_of_sub_workflow"
    assert Run.objects.get(pk=run_id).state == "running"
    skip_step(run_id, "wait", house.actor)


def test_below_a_run_that_failed_elsewhere_it_names_the_step_to_run_again(house: House, busy: None) -> None:
    """The failure of the sub-workflow was taken: a retry of the run above would begin with another step."""
    known = house.kinds  # type: ignore[attr-defined]
    house.publish(document([told("a"), told("bad")], "a > bad"), slug="child", kinds=known)
    steps = [step("sub", "sub_workflow", config={"workflow": "child"}), told("bad_too")]
    top = house.end_of(house.start(house.publish(document(steps, "sub.error > bad_too"), kinds=known)))
    assert top.state == "failed"
    with pytest.raises(BranchlineError, match=f'Re-run step "sub" of run {top.pk}') as refused:
        retry_run(Run.objects.get(parent_run=top).pk, house.actor)
    assert refused.value.error_code == "run_of_sub_workflow"
    rerun_step(top.pk, "sub", house.actor)  # the way that it names is open


def test_below_an_undone_run_it_names_a_new_run(house: House, busy: None) -> None:
    top, _, child = failed_family(house)
    undo_run(top.pk, house.actor)
    assert house.end_of(top.pk).state == "undone"
    Run.objects.filter(pk=child.pk).update(state="failed")
    with pytest.raises(BranchlineError, match=f'Run {top.pk} is "undone".*start a new run') as refused:
        retry_run(child.pk, house.actor)
    assert refused.value.error_code == "run_of_sub_workflow"
