"""A join's result where it is read: by expressions and scripts of any step at which branches meet."""

from typing import Any
from unittest.mock import patch

import psycopg
import pytest

from orchestrator.core.json_types import Json
from orchestrator.core.outcome import Done, Outcome
from orchestrator.engine.roots import Roots
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog
from orchestrator.queries.preview import last_run_data
from orchestrator.services.reopen import retry_run
from orchestrator.services.rerun import rerun_step
from tests.engine.containers import for_each, inside, repeat, value
from tests.engine.drawings import document, step
from tests.engine.house import House, error, make_tools, output, worker_at_work
from tests.engine.kinds import Told, kinds
from tests.engine.rows import own_connection
from tests.engine.switched import Switch, again, at_work, ended, fails, told
from tests.waiting import wait_until

LONG = {"for": "PT1H"}
FAILED = "SELECT 1 FROM orchestrator_steplog WHERE run_id = %s AND outcome = 'F'"
STATES = {"quick": "succeeded", "after": "failed", "never": "cancelled"}
DECIDED = "SELECT 1 FROM orchestrator_steplog WHERE run_id = %s AND node = 2 AND outcome = 'S'"
TELLS = """
failed = {key: branch["error"]["code"] for key, branch in join.branches.items() if branch["state"] == "failed"}
{"came": join.arrived, "late": ", ".join(join.missing), "failed": failed}
"""
#: The same in one expression.
TOLD = (
    '{"came": join.arrived, "late": ", ".join(join.missing), "failed": '
    '{key: branch.error.code for key, branch in join.branches.items() if branch.state == "failed"}}'
)


@pytest.mark.parametrize(
    "reader",
    [
        step("z", "script", config={"code": TELLS}),
        step("z", "script", config={"code": "arguments", "arguments": {"$": TOLD}}),
        step("z", config=value(TOLD)),
    ],
    ids=["a script", "its arguments", "an expression"],
)
def test_a_step_says_who_is_missing_and_what_failed(house: House, sandbox: Sandbox, reader: dict[str, Any]) -> None:
    join = {"mode": "quorum", "quorum": 2, "deadline": "PT0.3S", "on_deadline": "proceed", "late": "cancel"}
    meets = {**reader, "join": {**join, "on_branch_failure": "continue"}}
    steps = [step("quick"), step("bad", config=value("1 / 0")), step("never", "delay", config=LONG), meets]
    with at_work(house, sandbox, kinds()):
        run = ended(
            house, house.start(house.publish(document(steps, "quick > z", "bad > z", "never > z"))), "succeeded"
        )
    assert output(run) == {"came": ["quick"], "late": "never", "failed": {"bad": "expression_failed"}}


def test_who_tries_expressions_sees_what_the_last_run_was_told(house: House, sandbox: Sandbox) -> None:
    join = {"mode": "quorum", "quorum": 2, "on_branch_failure": "continue", "deadline": "PT0.3S"}
    meets = step("z", "merge", join={**join, "on_deadline": "proceed", "late": "cancel"})
    steps = [step("quick"), step("bad", config=value("1 / 0")), step("after"), step("never", "delay", config=LONG)]
    version = house.publish(document([*steps, meets], "quick > z", "bad > after > z", "never > z"))
    with at_work(house, sandbox, kinds()):
        run = ended(house, house.start(version), "succeeded")
    seen = last_run_data(version.workflow_id, ["quick", "bad", "after", "never"], "z")
    assert seen is not None
    assert seen.branches == output(run)["branches"]
    assert {key: branch["state"] for key, branch in output(run)["branches"].items()} == STATES


def test_a_choice_goes_by_who_came_first(house: House, sandbox: Sandbox) -> None:
    cases = [{"port": key, "when": {"$": f"join.arrived == ['{key}']"}} for key in ("slow", "quick")]
    steps = [step("quick"), step("slow", "delay", config=LONG), step("other"), step("won")]
    steps.append(step("z", "choose", config={"cases": cases}, join={"mode": "any", "late": "cancel"}))
    raw = document(steps, "quick > z", "slow > z", "z.quick > won", "z.slow > other")
    with at_work(house, sandbox, kinds()):
        run = ended(house, house.start(house.publish(raw)), "succeeded")
    assert output(run) == {"other": None, "won": "won", "z": {"ports": ["quick"]}}


