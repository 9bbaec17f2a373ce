"""Where control stands, told from the ends: against a forward run of `advance`, and against the simple reading."""

from collections import Counter, defaultdict
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.advance import Effects, Signal, advance, closed, fail, skip
from orchestrator.core.compile import compile_plan
from orchestrator.core.parse import parse_document
from orchestrator.core.plan import Plan
from orchestrator.core.replay import Verdict, descendants, judge, replay, unhandled
from tests.graphs import ACTED, expected, random_document


class Forward:
    """One scope under way: steps end in a random order, gates count, as the engine's rows do."""

    def __init__(self, document: dict[str, Any], random: Random) -> None:
        self.plan: Plan = compile_plan(parse_document(document), ACTED)
        self.random = random
        self.open = set(self.plan.starts)
        self.ends: dict[int, tuple[str, ...] | None] = {}
        self.arrived: dict[int, dict[int, Signal]] = defaultdict(dict)
        self.verdicts: dict[int, str] = {}

    def end_one(self) -> None:
        """One of the open steps ends as its config says."""
        node = self.random.choice(sorted(self.open - {self.plan.end}))
        self.open.remove(node)
        config = self.plan.steps[node].config
        if not config["fails"]:
            self.ends[node] = tuple(config["ports"])  # type: ignore[arg-type]
            self.follow(advance(self.plan, node, self.ends[node] or ()))
            return
        drawn = {arrow.port for arrow in self.plan.out_arrows.get(node, ())}
        self.ends[node] = ("error",) if "error" in drawn else None
        self.follow(fail(self.plan, node))

    def follow(self, effects: Effects) -> None:
        self.open.update(effects.starts)
        for gate, slot, signal in effects.signals:
            assert slot not in self.arrived[gate], "an arrow signals once"
            self.arrived[gate][slot] = signal
            self.decide(gate)

    def decide(self, node: int) -> None:
        gate, came = self.plan.gates[node], Counter(self.arrived[node].values())
        counts = came[Signal.OK], came[Signal.SKIP], came[Signal.FAIL]
        if node not in self.verdicts:
            verdict = judge(gate, *counts, is_end=node == self.plan.end)
            if verdict != "O":
                self.verdicts[node] = verdict
            if verdict == "F":
                self.open.add(node)
            elif verdict == "S":
                self.follow(skip(self.plan, node))
            elif verdict == "X" and node != self.plan.end:
                self.follow(fail(self.plan, node))
        if sum(counts) == gate.size:
            self.follow(closed(self.plan, node))

    def may_go_on(self) -> bool:
        return bool(self.open - {self.plan.end})


def assert_agrees(run: Forward) -> None:
    told = replay(run.plan, run.ends)
    assert set(told.holds) == run.open
    assert told.counted == set(run.ends)
    assert {node: gate.verdict for node, gate in told.gates.items() if gate.verdict != "O"} == run.verdicts
    signals = {node: {slot: a.signal for slot, a in gate.arrivals.items()} for node, gate in told.gates.items()}
    assert signals == dict(run.arrived)


@given(st.randoms(use_true_random=False))
def test_it_agrees_with_a_run_at_every_moment(random: Random) -> None:
    run = Forward(random_document(random), random)
    assert_agrees(run)
    while run.may_go_on():
        run.end_one()
        assert_agrees(run)


@given(st.randoms(use_true_random=False))
def test_at_the_end_it_agrees_with_the_simple_reading(random: Random) -> None:
    document = random_document(random)
    run = Forward(document, random)
    while run.may_go_on():
        run.end_one()
    told, meant = replay(run.plan, run.ends), expected(document)
    keys = [step.key for step in run.plan.steps]
    assert {keys[node] for node in told.counted} == meant.ran
    assert {keys[node] for node in told.blocked - {run.plan.end}} == meant.blocked_joins
    assert set(told.holds) == ({run.plan.end} if meant.state == "succeeded" else set())


@given(st.randoms(use_true_random=False))
def test_a_retry_with_success_ends_as_if_nothing_had_failed(random: Random) -> None:
    document = random_document(random)
    run = Forward(document, random)
    while run.may_go_on():
        run.end_one()
    standing = replay(run.plan, run.ends)
    failed = unhandled(run.plan, run.ends, standing)
    # A quorum that skipped branches put out of reach fails by itself: then there is nothing to try again.
    hopeless = any(not standing.gates[join].counts()[2] for join in standing.blocked)
    assert bool(failed) <= (expected(document).state == "failed") <= (bool(failed) or hopeless)
    for step in document["steps"]:
        step["config"]["fails"] &= run.plan.node_of[step["key"]] not in failed
    again = Forward(document, random)
    again.ends = {node: ports for node, ports in run.ends.items() if node not in failed}
    told = replay(again.plan, again.ends)
    # What failed on a path that another failure had opened is not reached again yet.
    assert bool(failed & set(told.holds)) == bool(failed)
    again.ends = {node: again.ends[node] for node in told.counted}
    again.open = set(told.holds)
    again.arrived |= {node: {slot: a.signal for slot, a in gate.arrivals.items()} for node, gate in told.gates.items()}
    again.verdicts = {node: str(gate.verdict) for node, gate in told.gates.items() if gate.verdict != "O"}
    while again.may_go_on():
        again.end_one()
    keys = [step.key for step in again.plan.steps]
    assert {keys[node] for node in again.ends} == expected(document).ran
    assert unhandled(again.plan, again.ends, replay(again.plan, again.ends)) <= set(again.ends) - failed


