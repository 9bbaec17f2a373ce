"""Whole runs through a worker: what each shape of drawing does."""

from typing import Any

import pytest

from orchestrator.models import Gate, Run, StepLog, Token, Version
from orchestrator.queries.step_runs import step_runs
from orchestrator.queries.timeline import spans_of
from tests.engine.drawings import document, step
from tests.engine.house import House, error, leftovers, output
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("at_work")


def outcomes(run_id: Any, version: Version) -> dict[str, str]:
    """Step key -> letters of its attempts."""
    rows = StepLog.objects.filter(run_id=run_id).order_by("node", "attempt").values_list("node", "outcome")
    found: dict[str, str] = {}
    for node, outcome in rows:
        key = version.plan["keys"][node]
        found[key] = found.get(key, "") + outcome
    return found


def test_a_chain_gives_the_last_output(house: House) -> None:
    version = house.publish(document([step("a"), step("b", config={"value": {"$": "steps.a + input.tail"}})], "a > b"))
    run = house.end_of(house.start(version, {"tail": "!"}))
    assert (run.state, run.output) == ("succeeded", "a!")
    assert outcomes(run.pk, version) == {"a": "S", "b": "S"}
    assert leftovers(run.pk) == {}


def test_branches_meet_at_a_join(house: House) -> None:
    steps = [step("a"), *(step(f"b{n}") for n in range(20)), step("z", "merge")]
    lines = [f"a > b{n} > z" for n in range(20)]
    version = house.publish(document(steps, *lines))
    run = house.end_of(house.start(version))
    assert run.state == "succeeded"
    assert output(run)["branches"]["b7"] == {"state": "succeeded", "output": "b7", "error": None}
    assert len(output(run)["arrived"]) == 20
    gate = Gate.objects.get(run_id=run.pk, node=version.plan["keys"].index("z"))
    assert (gate.ok, gate.verdict, gate.decided) == (20, "F", 1)


def test_the_path_not_taken_is_skipped_and_the_join_goes_on(house: House) -> None:
    cases = {"mode": "exclusive", "cases": [{"port": "big", "when": {"$": "input.n > 10"}}]}
    steps = [step("pick", "choose", config=cases), step("large"), step("small"), step("z", "merge")]
    version = house.publish(document(steps, "pick.big > large > z", "pick.otherwise > small > z"))
    run = house.end_of(house.start(version, {"n": 11}))
    assert run.state == "succeeded"
    assert output(run)["arrived"] == ["large"]
    assert output(run)["branches"]["small"]["state"] == "skipped"


def test_several_ends_give_an_output_by_key(house: House) -> None:
    version = house.publish(document([step("a"), step("b"), step("c")], "a > b", "a > c"))
    assert house.end_of(house.start(version)).output == {"b": "b", "c": "c"}


def test_a_declared_output_is_evaluated_at_the_end(house: House) -> None:
    version = house.publish(
        document([step("a"), step("b"), step("c")], "a > b", "a > c", output={"sum": {"$": "steps.b + steps.c"}})
    )
    assert house.end_of(house.start(version)).output == {"sum": "bc"}


FAIL = {"value": {"$": "1 / input.zero"}}


def test_a_failure_nobody_takes_fails_the_run_after_the_other_branches(house: House) -> None:
    version = house.publish(
        document([step("a"), step("bad", config=FAIL), step("good"), step("z", "merge")], "a > bad > z", "a > good > z")
    )
    run = house.end_of(house.start(version, {"zero": 0}))
    assert run.state == "failed"
    assert error(run)["code"] == "expression_failed"
    assert version.plan["keys"][error(run)["node"]] == "bad"
    assert outcomes(run.pk, version) == {"a": "S", "bad": "F", "good": "S", "z": "F"}
    assert leftovers(run.pk) == {}


