"""Steps that cancel others: what is at work, what is yet to come, and what is inside."""

import threading
from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from orchestrator.core.outcome import Done
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Gate, Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.rerun import rerun_step
from tests.engine.drawings import document, step
from tests.engine.house import House, error, keeper_at_work, leftovers, make_tools, output, worker_at_work
from tests.engine.kinds import Held, Told, kinds
from tests.engine.test_undo import ledger, undoable
from tests.waiting import wait_until


def cut(*keys: str, **config: Any) -> dict[str, Any]:
    return step("cut", "cancel", config={"steps": list(keys), **config})


def outcomes(run_id: UUID) -> dict[str, str]:
    """Key -> the letters of its final rows, in order."""
    keys = Run.objects.select_related("version").get(pk=run_id).version.plan["keys"]
    found: dict[str, str] = {}
    for row in StepLog.objects.filter(run_id=run_id, final=True).exclude(outcome="R").order_by("entry"):
        found[keys[row.node]] = found.get(keys[row.node], "") + row.outcome
    return found


def ended(house: House, run_id: UUID) -> Run:
    run = house.end_of(run_id)
    assert leftovers(run_id) == {}
    assert list(breaches()) == []
    return run


def test_a_step_at_work_hears_of_it_and_its_answer_is_refused(house: House, sandbox: Sandbox) -> None:
    held = Held()
    own = kinds(held=held, told=Told(lambda context: wait_for(held)))
    raw = document(
        [step("work", "held"), step("after"), step("first", "told"), cut("work")], "work > after", "first > cut"
    )
    with worker_at_work(make_tools(sandbox, own)) as house.worker, keeper_at_work(house.worker.poke):
        run = ended(house, house.start(house.publish(raw, kinds=own)))
    assert run.state == "succeeded"
    assert outcomes(run.pk) == {"first": "S", "cut": "S", "work": "K"}


def wait_for(held: Held) -> Done:
    """Go on once the other step is in its handler."""
    held.enter()
    return Done(None)


def test_a_step_that_would_begin_later_does_not_begin(house: House, at_work: None) -> None:
    raw = document(
        [step("a"), cut("b"), step("wait", "delay", config={"for": "PT0.2S"}), step("b"), step("c")],
        "a > cut",
        "cut > wait > b > c",
    )
    run = ended(house, house.start(house.publish(raw)))
    assert outcomes(run.pk) == {"a": "S", "cut": "S", "wait": "S", "b": "K"}


def test_a_step_that_did_not_begin_is_not_undone(house: House, at_work: None) -> None:
    wait = step("wait", "delay", config={"for": "PT0.2S"})
    bad = step("bad", config={"value": {"$": "1 // 0"}})
    raw = document(
        [cut("b"), wait, undoable("b"), bad, step("last", "delay", config={"for": "PT0.4S"})],
        "cut > wait > b",
        "cut > last > bad",
        settings={"on_failure": "undo"},
    )
    run = ended(house, house.start(house.publish(raw)))
    assert outcomes(run.pk)["b"] == "K"
    assert (run.state, ledger(run)) == ("undone", {"b": "not_needed"})


def test_a_join_that_is_cancelled_neither_starts_nor_fails(house: House, at_work: None) -> None:
    """One of its branches has failed, so without the mark the join would fail the run."""
    failing = step("b", config={"value": {"$": "1 // 0"}})
    later = step("wait", "delay", config={"for": "PT0.2S"})
    raw = document([step("a"), failing, later, step("join"), cut("a", "b", "join", "wait")], "a > wait > join")
    raw["edges"] += [{"from": "b", "port": "error", "to": "join"}]
    run = ended(house, house.start(house.publish(raw)))
    assert run.state == "succeeded"
    assert "S" not in outcomes(run.pk).get("join", "")


def test_a_container_ends_with_all_that_is_inside(house: House, at_work: None) -> None:
    box = step("box", "scope")
    inner = step("inner", "delay", config={"for": "PT1H"}, parent="box")
    raw = document(
        [box, inner, step("after"), step("a", "delay", config={"for": "PT0.1S"}), cut("box")], "box > after", "a > cut"
    )
    run = ended(house, house.start(house.publish(raw)))
    assert outcomes(run.pk) == {"a": "S", "cut": "S", "inner": "K", "box": "K"}