def test_each_item_and_each_turn_reads_its_own(house: House, sandbox: Sandbox) -> None:
    def meeting(parent: str, number: str) -> list[dict[str, Any]]:
        result = f"[{number}, join.branches.{parent}_bad.state, join.branches.{parent}_good.output]"
        return [
            inside(parent, f"{parent}_good", config=value(f"{number} * 10")),
            inside(parent, f"{parent}_bad", config=value(f"1 / ({number} - 1)")),
            inside(parent, f"{parent}_z", config=value(result), join={"on_branch_failure": "continue"}),
        ]

    steps = [for_each([0, 1, 2]), repeat("until", "turn >= 2"), *meeting("each", "index"), *meeting("again", "turn")]
    lines = [f"{parent}_{branch} > {parent}_z" for parent in ("each", "again") for branch in ("good", "bad")]
    with at_work(house, sandbox, kinds()):
        run = ended(house, house.start(house.publish(document(steps, *lines))), "succeeded")
    each = [[0, "succeeded", 0], [1, "failed", 10], [2, "succeeded", 20]]
    assert output(run) == {"each": each, "again": [2, "succeeded", 20]}


@pytest.mark.parametrize(
    ("container", "gives"),
    [
        (for_each({"$": "join.arrived"}, "z"), ["a", "b"]),
        ({**repeat("until", "turn >= len(join.arrived)"), "key": "z"}, 2),
    ],
    ids=["its items", "its condition"],
)
def test_a_container_reads_what_met_at_it(
    house: House, sandbox: Sandbox, container: dict[str, Any], gives: Json
) -> None:
    reads = "item" if container["kind"] == "for_each" else "turn"
    steps = [step("a"), step("b"), container, inside("z", "within", config=value(reads))]
    with at_work(house, sandbox, kinds()):
        run = ended(house, house.start(house.publish(document(steps, "a > z", "b > z"))), "succeeded")
    assert output(run) == gives