def test_the_error_port_takes_a_failure(house: House) -> None:
    sorry = step("sorry", config={"value": {"$": "errors.bad.code"}})
    version = house.publish(
        document([step("bad", config=FAIL), step("good"), sorry], "bad > good", "bad.error > sorry")
    )
    run = house.end_of(house.start(version, {"zero": 0}))
    assert (run.state, run.output) == ("succeeded", {"good": None, "sorry": "expression_failed"})


def test_a_failed_join_can_be_taken_too(house: House) -> None:
    steps = [step("a"), step("bad", config=FAIL), step("ok"), step("z", "merge"), step("sorry")]
    version = house.publish(document(steps, "a > bad > z", "a > ok > z", "z.error > sorry"))
    assert house.end_of(house.start(version, {"zero": 0})).state == "succeeded"


def test_a_quorum_fires_early_and_the_run_waits_for_the_late_branch(house: House) -> None:
    late = step("late", "delay", config={"for": "PT0.3S"})
    steps = [step("a"), step("b"), step("c"), late, step("z", "merge", join={"mode": "quorum", "quorum": 2})]
    version = house.publish(document(steps, "a > b > z", "a > c > z", "a > late > z"))
    run = house.end_of(house.start(version))
    assert run.state == "succeeded"
    assert output(run)["missing"] == ["late"]
    assert outcomes(run.pk, version)["late"] == "S"


def test_large_values_live_in_payloads(house: House) -> None:
    version = house.publish(
        document(
            [step("a", config={"value": {"$": "'x' * 9000"}}), step("b", config={"value": {"$": "len(steps.a)"}})],
            "a > b",
        )
    )
    run = house.end_of(house.start(version, {"long": "y" * 9000}))
    assert run.output == 9000
    assert run.input is None
    assert run.input_ref is not None


@pytest.mark.parametrize("declared", [{}, {"output": [{"$": "steps.a"}, {"$": "steps.b"}]}])
def test_outputs_too_large_together_fail_the_run_that_gives_them(house: House, declared: dict[str, Any]) -> None:
    """Each step's output is kept; the run's, made of them, is not."""
    much = {"value": {"$": "'x' * 5000000"}}
    raw = document([step("a", config=much), step("b", config=much)], **declared)
    version = house.publish(raw)
    run = house.end_of(house.start(version))
    assert (run.state, error(run)["code"]) == ("failed", "output_failed")
    assert "8,000,000" in error(run)["message"]
    assert outcomes(run.pk, version) == {"a": "S", "b": "S"}


def test_a_declared_output_that_is_too_large_does_not_fail_the_last_step(house: House) -> None:
    raw = document([step("a")], output={"$": "'x' * 9000000"})
    version = house.publish(raw)
    run = house.end_of(house.start(version))
    assert (run.state, error(run)["code"]) == ("failed", "output_failed")
    assert outcomes(run.pk, version) == {"a": "S"}


def test_a_disabled_step_passes_control_on(house: House) -> None:
    version = house.publish(document([step("a", disabled=True), step("b")], "a > b"))
    assert house.end_of(house.start(version)).output == "b"


def test_readers_see_steps_only_while_the_output_is_computed(house: House) -> None:
    """A run with several ends has a gate and a token of its own at the very end: neither is a step."""
    version = house.publish(
        document([step("a"), step("b"), step("w", "delay", config={"for": "PT10M"})], "a > b", "a > w")
    )
    run_id = house.start(version)
    last = len(version.plan["keys"])
    wait_until(lambda: Gate.objects.filter(run_id=run_id, node=last).exists(), 10, "the first branch to end")
    # A token that is still to be claimed would end the run from its last node.
    wait_until(lambda: Token.objects.filter(run_id=run_id, state="W").exists(), 10, "the other branch to wait")
    Token.objects.filter(run_id=run_id).update(node=last)
    run = Run.objects.get(pk=run_id)
    assert {item.key for item in step_runs(run).items} == {"a", "b"}
    assert {span.key for span in spans_of(run).items} == {"a", "b"}
