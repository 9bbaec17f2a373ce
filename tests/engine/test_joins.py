"""Joins by real slots and real rows: deadlines, late branches, failures, and the one result each join gives."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest

from orchestrator.core.kinds import Kinds
from orchestrator.core.outcome import Done, Fail, Outcome, Retry, StepFault
from orchestrator.engine import statements
from orchestrator.engine.aftermath import Aftermath
from orchestrator.engine.sandbox import Sandbox
from orchestrator.engine.worker import Worker
from orchestrator.models import Gate, HumanTask, Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.queries.step_runs import step_runs
from orchestrator.services.control import pause_run, resume_run
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.engine.house import House, error, keeper_at_work, leftovers, make_tools, output, worker_at_work
from tests.engine.kinds import Held, HeldAway, Told, kinds
from tests.engine.rows import own_connection, rows
from tests.waiting import wait_until

FAIL = {"value": {"$": "1 / 0"}}
FORM = {"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}]}
LONG = {"for": "PT1H"}
CASES = {"cases": [{"port": "more", "when": {"$": "True"}}]}  # a path may end here: control may leave by `otherwise`


@contextmanager
def at_work(house: House, sandbox: Sandbox, known: Kinds = KINDS) -> Iterator[Worker]:
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper_at_work(house.worker.poke):
        yield house.worker


def meeting(join: dict[str, Any], *branches: dict[str, Any]) -> dict[str, Any]:
    """Branches that start by themselves and meet at `z`."""
    lines = [f"{b['key']}{'.yes' if b['kind'] == 'human_task' else ''} > z" for b in branches]
    return document([*branches, step("z", "merge", join=join)], *lines)


AT = """SELECT 1 FROM orchestrator_token t JOIN orchestrator_version v ON v.id = t.version_id
WHERE t.run_id = %s AND v.plan->'keys'->>t.node = %s AND t.state = %s"""


def once_at(key: str, state: str) -> Told:
    """A step that ends once a token stands at the step `key` in that state."""

    def answer(context: Any) -> Outcome:
        with own_connection() as opened:
            arguments = (context.run_id, key, state)
            wait_until(lambda: opened.execute(AT, arguments).fetchone(), 10, f"a token at {key} in state {state}")
        return Done("quick")

    return Told(answer)


def letters(run: Run) -> dict[str, str]:
    keys = run.version.plan["keys"]
    found: dict[str, str] = {}
    for node, outcome in StepLog.objects.filter(run_id=run.pk).order_by("attempt").values_list("node", "outcome"):
        found[keys[node]] = found.get(keys[node], "") + outcome
    return found


def ended(house: House, run_id: UUID, state: str = "succeeded") -> Run:
    """The run once it has ended, with everything in order."""
    run = house.end_of(run_id)
    assert run.state == state
    assert leftovers(run_id) == {}
    assert list(breaches()) == []
    for gate in Gate.objects.filter(run_id=run_id):
        assert gate.ok + gate.skip + gate.fail == gate.size, f"gate {gate.gate} still waits"
        assert (gate.decided, gate.cancel_pending, gate.deadline_at) == (1, False, None)
    return run


def test_a_tolerated_failure_is_part_of_the_result(house: House, sandbox: Sandbox) -> None:
    raw = meeting({"tolerate": {"count": 1}}, step("a"), step("bad", config=FAIL), step("after"))
    raw["edges"] = [{"from": "a", "to": "z"}, {"from": "bad", "to": "after"}, {"from": "after", "to": "z"}]
    with at_work(house, sandbox):
        run = ended(house, house.start(house.publish(raw)))
    branches = output(run)["branches"]
    assert branches["a"] == {"state": "succeeded", "output": "a", "error": None}
    assert branches["after"]["state"] == "failed"
    assert branches["after"]["error"]["code"] == "expression_failed", "why the branch failed, wherever in it"
    assert (output(run)["arrived"], output(run)["missing"]) == (["a"], [])


def test_it_goes_on_with_a_partial_result(house: House, sandbox: Sandbox) -> None:
    join = {"mode": "quorum", "quorum": 2, "on_branch_failure": "continue"}
    raw = meeting(join, step("a"), step("b", config=FAIL), step("c", config=FAIL))
    with at_work(house, sandbox):
        run = ended(house, house.start(house.publish(raw)))
    assert output(run)["arrived"] == ["a"]
    assert {key: branch["state"] for key, branch in output(run)["branches"].items()} == {
        "a": "succeeded",
        "b": "failed",
        "c": "failed",
    }


@pytest.mark.parametrize("held", [Held(), HeldAway()])
def test_the_first_failure_aborts_what_runs(house: House, sandbox: Sandbox, held: Held) -> None:
    others_ended = threading.Event()

    def answer(context: Any) -> Outcome:
        held.enter()
        assert others_ended.wait(20)
        return Fail(StepFault(code="told", message="now"))

    known = kinds(held=held, told=Told(answer))
    raw = meeting({"on_branch_failure": "abort"}, step("bad", "told"), step("slow", "held"), step("ok"))
    with at_work(house, sandbox, known) as worker:
        run_id = house.start(house.publish(raw, kinds=known))
        wait_until(lambda: StepLog.objects.filter(run_id=run_id, outcome="S").exists(), 20, "the step ok to end")
        others_ended.set()
        run = ended(house, run_id, "failed")
        wait_until(lambda: not worker._attempts, 5, "the handler to hear that its branch was aborted")
    assert letters(run) == {"bad": "F", "slow": "K", "ok": "S", "z": "F"}
    assert error(run)["code"] == "told", "the run tells the first failure, not its consequence"


LATE = {
    "a timer": step("late", "delay", config=LONG),
    "a person": step("late", "human_task", config=FORM),
    "a retry": step("late", "told", retry={"attempts": 5, "first": "PT1H"}),
    "a queue nobody serves": step("late", queue="nobody"),
    "a handler": step("late", "held"),
    "a handler on the loop": step("late", "away"),
}


@pytest.mark.parametrize("name", LATE)
def test_a_late_branch_is_cancelled_wherever_it_stands(house: House, sandbox: Sandbox, name: str) -> None:
    """The quick branch ends only once the late one stands where it should."""
    state = {"a queue nobody serves": "R", "a handler": "L", "a handler on the loop": "L"}.get(name, "W")
    known = kinds(
        held=Held(),
        away=HeldAway(),
        told=Told(lambda context: Retry(StepFault(code="busy", message="busy"))),
        quick=once_at("late", state),
    )
    version = house.publish(meeting({"mode": "any", "late": "cancel"}, step("quick", "quick"), LATE[name]), kinds=known)
    with at_work(house, sandbox, known) as worker:
        run = ended(house, house.start(version))
        wait_until(lambda: not worker._attempts, 5, "the late handler to hear of it")
    assert letters(run)["late"].endswith("K")
    assert output(run)["branches"]["late"] == {"state": "cancelled", "output": None, "error": None}
    assert (output(run)["arrived"], output(run)["missing"]) == (["quick"], ["late"])
    assert not HumanTask.objects.waiting().exists()


def test_everything_inside_a_late_branch_ends(house: House, sandbox: Sandbox) -> None:
    """A join inside the branch fires by the cancellation itself: what it would start is cancelled, too."""
    known = kinds(quick=once_at("l", "W"))
    steps = [step("quick", "quick"), step("fork"), step("l", "delay", config=LONG), step("r"), step("inner", "merge")]
    steps += [step("tail"), step("z", "merge", join={"mode": "any", "late": "cancel"}), step("last")]
    raw = document(steps, "quick > z", "fork > l > inner", "fork > r > inner", "inner > tail > z", "z > last")
    with at_work(house, sandbox, known):
        run = ended(house, house.start(house.publish(raw, kinds=known)))
    assert letters(run)["l"] == "K"
    assert "tail" not in letters(run)
    assert run.output == "last"
    shown = {item.key: str(item.state) for item in step_runs(run).items}
    assert (shown["l"], shown["tail"], shown["z"]) == ("cancelled", "skipped", "succeeded")


def test_nothing_fails_for_want_of_what_was_cancelled(house: House, sandbox: Sandbox) -> None:
    """The quorum inside the late branch is out of reach by the cancellation: that is no failure of the run."""
    known = kinds(quick=once_at("l", "W"))
    steps = [step("quick", "quick"), step("r"), step("l", "delay", config=LONG)]
    steps += [step("inner", "choose", join={"mode": "quorum", "quorum": 2}, config=CASES)]
    steps += [step("z", "merge", join={"mode": "any", "late": "cancel"})]
    raw = document(steps, "quick > z", "l > inner", "r > inner", "inner.more > z")
    with at_work(house, sandbox, known):
        run = ended(house, house.start(house.publish(raw, kinds=known)))
    assert (letters(run)["l"], letters(run)["inner"]) == ("K", "K")
    assert output(run)["z"]["branches"]["inner"]["state"] == "cancelled"


def test_readers_see_what_can_no_longer_run_while_the_run_goes_on(house: House, sandbox: Sandbox) -> None:
    steps = [step("quick"), step("l", "delay", config=LONG), step("tail")]
    steps += [step("z", "merge", join={"mode": "any", "late": "cancel"}), step("ask", "human_task", config=FORM)]
    raw = document(steps, "quick > z", "l > tail > z", "z > ask")
    with at_work(house, sandbox):
        run_id = house.start(house.publish(raw))
        wait_until(HumanTask.objects.filter(run_id=run_id).exists, 10, "the step behind the join")
        wait_until(lambda: not Gate.objects.filter(run_id=run_id, cancel_pending=True).exists(), 10, "the cancellation")
        shown = {item.key: str(item.state) for item in step_runs(Run.objects.get(pk=run_id)).items}
    assert shown == {"quick": "succeeded", "l": "cancelled", "tail": "skipped", "z": "succeeded", "ask": "waiting"}


def test_what_others_need_too_runs_on(house: House, sandbox: Sandbox) -> None:
    steps = [step("quick"), step("shared", "delay", config={"for": "PT0.2S"}), step("other")]
    steps += [step("z", "merge", join={"mode": "any", "late": "cancel"})]
    raw = document(steps, "quick > z", "shared > z", "shared > other")
    with at_work(house, sandbox):
        run = ended(house, house.start(house.publish(raw)))
    assert letters(run) == {"quick": "S", "shared": "S", "other": "S", "z": "S"}
    assert output(run)["z"]["branches"]["shared"]["state"] == "missing"


def test_the_keeper_cancels_what_a_worker_left(house: House, sandbox: Sandbox) -> None:
    """The worker that got the verdict dies before it has cancelled anything."""
    raw = meeting({"mode": "any", "late": "cancel"}, step("quick"), step("late", "delay", config=LONG))
    with patch.object(Aftermath, "cancel_branches", lambda aftermath, lease: None), at_work(house, sandbox):
        run = ended(house, house.start(house.publish(raw)))
    assert letters(run)["late"] == "K"


def test_a_token_in_other_hands_is_left_to_the_next_call(house: House, sandbox: Sandbox) -> None:
    raw = meeting({"mode": "any", "late": "cancel"}, step("quick"), step("late", queue="nobody"))
    run_id = house.start(house.publish(raw))
    with own_connection() as other:
        other.execute("BEGIN")
        other.execute("SELECT 1 FROM orchestrator_token WHERE run_id = %s AND queue = 'nobody' FOR UPDATE", (run_id,))
        with worker_at_work(make_tools(sandbox)):
            wait_until(Gate.objects.filter(run_id=run_id, cancel_pending=True).exists, 10, "the verdict")
            wait_until(lambda: StepLog.objects.filter(run_id=run_id, node=2).exists(), 10, "the join's step")
        assert not StepLog.objects.filter(run_id=run_id, outcome="K").exists()
        other.execute("COMMIT")
    found = rows(statements.CANCEL_BRANCHES, run_id)
    assert [row["kind"] for row in found] == ["cancelled", "ready"]
    assert rows(statements.CANCEL_BRANCHES, run_id) == []
    with at_work(house, sandbox):
        ended(house, run_id)


def test_a_deadline_goes_on_without_who_is_missing(house: House, sandbox: Sandbox) -> None:
    join = {"deadline": "PT0.3S", "on_deadline": "proceed", "late": "ignore"}
    raw = meeting(join, step("quick"), step("late", "held"), step("never", "delay", config={"for": "PT0.6S"}))
    held = Held()
    known = kinds(held=held)
    with at_work(house, sandbox, known):
        run_id = house.start(house.publish(raw, kinds=known))
        wait_until(StepLog.objects.filter(run_id=run_id, node=3).exists, 10, "the join to go on")
        assert Run.objects.get(pk=run_id).state == "running", "a run waits for its late branches"
        held.release.set()
        run = ended(house, run_id)
    assert output(run)["arrived"] == ["quick"]
    assert output(run)["missing"] == ["late", "never"]
    assert output(run)["branches"]["late"] == {"state": "missing", "output": None, "error": None}
    assert letters(run)["late"] == "S", "late, but done"
    fired, began = StepLog.objects.get(run_id=run_id, node=3), StepLog.objects.get(run_id=run_id, node=0)
    assert fired.started_at is not None
    assert (fired.started_at - began.finished_at).total_seconds() >= 0.3, "never early by the database's clock"


@pytest.mark.parametrize("late", ["ignore", "cancel"])
def test_a_deadline_can_fail_the_join(house: House, sandbox: Sandbox, late: str) -> None:
    join = {"deadline": "PT0.2S", "on_deadline": "fail", "late": late}
    slow = step("slow", "delay", config={"for": "PT1S" if late == "ignore" else "PT1H"})
    taken = step("sorry", config={"value": {"$": "errors.z"}})
    raw = document(
        [step("quick"), slow, step("z", "merge", join=join), taken], "quick > z", "slow > z", "z.error > sorry"
    )
    with at_work(house, sandbox):
        run = ended(house, house.start(house.publish(raw)))
    told = output(run)["sorry"]
    assert told["code"] == "join_deadline"
    assert told["details"] == {"arrived": ["quick"], "failed": [], "missing": ["slow"]}
    assert letters(run)["slow"] == {"ignore": "S", "cancel": "K"}[late]


def test_a_deadline_nobody_takes_fails_the_run(house: House, sandbox: Sandbox) -> None:
    raw = meeting({"deadline": "PT0.1S", "late": "cancel"}, step("quick"), step("slow", "delay", config=LONG))
    with at_work(house, sandbox):
        run = ended(house, house.start(house.publish(raw)), "failed")
    assert error(run)["code"] == "join_deadline"


def test_a_deadline_passes_while_the_run_is_paused(house: House, sandbox: Sandbox) -> None:
    """The clock does not stop; what the join starts is held."""
    join = {"deadline": "PT0.2S", "on_deadline": "proceed", "late": "cancel"}
    raw = meeting(join, step("quick"), step("slow", "delay", config=LONG))
    with at_work(house, sandbox):
        run_id = house.start(house.publish(raw))
        wait_until(Gate.objects.filter(run_id=run_id, node=2).exists, 10, "the first branch to arrive")
        pause_run(run_id, house.actor)
        wait_until(Token.objects.filter(run_id=run_id, node=2, state="H").exists, 10, "the held step of the join")
        resume_run(run_id, house.actor)
        assert output(ended(house, run_id))["missing"] == ["slow"]


def test_the_result_does_not_change_when_somebody_comes_late(house: House, sandbox: Sandbox) -> None:
    """The join's step is tried again after the late branch has ended: it reads the same."""
    seen: list[Any] = []

    def answer(context: Any) -> Outcome:
        seen.append(context.roots["join"])
        held.release.set()
        if len(seen) == 1:
            return Retry(StepFault(code="again", message="again"))
        return Done(None)

    def late_is_in() -> bool:
        return Gate.objects.filter(run_id=run_id, node=2, ok=2).exists()

    held = Held()
    known = kinds(held=held, told=Told(answer))
    again = {"attempts": 2, "first": "PT0.5S", "factor": 1, "jitter": "none"}
    join = {"mode": "any"}
    steps = [step("quick"), step("late", "held"), step("z", "told", join=join, retry=again)]
    with at_work(house, sandbox, known):
        run_id = house.start(house.publish(document(steps, "quick > z", "late > z"), kinds=known))
        wait_until(late_is_in, 10, "the late branch")
        ended(house, run_id)
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert seen[0]["missing"] == ["late"]
