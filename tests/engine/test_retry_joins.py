"""Retry from failure at joins: what they swallowed, tolerated or aborted, and paths that only a failure opened."""

import pytest

from orchestrator.core.outcome import Done, Retry, StepFault
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog
from orchestrator.queries.fsck import breaches
from orchestrator.services.reopen import RunNotFailed, retry_run
from tests.engine.drawings import document, step
from tests.engine.house import House, error, leftovers, output
from tests.engine.kinds import Told, kinds
from tests.engine.switched import ONCE, Switch, again, at_work, ended, fails, told


def test_failures_that_were_taken_care_of_are_left_alone(house: House, sandbox: Sandbox) -> None:
    """One failure went to an error path, one was swallowed by a join; only the third is tried again."""
    switch = Switch(handled=fails, swallowed=fails, last=fails)
    known = kinds(told=Told(switch))
    steps = [told(key) for key in ("handled", "tidy", "swallowed", "other", "last")]
    steps.append(told("meet", join={"mode": "any"}))
    lines = ("handled.error > tidy", "swallowed > meet", "other > meet", "meet > last")
    version = house.publish(document(steps, *lines), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
        switch.answers.clear()
        again(house, lambda: retry_run(run_id, house.actor))
        ended(house, run_id, "succeeded")
    assert [len(switch.attempts(key)) for key in ("handled", "tidy", "swallowed", "other", "meet", "last")] == [
        *(1, 1, 1, 1, 1),
        2,
    ]


def test_a_path_that_only_the_failure_had_opened_is_taken_anew(house: House, sandbox: Sandbox) -> None:
    """The join's error path ran; after the retry the join starts, and its error path counts as not taken."""
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    steps = [told("a"), told("b"), told("meet"), told("tidy"), told("other")]
    version = house.publish(document(steps, "a > meet", "b > meet", "b > other", "meet.error > tidy"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
        assert switch.attempts("tidy") == [1]
        again(house, lambda: retry_run(run_id, house.actor))
        ended(house, run_id, "failed")  # b fails again: the error path is taken again, under a new key
        assert len(switch.keys("tidy")) == 2
        switch.answers.clear()
        again(house, lambda: retry_run(run_id, house.actor))
        run = ended(house, run_id, "succeeded")
    assert len(switch.attempts("tidy")) == 2
    assert switch.keys("b") == {f"{run_id}:1:0:0"}
    assert output(run) == {"meet": "meet", "other": "other", "tidy": None}


def test_a_join_out_of_reach_has_nothing_to_retry(house: House, sandbox: Sandbox) -> None:
    steps = [step("a"), step("meet", join={"mode": "quorum", "quorum": 2})]
    version = house.publish(document(steps, "a > meet", "a.error > meet"))
    with at_work(house, sandbox, kinds()):
        run_id = house.start(version)
        ended(house, run_id, "failed")
        with pytest.raises(RunNotFailed, match="Re-run from a step before it"):
            retry_run(run_id, house.actor)
        assert Run.objects.get(pk=run_id).state == "failed"


def test_a_retry_brings_back_what_the_failure_had_cancelled(house: House, sandbox: Sandbox) -> None:
    """The join aborted its other branch; with the failure gone that branch runs, and the join waits for both."""
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    slow = step("slow", "delay", config={"for": {"$": "input.wait"}})
    steps = [told("b"), slow, told("meet", join={"mode": "all", "on_branch_failure": "abort"})]
    version = house.publish(document(steps, "b > meet", "slow > meet"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version, {"wait": "PT10M"})
        ended(house, run_id, "failed")
        node = version.plan["keys"].index("slow")
        assert StepLog.objects.filter(run_id=run_id, node=node).values_list("outcome", flat=True).get() == "K"
        Run.objects.filter(pk=run_id).update(input={"wait": "PT0.1S"})
        switch.answers.clear()
        again(house, lambda: retry_run(run_id, house.actor))
        ended(house, run_id, "succeeded")
    assert (switch.attempts("b"), switch.attempts("meet")) == ([1, 2], [1])


def test_a_join_that_its_deadline_failed_is_decided_anew(house: House, sandbox: Sandbox) -> None:
    switch = Switch()
    known = kinds(told=Told(switch))
    steps = [told("a"), step("slow", "delay", config={"for": "PT1.5S"})]
    steps.append(told("meet", join={"mode": "all", "deadline": "PT0.3S", "on_deadline": "fail"}))
    version = house.publish(document(steps, "a > meet", "slow > meet"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        assert error(ended(house, run_id, "failed"))["code"] == "join_deadline"
        again(house, lambda: retry_run(run_id, house.actor))
        run = ended(house, run_id, "succeeded")
    assert (output(run), switch.attempts("meet")) == ("meet", [1])


def test_a_join_that_tolerated_what_is_retried_waits_for_it_now(house: House, sandbox: Sandbox) -> None:
    """It had fired without the branch; the run must not end while that is at work."""
    switch = Switch(a=fails, slow=lambda context: Retry(StepFault(code="not_yet", message="once"), after=0.3)
                    if context.attempt == 1 else Done("slow"))  # fmt: skip
    known = kinds(told=Told(switch))
    steps = [
        told("a", config={"drawn": ["left", "right"], "ports": ["right"]}, retry=ONCE),
        told("slow"),
        told("meet", join={"mode": "all", "on_branch_failure": "finish", "tolerate": {"count": 2}}),
        told("after"),
    ]
    version = house.publish(document(steps, "a.right > slow > meet > after", "a.right > meet"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        assert house.end_of(run_id).state == "failed"  # by its other port, of which nobody took the failure
        assert switch.attempts("after") == [1]
        switch.answers["a"] = lambda context: Done("a", ports=("right",))
        retry_run(run_id, house.actor)
        assert house.end_of(run_id).state == "succeeded"
    assert switch.attempts("slow") == [1, 2]
    assert switch.attempts("after") == [1, 1]
    assert len(switch.keys("after")) == 2
    assert leftovers(run_id) == {}
    assert list(breaches(everything=True)) == []