def test_cancelling_what_has_ended_changes_nothing(house: House, at_work: None) -> None:
    run = ended(house, house.start(house.publish(document([step("a"), cut("a"), step("b")], "a > cut > b"))))
    assert outcomes(run.pk) == {"a": "S", "cut": "S", "b": "S"}


def test_a_mark_is_let_go_of_once_nothing_is_at_work(house: House, at_work: None) -> None:
    raw = document([step("a"), cut("a"), step("z", "delay", config={"for": "PT1H"})], "a > cut > z")
    run_id = house.start(house.publish(raw))
    wait_until(lambda: Token.objects.filter(run_id=run_id, state="W").exists(), 20, "the delay")
    wait_until(lambda: not Gate.objects.filter(run_id=run_id, cancel_pending=True).exists(), 20, "the mark")


def test_the_keeper_cancels_what_a_dead_worker_left(house: House, sandbox: Sandbox) -> None:
    """The worker marks and dies before it cancels: the mark stands in the same commit."""
    raw = document(
        [step("a", "delay", config={"for": "PT1H"}), step("b", "delay", config={"for": "PT0.1S"}), cut("a")], "b > cut"
    )
    with worker_at_work(make_tools(sandbox)) as house.worker:
        house.worker._ender._aftermath.cancel_branches = lambda lease: None  # type: ignore[method-assign]
        with keeper_at_work(house.worker.poke):
            run = ended(house, house.start(house.publish(raw)))
    assert outcomes(run.pk) == {"b": "S", "cut": "S", "a": "K"}


def test_an_end_of_the_whole_run_stops_the_rest_at_once(house: House, at_work: None) -> None:
    raw = document(
        [
            *(step("a", "delay", config={"for": "PT1H"}), step("after"), step("box", "scope")),
            *(step("in", "delay", config={"for": "PT1H"}, parent="box"), step("b", "delay", config={"for": "PT0.1S"})),
            step("over", "end", config={"whole": True}),
        ],
        "a > after",
        "b > over",
    )
    run = ended(house, house.start(house.publish(raw)))
    assert run.state == "succeeded"
    assert outcomes(run.pk) == {"b": "S", "over": "S", "a": "K", "in": "K", "box": "K"}


def test_an_end_of_the_whole_run_may_fail_it(house: House, at_work: None) -> None:
    config = {"whole": True, "result": "fail", "code": "out_of_stock"}
    raw = document([step("a", "delay", config={"for": "PT1H"}), step("over", "end", config=config)])
    run = ended(house, house.start(house.publish(raw)))
    assert (run.state, error(run)["code"]) == ("failed", "out_of_stock")
    assert outcomes(run.pk) == {"over": "F", "a": "K"}


def test_a_completed_for_each_goes_on_with_what_it_has(house: House, at_work: None) -> None:
    each = step("each", "for_each", config={"items": [0.05, 3600]})
    item = step("item", "delay", config={"for": {"$": "f'PT{item}S'"}}, parent="each")
    count = step("count", config={"value": {"$": "[one is None for one in steps.each]"}})
    raw = document(
        [each, item, count, step("b", "delay", config={"for": "PT0.5S"}), cut("each", **{"as": "complete"})],
        "each > count",
        "b > cut",
        output={"$": "steps.count"},
    )
    run = ended(house, house.start(house.publish(raw)))
    assert output(run) == [False, True]
    assert outcomes(run.pk)["each"] == "S"


def test_every_item_cancels_for_itself(house: House, at_work: None) -> None:
    """A mark stands in one scope: the item of the list."""
    inside = {"parent": "each"}
    each = step("each", "for_each", config={"items": [1, 2, 3]})
    pick = step("pick", "choose", config={"cases": [{"port": "two", "when": {"$": "item == 2"}}]}, **inside)
    raw = document(
        [each, pick, {**cut("b"), **inside}, step("c", **inside), step("b", **inside)],
        "pick.two > cut > c > b",
        "pick.otherwise > c",
    )
    raw["steps"][-2]["join"] = {"mode": "any"}
    run = ended(house, house.start(house.publish(raw)))
    assert outcomes(run.pk)["b"].count("S") == 2
    assert outcomes(run.pk)["b"].count("K") == 1


