"""Re-run from a step, and skip one: what is repeated, what is kept, who reads which output."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from orchestrator.core.errors import BranchlineError
from orchestrator.core.outcome import Done
from orchestrator.core.parse import parse_document
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Gate, HumanTask, Payload, Run, RunRecord, StepLog, Token, Version
from orchestrator.queries.fsck import breaches
from orchestrator.queries.step_runs import step_runs
from orchestrator.services.control import cancel_run, pause_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.repeat_preview import preview_rerun, preview_retry
from orchestrator.services.rerun import rerun_step
from orchestrator.services.skip import skip_step
from orchestrator.services.versions import publish_version
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers, output
from tests.engine.kinds import Held, Told, kinds
from tests.engine.switched import DIAMOND, Switch, again, at_work, ended, fails, told
from tests.waiting import wait_until


def refused(change: Callable[[], Any]) -> str:
    with pytest.raises(BranchlineError) as caught:
        change()
    assert caught.value.status in {400, 404, 409}
    return caught.value.error_code


def states(run_id: UUID) -> dict[str, str]:
    return {item.key: str(item.state) for item in step_runs(Run.objects.get(pk=run_id)).items}


def counter(switch: Switch) -> Callable[[Any], Done]:
    return lambda context: Done(len(switch.attempts(context.step_key)))


def test_a_step_and_what_is_behind_it_run_again_under_new_keys(house: House, sandbox: Sandbox) -> None:
    switch = Switch()
    for key in "abcde":
        switch.answers[key] = counter(switch)
    known = kinds(told=Told(switch))
    version = house.publish({**DIAMOND, "output": {"$": "[steps.a, steps.b, steps.c, steps.d]"}}, kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        assert output(ended(house, run_id, "succeeded")) == [1, 1, 1, 1]
        preview = preview_rerun(run_id, "b", house.actor)
        assert [one.key for one in preview.first] == ["b"]
        assert [(one.key, one.had) for one in preview.behind] == [("d", "succeeded"), ("e", "succeeded")]
        assert preview.new_keys
        assert again(house, lambda: rerun_step(run_id, "b", house.actor, "wrong price")) == "running"
        run = ended(house, run_id, "succeeded")
        assert output(run) == [1, 2, 1, 2], "later steps read the newest generation"
        again(house, lambda: rerun_step(run_id, "d", house.actor))
        assert output(ended(house, run_id, "succeeded")) == [1, 2, 1, 3]
    assert run.generation == 1
    assert Run.objects.get(pk=run_id).generation == 2
    assert [switch.attempts(key) for key in "abcde"] == [[1], [1, 1], [1], [1, 1, 1], [1, 1, 1]]
    assert switch.keys("b") == {f"{run_id}:1:0:0", f"{run_id}:1:0:1"}
    assert switch.keys("d") == {f"{run_id}:3:0:{generation}" for generation in range(3)}
    records = RunRecord.objects.filter(run_id=run_id, kind="rerun").order_by("id").values_list("detail", flat=True)
    assert list(records) == [{"step": "b", "generation": 1, "reason": "wrong price"}, {"step": "d", "generation": 2}]
    assert list(breaches()) == []


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_an_ended_run_is_opened_again(house: House, sandbox: Sandbox, state: str) -> None:
    switch = Switch(**({"c": fails} if state == "failed" else {}))
    switch.answers["b"] = lambda context: Done("PT1H" if state == "cancelled" else "PT0.1S")
    known = kinds(told=Told(switch))
    steps = [told("a"), told("b"), told("c"), step("wait", "delay", config={"for": {"$": "steps.b"}})]
    version = house.publish(document(steps, "a > b > wait > c"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        if state == "cancelled":
            wait_until(Token.objects.filter(run_id=run_id, state="W").exists, 10, "the delay")
            cancel_run(run_id, house.actor)
        ended(house, run_id, state)
        switch.answers = {"b": lambda context: Done("PT0.1S")}
        again(house, lambda: rerun_step(run_id, "b", house.actor))
        run = ended(house, run_id, "succeeded")
    assert (run.error, run.control, run.closing) == (None, "-", None)
    assert states(run_id) == dict.fromkeys(("a", "b", "wait", "c"), "succeeded")


def test_another_path_may_be_taken_and_the_old_one_counts_as_skipped(house: House, sandbox: Sandbox) -> None:
    choose = {
        "mode": "exclusive",
        "cases": [{"port": "big", "when": {"$": "steps.a > 1"}}],
    }
    switch = Switch()
    switch.answers["a"] = counter(switch)
    known = kinds(told=Told(switch))
    steps = [told("a"), step("which", "choose", config=choose), told("small"), told("big"), told("last")]
    lines = ("a > which", "which.otherwise > small", "which.big > big", "small > last", "big > last")
    version = house.publish(document(steps, *lines, output={"$": "[steps.small, steps.big]"}), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        assert output(ended(house, run_id, "succeeded")) == ["small", None]
        again(house, lambda: rerun_step(run_id, "a", house.actor))
        run = ended(house, run_id, "succeeded")
    assert output(run) == [None, "big"]
    assert states(run_id) == {
        **dict.fromkeys(("a", "which", "big", "last"), "succeeded"),
        "small": "skipped",
    }


def test_an_open_run_takes_away_what_is_behind(house: House, sandbox: Sandbox) -> None:
    """A form behind the step closes, a running step is fenced, an independent branch goes on."""
    held = Held(listens=False)
    switch = Switch()
    known = kinds(told=Told(switch), held=held)
    form = {"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}]}
    steps = [told("a"), step("ask", "human_task", config=form), step("work", "held"), step("own", "delay")]
    steps[3]["config"] = {"for": "PT10M"}
    version = house.publish(document([*steps, told("meet")], "a > ask", "a > work > meet", "own > meet"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        held.enter()
        wait_until(HumanTask.objects.waiting().filter(run_id=run_id).exists, 10, "the form")
        first = HumanTask.objects.get(run_id=run_id)
        # It began beside the step: only when it waits has it made its last move.
        parked = Token.objects.filter(run_id=run_id, node=version.plan["keys"].index("own"), state="W")
        wait_until(parked.exists, 10, "the independent delay")
        own = parked.get()
        again(house, lambda: rerun_step(run_id, "a", house.actor))
        held.enter()
        first.refresh_from_db()
        assert first.state == "cancelled"
        wait_until(HumanTask.objects.waiting().filter(run_id=run_id).exists, 10, "the form again")
        assert Token.objects.get(pk=own.pk).epoch == own.epoch, "what is not behind the step is not touched"
        held.release.set()
        node = version.plan["keys"].index("work")
        wait_until(StepLog.objects.filter(run_id=run_id, node=node, outcome="S").exists, 10, "the work to end")
        rows = StepLog.objects.filter(run_id=run_id, node=node, attempt__gt=0).order_by("generation")
        assert list(rows.values_list("generation", "outcome")) == [(0, "K"), (1, "S")]
        meet = Gate.objects.get(run_id=run_id, gate=version.plan["keys"].index("meet"))
        assert (meet.ok, meet.verdict, meet.generation) == (1, "O", 1)
    assert list(breaches()) == []


def test_a_late_branch_fires_the_join_in_the_new_generation(house: House, sandbox: Sandbox) -> None:
    """The kept branch arrives last, with an old token: the join's step still gets a new key."""
    switch = Switch()
    held = Held()
    known = kinds(told=Told(switch), held=held)
    steps = [told("a"), step("slow", "held"), told("meet", join={"mode": "any"}), told("last")]
    version = house.publish(document(steps, "a > meet", "slow > meet", "meet > last"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        held.enter()
        # The row, not the attempt: a pure step begins ahead of the commit that led to it.
        wait_until(StepLog.objects.filter(run_id=run_id, node=3, outcome="S").exists, 10, "the join to fire early")
        pause_run(run_id, house.actor)
        rerun_step(run_id, "a", house.actor)
        assert states(run_id)["last"] == "waiting"
        held.release.set()
        wait_until(Token.objects.filter(run_id=run_id, state="H", node=2).exists, 10, "the join to fire again")
        token = Token.objects.get(run_id=run_id, node=2)
        assert token.generation == 1


def test_a_step_that_never_ran_cannot_be_repeated(house: House, sandbox: Sandbox) -> None:
    switch = Switch(a=fails)
    known = kinds(told=Told(switch))
    version = house.publish(document([told("a"), told("b")], "a > b"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
    assert refused(lambda: rerun_step(run_id, "b", house.actor)) == "step_never_ran"
    assert refused(lambda: preview_rerun(run_id, "b", house.actor)) == "step_never_ran"
    assert refused(lambda: rerun_step(run_id, "nosuch", house.actor)) == "not_found"
    Run.objects.filter(pk=run_id).update(state="undone")
    assert refused(lambda: rerun_step(run_id, "a", house.actor)) == "run_not_repeatable"
    assert Run.objects.get(pk=run_id).generation == 0


def test_another_input_is_checked_recorded_and_read(house: House, sandbox: Sandbox) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    drawing = document([step("a", config={"value": {"$": "input.n"}})], input=schema, output={"$": "steps.a"})
    version = house.publish(drawing)
    with at_work(house, sandbox, kinds()):
        run_id = house.start(version, {"n": 1})
        assert output(ended(house, run_id, "succeeded")) == 1
        assert refused(lambda: rerun_step(run_id, "a", house.actor, input={"n": "many"})) == "input_invalid"
        again(house, lambda: rerun_step(run_id, "a", house.actor, input={"n": 2, "note": "x" * 3_000}))
        assert output(ended(house, run_id, "succeeded")) == 2
    record = RunRecord.objects.get(run_id=run_id, kind="rerun")
    assert Payload.objects.get(pk=record.detail["former_input"]).body == {"n": 1}


def publish_next(house: House, version: Version, raw: dict[str, Any], known: Any) -> Version:
    return publish_version(
        workflow=version.workflow, document=parse_document(raw), raw=raw, note="", actor=house.actor, kinds=known
    )


def test_the_newest_version_goes_on_where_it_kept_the_places(house: House, sandbox: Sandbox) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    version = house.publish(document([told("a"), told("b"), told("c")], "a > b > c"), kinds=known)
    fixed = document([told("a"), step("b", "told"), told("c"), step("more")], "a > b > c > more")
    other = document([told("z"), told("a"), told("b"), told("c")], "z > a > b > c")
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
        publish_next(house, version, other, known)
        assert refused(lambda: rerun_step(run_id, "b", house.actor, newest=True)) == "version_differs"
        publish_next(house, version, fixed, known)
        switch.answers.clear()
        assert preview_rerun(run_id, "b", house.actor, newest=True).version == 3
        again(house, lambda: rerun_step(run_id, "b", house.actor, newest=True))
        run = ended(house, run_id, "succeeded")
    assert (run.version.number, output(run), len(switch.attempts("a"))) == (3, "more", 1)
    assert RunRecord.objects.get(run_id=run_id, kind="rerun").detail["version"] == 3


def test_a_failed_step_is_skipped_with_an_output(house: House, sandbox: Sandbox) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    version = house.publish({**DIAMOND, "output": {"$": "steps.b"}}, kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
        assert [one.key for one in preview_retry(run_id, house.actor).first] == ["b"]
        assert refused(lambda: skip_step(run_id, "b", house.actor, port="nowhere")) == "unknown_port"
        assert refused(lambda: skip_step(run_id, "a", house.actor)) == "step_not_open"
        again(house, lambda: skip_step(run_id, "b", house.actor, "paid by hand", output={"paid": True}))
        run = ended(house, run_id, "succeeded")
        assert refused(lambda: skip_step(run_id, "b", house.actor)) == "step_not_open"
    assert output(run) == {"paid": True}
    row = StepLog.objects.get(run_id=run_id, node=1, outcome="S")
    assert row.attempt == 2
    assert row.log is not None
    assert row.log[0]["text"] == "Skipped by tester: paid by hand"
    assert RunRecord.objects.get(run_id=run_id, kind="step_skipped").detail["step"] == "b"


def test_a_waiting_step_is_skipped_and_the_last_one_ends_the_run(house: House, sandbox: Sandbox) -> None:
    version = house.publish(document([step("a"), step("b", "delay", config={"for": "PT10M"})], "a > b"))
    with at_work(house, sandbox, kinds()):
        run_id = house.start(version)
        wait_until(Token.objects.filter(run_id=run_id, state="W").exists, 10, "the delay")
        again(house, lambda: skip_step(run_id, "b", house.actor, output=7))
        assert output(ended(house, run_id, "succeeded")) == 7
    assert leftovers(run_id) == {}


def test_nobody_skips_an_approval_nor_what_is_being_worked_on(house: House, sandbox: Sandbox) -> None:
    held = Held()
    known = kinds(held=held)
    form = {"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}]}
    steps = [step("ask", "human_task", config=form), step("work", "held")]
    version = house.publish(document(steps), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        held.enter()
        wait_until(HumanTask.objects.waiting().filter(run_id=run_id).exists, 10, "the form")
        assert refused(lambda: skip_step(run_id, "ask", house.actor)) == "approval_not_skippable"
        assert refused(lambda: skip_step(run_id, "work", house.actor)) == "step_running"
        assert HumanTask.objects.waiting().filter(run_id=run_id).exists()
        held.release.set()


def test_a_rerun_step_that_fails_can_be_retried(house: House, sandbox: Sandbox) -> None:
    switch = Switch()
    known = kinds(told=Told(switch))
    version = house.publish(DIAMOND, kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "succeeded")
        switch.answers["b"] = fails
        again(house, lambda: rerun_step(run_id, "b", house.actor))
        run = ended(house, run_id, "failed")
        assert run.error is not None
        assert run.error["node"] == 1
        assert states(run_id) == {"a": "succeeded", "b": "failed", "c": "succeeded", "d": "failed", "e": "skipped"}
        switch.answers.clear()
        again(house, lambda: retry_run(run_id, house.actor))
        ended(house, run_id, "succeeded")
    assert switch.keys("b") == {f"{run_id}:1:0:0", f"{run_id}:1:0:1"}
    assert switch.attempts("b") == [1, 1, 2]
    assert switch.attempts("d") == [1, 1]
