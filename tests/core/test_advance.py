"""`advance` on thousands of random drawings: the same as the simple reading, whatever order the branches end in."""

from collections import Counter, defaultdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.advance import Effects, Signal, advance, closed, fail, skip
from orchestrator.core.compile import compile_plan
from orchestrator.core.parse import parse_document
from orchestrator.core.plan import CLOSED_PORT, Plan
from orchestrator.core.plan_json import plan_as_json, plan_from_json
from tests.graphs import ACTED, Expected, expected, random_document


class Board:
    """The gates and tokens of one run, in memory, moved by nothing but `advance`."""

    def __init__(self, plan: Plan, random: Random) -> None:
        self.plan, self.random = plan, random
        self.ready = list(plan.starts)
        self.ran: Counter[str] = Counter()
        self.failed: set[str] = set()
        self.blocked: set[str] = set()
        self.signalled: Counter[tuple[int, int]] = Counter()
        self.counts: dict[int, Counter[Signal]] = defaultdict(Counter)
        self.verdicts: dict[int, str] = {}
        self.ends: list[str] = []
        self.cancelling: set[int] = set()

    def play(self) -> Expected:
        while self.ready:
            assert not self.ends, "the run ended while steps were still to run"
            if self.random.random() < 0.5 and self.cancel_one():
                continue
            node = self.ready.pop(self.random.randrange(len(self.ready)))
            step = self.plan.steps[node]
            self.ran[step.key] += 1
            if step.config["fails"]:
                self.failed.add(step.key)
                self.apply(fail(self.plan, node))
            else:
                self.apply(advance(self.plan, node, step.config["ports"]))  # type: ignore[arg-type]
        return Expected(frozenset(self.ran), frozenset(self.failed), frozenset(self.blocked), self.ends[0])

    def apply(self, effects: Effects) -> None:
        self.ready += effects.starts
        for gate, slot, signal in effects.signals:
            self.signalled[gate, slot] += 1
            self.counts[gate][signal] += 1
            self.decide(gate)

    def decide(self, number: int) -> None:
        gate, count = self.plan.gates[number], self.counts[number]
        complete = count.total() == gate.size
        if number not in self.verdicts:
            verdict = self.verdict(number, complete=complete)
            if verdict == "X" and any(number in self.plan.gates[one].branch for one in self.cancelling):
                verdict = "S"
            if verdict:
                self.verdicts[number] = verdict
                cancels = gate.on_branch_failure == "abort" if verdict == "X" else gate.late == "cancel"
                if cancels and verdict != "S" and not complete:
                    self.cancelling.add(number)
                self.follow(number, verdict)
        if complete:
            self.cancelling.discard(number)
            self.apply(closed(self.plan, number))

    def cancel_one(self) -> bool:
        """Take one step away from a branch that a decided join no longer wants."""
        unwanted = {node for gate in self.cancelling for node in self.plan.gates[gate].branch}
        found = [node for node in self.ready if node in unwanted]
        if found:
            node = self.random.choice(found)
            self.ready.remove(node)
            self.apply(skip(self.plan, node))
        return bool(found)

    def verdict(self, number: int, *, complete: bool) -> str:
        gate, count = self.plan.gates[number], self.counts[number]
        if gate.mode == "N" and count[Signal.OK] >= gate.need:
            return "F"
        if gate.mode == "A" and count[Signal.FAIL] > gate.tolerate:
            return "X" if complete or gate.on_branch_failure == "abort" else ""
        if gate.mode == "N" and gate.on_branch_failure != "continue" and count[Signal.SKIP] < count.total():
            coming = gate.size - count.total()
            if count[Signal.OK] + coming < gate.need:
                return "X"
        if not complete:
            return ""
        return "S" if count[Signal.SKIP] == gate.size and number != self.plan.end else "F"

    def follow(self, number: int, verdict: str) -> None:
        if number == self.plan.end:
            self.ends.append("failed" if verdict == "X" else "succeeded")
        elif verdict == "F":
            self.ready.append(number)
        elif verdict == "X":
            self.blocked.add(self.plan.steps[number].key)
            self.apply(fail(self.plan, number))
        else:
            self.apply(skip(self.plan, number))