def plan_of(steps: dict[str, dict[str, Any]], *edges: str) -> Plan:
    raw: Any = {
        "format": "branchline/1",
        "name": "T",
        "steps": [{"key": key, "kind": "acted", **more} for key, more in steps.items()],
        "edges": [
            {"from": a.partition(".")[0], "port": a.partition(".")[2] or "out", "to": b}
            for a, b in (edge.split(">") for edge in edges)
        ],
    }
    return compile_plan(parse_document(raw), ACTED)


def test_causes_are_the_ends_that_led_there() -> None:
    plan = plan_of({"a": {}, "b": {}, "c": {}, "d": {}}, "a>b", "a>c", "b>d", "c>d")
    told = replay(plan, {0: ["out"], 1: ["out"], 2: ["out"]})
    assert told.holds == {3: (1, 2)}
    assert [a.cause for _, a in sorted(told.gates[3].arrivals.items())] == [1, 2]


def test_ends_on_paths_that_are_no_longer_taken_count_for_nothing() -> None:
    plan = plan_of({"a": {}, "b": {}, "c": {}}, "a>b", "b>c")
    told = replay(plan, {1: ["out"], 2: ["out"]})
    assert (set(told.holds), told.counted) == ({0}, set())


def test_a_gate_that_fired_by_its_deadline_stays_fired() -> None:
    plan = plan_of({"a": {}, "b": {}, "c": {}}, "a>c", "b>c")
    assert 2 not in replay(plan, {0: ["out"]}).holds
    told = replay(plan, {0: ["out"]}, decided={2: Verdict.FIRED})
    assert (set(told.holds), told.gates[2].verdict, told.gates[2].counts()) == ({1, 2}, Verdict.FIRED, (1, 0, 0))


@pytest.mark.parametrize(
    ("join", "ends", "counts"),
    [
        ({"mode": "all"}, {0: ["out"], 1: None}, {1}),  # the join cannot start
        ({"mode": "any"}, {0: ["out"], 1: None}, set()),  # the join has gone on without it
        ({"mode": "any"}, {1: None}, {1}),  # it may still be needed
    ],
)
def test_failures_that_a_join_has_swallowed_do_not_count(join: Any, ends: Any, counts: set[int]) -> None:
    plan = plan_of({"a": {}, "b": {}, "c": {"join": join}}, "a>c", "b>c")
    assert unhandled(plan, ends, replay(plan, ends)) == counts


@pytest.mark.parametrize(
    ("join", "verdict", "holds"),
    [
        ({"mode": "all", "on_branch_failure": "abort"}, Verdict.FAILED, set()),  # the other branch stays cancelled
        ({"mode": "all"}, Verdict.OPEN, {1}),  # nothing has decided to cancel it: it is to run
    ],
)
def test_what_a_join_cancelled_stays_cancelled_while_it_is_decided(join: Any, verdict: Verdict, holds: Any) -> None:
    plan = plan_of({"a": {}, "b": {}, "c": {"join": join}}, "a>c", "b>c")
    told = replay(plan, {0: None}, cancelled={1})
    assert (told.gates[2].verdict, set(told.holds)) == (verdict, holds)
    again = replay(plan, {}, cancelled={1})
    assert set(again.holds) == {0, 1}, "a retry of the failed branch brings the other one back"


@pytest.mark.parametrize(
    ("join", "came", "verdict"),
    [
        ({"tolerate": {"count": 1}}, (1, 0, 1), Verdict.FIRED),
        ({"tolerate": {"count": 1}}, (0, 0, 2), Verdict.FAILED),
        ({"on_branch_failure": "continue"}, (0, 0, 2), Verdict.FIRED),
        ({"on_branch_failure": "abort"}, (0, 0, 1), Verdict.FAILED),
        ({"mode": "quorum", "quorum": 2}, (0, 0, 1), Verdict.FAILED),  # out of reach before all have answered
        ({"mode": "quorum", "quorum": 2}, (0, 1, 0), Verdict.OPEN),  # may still be skipped as a whole
        ({"mode": "any", "on_branch_failure": "continue"}, (0, 0, 1), Verdict.OPEN),
        ({}, (0, 2, 0), Verdict.SKIPPED),
    ],
)
def test_verdicts(join: Any, came: tuple[int, int, int], verdict: Verdict) -> None:
    plan = plan_of({"a": {}, "b": {}, "c": {"join": join}}, "a>c", "b>c")
    assert judge(plan.gates[2], *came) is verdict


def test_a_failed_join_with_an_error_path_is_handled() -> None:
    plan = plan_of({"a": {}, "b": {}, "c": {}, "d": {}}, "a>c", "b>c", "c.error>d")
    ends = {0: ["out"], 1: None}
    assert unhandled(plan, ends, replay(plan, ends)) == frozenset()


def test_descendants_are_everything_behind_a_step() -> None:
    plan = plan_of({"a": {}, "b": {}, "c": {}, "d": {}}, "a>b", "a>c", "b>d")
    assert descendants(plan, plan.node_of["b"]) == {plan.node_of["d"], plan.end}


def test_it_needs_no_deep_stack() -> None:
    count = 1_500
    plan = plan_of({f"s{n}": {} for n in range(count)}, *(f"s{n}>s{n + 1}" for n in range(count - 1)))
    assert set(replay(plan, {n: ["out"] for n in range(count - 1)}).holds) == {count - 1}
    joined = [f"s{n}>s{n + step}" for n in range(count - 2) for step in (1, 2)]
    plan = plan_of({f"s{n}": {} for n in range(count)}, *joined)
    ends = {0: None}
    assert unhandled(plan, ends, replay(plan, ends)) == {0}