def test_tried_and_done_again_it_reads_the_same(house: House, sandbox: Sandbox) -> None:
    """The late branch has ended meanwhile: the join was decided without it."""

    def late(context: Any) -> Outcome:
        with own_connection() as opened:
            wait_until(lambda: opened.execute(FAILED, (context.run_id,)).fetchone(), 10, "the join's step to fail")
        return Done("late")

    known = kinds(told=Told(late))

    code = "[join.missing, join.branches.late.output, 1 // input.n]"
    reader = step("z", "script", config={"code": code}, join={"mode": "any"}, retry={"attempts": 1})
    version = house.publish(document([step("quick"), told("late"), reader], "quick > z", "late > z"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version, {"n": 0})
        ended(house, run_id, "failed")
        Run.objects.filter(pk=run_id).update(input={"n": 1})
        again(house, lambda: retry_run(run_id, house.actor))
        assert output(ended(house, run_id, "succeeded")) == [["late"], None, 1]
        again(house, lambda: rerun_step(run_id, "z", house.actor))
        assert output(ended(house, run_id, "succeeded")) == [["late"], None, 1]


def test_decided_anew_it_reads_the_new_result(house: House, sandbox: Sandbox) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    reader = step("z", config=value("join.arrived"), join={"on_branch_failure": "continue"})
    version = house.publish(document([told("a"), told("b"), reader], "a > z", "b > z"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        assert output(ended(house, run_id, "succeeded")) == ["a"]
        switch.answers.clear()
        again(house, lambda: rerun_step(run_id, "b", house.actor))
        assert output(ended(house, run_id, "succeeded")) == ["a", "b"]


def test_the_names_join_of_a_step_and_of_an_input_stay_what_they_are(house: House, sandbox: Sandbox) -> None:
    code = "def own(join):\n    return join + 1\n[own(1), steps.join, input.join, arguments.join, len(join.arrived)]"
    reader = step("z", "script", config={"code": code, "arguments": {"join": 3}})
    bound = step("y", "script", config={"code": "def join(parts):\n    return '-'.join(parts)\njoin(['a', 'b'])"})
    raw = document([step("join"), step("b"), reader, bound], "join > z", "b > z", "join > y", "b > y")
    with at_work(house, sandbox, kinds()):
        run = ended(house, house.start(house.publish(raw), {"join": 2}), "succeeded")
    assert output(run) == {"z": [2, "join", 2, 3, 2], "y": "a-b"}


def asking(context: Any) -> Outcome:
    return Done([context.roots["join"]["arrived"] for _ in range(2)])


def not_asking(context: Any) -> Outcome:
    assert set(context.roots) >= {"input", "join"}
    assert len(context.roots) == len(set(context.roots))
    assert "join" in context.roots
    assert "nothing" not in context.roots
    return Done([])


BOTH: Json = ["a", "b"]
CASES = {"cases": [{"port": "more", "when": {"$": "steps.a == 'b'"}}]}


@pytest.mark.parametrize(
    ("last", "reads", "gives"),
    [
        (step("z", "told"), 0, []),
        (step("z", "script", config={"code": "steps.a"}), 0, "a"),
        (step("z", "script", config={"code": "', '.join([steps.a, steps.b])"}), 0, "a, b"),
        (step("z", config=value("steps.a")), 0, "a"),
        (step("z", "choose", config=CASES), 0, {"ports": ["otherwise"]}),
        (step("z", "asking"), 1, [BOTH, BOTH]),
        (step("z", "merge"), 1, BOTH),
        (step("z", "script", config={"code": "[join.arrived, join.arrived]"}), 1, [BOTH, BOTH]),
        (step("z", config={"value": [{"$": "join.arrived"}, {"$": "join.arrived"}]}), 1, [BOTH, BOTH]),
    ],
    ids=lambda value: f"{value['kind']} {value['config']}" if isinstance(value, dict) and "kind" in value else "",
)
def test_it_is_read_where_somebody_asks_for_it(
    house: House, sandbox: Sandbox, last: dict[str, Any], reads: int, gives: Json
) -> None:
    """As large as it has branches, it takes long to put together: once, and not for nothing."""
    known = kinds(told=Told(not_asking), asking=Told(asking))
    version = house.publish(document([step("a"), step("b"), last], "a > z", "b > z"), kinds=known)
    with at_work(house, sandbox, known), patch.object(Roots, "_join", autospec=True, side_effect=Roots._join) as joined:
        run = ended(house, house.start(version), "succeeded")
    given: Any = output(run)
    assert (joined.call_count, given["arrived"] if last["kind"] == "merge" else given) == (reads, gives)


@pytest.mark.parametrize(
    "last",
    [
        step("z", "merge"),
        step("z", "script", config={"code": "join.arrived"}),
        step("z", "choose", config={"cases": [{"port": "more", "when": {"$": "join.missing"}}]}),
    ],
    ids=lambda last: last["kind"],
)
def test_an_absent_database_costs_its_reader_no_attempt(house: House, sandbox: Sandbox, last: dict[str, Any]) -> None:
    away = iter([psycopg.OperationalError("the database system is starting up")])
    read = Roots._join

    def first_away(self: Roots, *arguments: Any) -> Json:
        for absent in away:
            raise absent
        return read(self, *arguments)

    version = house.publish(document([step("a"), step("b"), last], "a > z", "b > z"))
    with patch.object(Roots, "_join", first_away), worker_at_work(make_tools(sandbox)) as house.worker:
        run_id = house.start(version)
        ended(house, run_id, "succeeded")
    assert next(away, None) is None, "the join was not asked for"
    assert list(StepLog.objects.filter(run_id=run_id, node=2).values_list("attempt", "outcome")) == [(1, "S")]


ALL: Json = [["quick", "late"], []]


@pytest.mark.parametrize(
    ("join", "which", "then"),
    [
        ({"mode": "any"}, "quick", [["late"], ["quick"]]),  # decided at once, by whom is there
        ({"mode": "any"}, "late", [["quick"], ["late"]]),  # it was decided without that branch, and stays so
        ({"mode": "any"}, "z", [["quick"], ["late"]]),
        ({"deadline": "PT0.3S", "on_deadline": "proceed"}, "quick", ALL),
        ({"deadline": "PT0.3S", "on_deadline": "proceed"}, "late", ALL),
        ({"deadline": "PT0.3S", "on_deadline": "proceed"}, "z", [["quick"], ["late"]]),
    ],
)
def test_a_rerun_makes_late_who_came_after_the_verdict_that_now_holds(
    house: House, sandbox: Sandbox, join: dict[str, Any], which: str, then: Json
) -> None:
    def late(context: Any) -> Outcome:
        with own_connection() as opened:
            wait_until(lambda: opened.execute(DECIDED, (context.run_id,)).fetchone(), 10, "the join's step to end")
        return Done("late")

    known = kinds(told=Told(late))
    reader = step("z", config=value("[join.arrived, join.missing]"), join=join)
    version = house.publish(document([step("quick"), told("late"), reader], "quick > z", "late > z"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        assert output(ended(house, run_id, "succeeded")) == [["quick"], ["late"]]
        again(house, lambda: rerun_step(run_id, which, house.actor))
        assert output(ended(house, run_id, "succeeded")) == then


def test_a_join_that_its_deadline_failed_counts_who_came_since(house: House, sandbox: Sandbox) -> None:
    reader = step("z", config=value("[join.arrived, join.missing]"), join={"deadline": "PT0.3S", "on_deadline": "fail"})
    steps = [step("quick"), step("late", "delay", config={"for": "PT1S"}), reader]
    version = house.publish(document(steps, "quick > z", "late > z"))
    with at_work(house, sandbox, kinds()):
        run_id = house.start(version)
        assert error(ended(house, run_id, "failed"))["code"] == "join_deadline"
        again(house, lambda: retry_run(run_id, house.actor))
        assert output(ended(house, run_id, "succeeded")) == ALL