def plan_of(raw: dict[str, object]) -> Plan:
    return compile_plan(parse_document(raw), ACTED)  # type: ignore[arg-type]


@settings(max_examples=1500, deadline=None)
@given(st.integers(0, 2**32))
def test_random_drawings_run_as_the_simple_reading_says(seed: int) -> None:
    random = Random(seed)
    raw = random_document(random, most=18)
    plan = plan_of(raw)
    board = Board(plan, random)
    assert board.play() == expected(raw)
    assert len(board.ends) == 1
    assert set(board.ran.values()) <= {1}, "a step ran twice"
    # Every arrow that leads to a gate gave exactly one signal.
    assert board.signalled == {(arrow.target, arrow.slot): 1 for arrow in plan.arrows if arrow.slot is not None}


@settings(max_examples=1500, deadline=None)
@given(st.integers(0, 2**32))
def test_joins_that_cancel_end_as_they_may(seed: int) -> None:
    random = Random(seed)
    raw = random_document(random, most=18, cancels=True)
    plan = plan_of(raw)
    board = Board(plan, random)
    assert expected(raw).allows(board.play())
    assert len(board.ends) == 1
    assert set(board.ran.values()) <= {1}, "a step ran twice"
    assert board.signalled == {(arrow.target, arrow.slot): 1 for arrow in plan.arrows if arrow.slot is not None}
    assert not board.cancelling, "a join still cancels after its last branch has answered"


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_a_plan_survives_its_json_and_is_the_same_every_time(seed: int) -> None:
    raw = random_document(Random(seed), cancels=True)
    plan = plan_of(raw)
    assert plan_of(raw) == plan
    assert plan_from_json(plan_as_json(plan)) == plan


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_a_plan_answers_the_same_whenever_and_wherever_it_is_asked(seed: int) -> None:
    """I20: by the stored plan, the step and how it left alone, whatever this process has been asked before."""

    def answers(plan: Plan) -> list[tuple[Effects, ...]]:
        return [
            (advance(plan, node, step.config["ports"]), fail(plan, node), skip(plan, node))  # type: ignore[arg-type]
            for node, step in enumerate(plan.steps)
        ]

    plan = plan_of(random_document(Random(seed), cancels=True))
    before, stored = answers(plan), plan_as_json(plan)
    Board(plan, Random(seed)).play()
    assert answers(plan_from_json(stored)) == before
    assert plan_as_json(plan) == stored


def test_gates_only_signal_higher_gates() -> None:
    """What makes one lock order possible."""
    for seed in range(300):
        plan = plan_of(random_document(Random(seed), most=25))
        for node in plan.gates:
            if node != plan.end:
                effects = [*skip(plan, node).signals, *fail(plan, node).signals, *closed(plan, node).signals]
                assert all(gate > node for gate, _, _ in effects)


@pytest.mark.parametrize("length", [2_000])
def test_long_drawings_need_no_recursion(length: int) -> None:
    steps = [
        {"key": f"s{n}", "name": f"S{n}", "kind": "acted", "config": {"fails": n == 0}, "at": [0, 0]}
        for n in range(length)
    ]
    edges = [{"from": f"s{n}", "to": f"s{n + 1}"} for n in range(length - 1)]
    plan = plan_of({"format": "branchline/1", "name": "Long", "steps": steps, "edges": edges})
    assert fail(plan, 0).signals == ((plan.end, 0, Signal.FAIL),)


def test_only_gates_that_may_fire_early_close() -> None:
    for seed in range(100):
        plan = plan_of(random_document(Random(seed), cancels=True))
        early = {arrow.source for arrow in plan.arrows if arrow.port == CLOSED_PORT}
        assert early == {node for node, gate in plan.gates.items() if gate.is_early}