def test_many_runs_cancel_and_end_at_once(house: House, sandbox: Sandbox) -> None:
    """Cancelling meets the ends of what it cancels; whoever comes first, each run ends well and once."""
    barrier = threading.Barrier(2, timeout=5)

    def meet(context: Any) -> Done:
        try:
            barrier.wait(1)
        except threading.BrokenBarrierError:
            barrier.reset()
        return Done(context.step_key)

    own = kinds(meet=Told(meet))
    raw = document([step("a", "meet"), step("after"), step("b", "meet"), cut("a", "after")], "a > after", "b > cut")
    with worker_at_work(make_tools(sandbox, own), slots=8) as house.worker, keeper_at_work(house.worker.poke):
        version = house.publish(raw, kinds=own)
        runs = [house.start(version) for _ in range(20)]
        states = {ended(house, run_id).state for run_id in runs}
    assert states == {"succeeded"}
    for run_id in runs:
        assert outcomes(run_id)["a"] in {"S", "K"}


def test_an_operator_may_have_a_cancelled_step_done_again(house: House, at_work: None) -> None:
    """Its new generation does not mind the old mark; a canceller that is done again marks anew."""
    slow = step("slow", "delay", config={"for": {"$": "input.wait"}})
    raw = document(
        [slow, step("after"), step("b", "delay", config={"for": "PT0.1S"}), cut("slow")], "slow > after", "b > cut"
    )
    run_id = house.start(house.publish(raw), {"wait": "PT1H"})
    assert outcomes(ended(house, run_id).pk) == {"b": "S", "cut": "S", "slow": "K"}
    rerun_step(run_id, "slow", house.actor, input={"wait": "PT0.01S"})
    assert house.worker is not None
    house.worker.poke()
    assert outcomes(ended(house, run_id).pk) == {"b": "S", "cut": "S", "slow": "KS", "after": "S"}
    rerun_step(run_id, "b", house.actor)
    house.worker.poke()
    assert outcomes(ended(house, run_id).pk)["cut"] == "SS"


def test_a_cancelled_sub_workflow_step_takes_its_run_along(house: House, at_work: None) -> None:
    house.publish(document([step("long", "delay", config={"for": "PT1H"})]), slug="child")
    sub = step("sub", "sub_workflow", config={"workflow": "child"})
    raw = document([sub, step("b", "delay", config={"for": "PT0.3S"}), cut("sub")], "b > cut")
    run = house.end_of(house.start(house.publish(raw)))
    child = house.end_of(Run.objects.get(parent_run=run).pk)
    assert (run.state, child.state) == ("succeeded", "cancelled")
    assert outcomes(run.pk) == {"b": "S", "cut": "S", "sub": "K"}


def test_a_cancelled_join_does_not_start_by_its_deadline_after_a_rerun_of_another_step(
    house: House, at_work: None
) -> None:
    join = step("x", "merge", join={"deadline": "PT1H", "on_deadline": "proceed"})
    slow = step("slow", "delay", config={"for": "PT1H"})
    raw = document([step("a"), slow, join, cut("x"), step("u")], "a > x", "slow > x")
    version = house.publish(raw)
    run_id = house.start(version)
    wait_until(lambda: outcomes(run_id) == {"a": "S", "cut": "S", "u": "S"}, 10, "what is before the join")
    rerun_step(run_id, "u", house.actor)
    assert house.worker is not None
    house.worker.poke()
    wait_until(lambda: outcomes(run_id)["u"] == "SS", 10, "the step that is done again")
    Gate.objects.filter(run_id=run_id, gate=version.plan["keys"].index("x")).update(deadline_at=Now())
    wait_until(lambda: "x" in outcomes(run_id), 10, "the join's deadline")
    assert outcomes(run_id)["x"] == "K"
    assert list(breaches()) == []
