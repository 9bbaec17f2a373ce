"""`advance` on thousands of random drawings: the same as the simple reading, whatever order the branches end in."""

from collections import Counter, defaultdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.advance import Effects, Signal, advance, closed, fail, skip
from orchestrator.core.parse import parse_document
from orchestrator.core.plan import CLOSED_PORT, Plan, compile_plan
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

    def play(self) -> Expected:
        while self.ready:
            assert not self.ends, "the run ended while steps were still to run"
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
            if verdict:
                self.verdicts[number] = verdict
                self.follow(number, verdict)
        if complete:
            self.apply(closed(self.plan, number))

    def verdict(self, number: int, *, complete: bool) -> str:
        gate, count = self.plan.gates[number], self.counts[number]
        if gate.mode == "N" and count[Signal.OK] >= gate.need:
            return "F"
        if not complete:
            return ""
        if gate.mode == "A" and count[Signal.FAIL] == 0:
            return "F" if count[Signal.OK] or number == self.plan.end else "S"
        return "X" if count[Signal.OK] + count[Signal.FAIL] else "S"

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


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_a_plan_survives_its_json_and_is_the_same_every_time(seed: int) -> None:
    raw = random_document(Random(seed))
    plan = plan_of(raw)
    assert plan_of(raw) == plan
    assert plan_from_json(plan_as_json(plan)) == plan


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
        plan = plan_of(random_document(Random(seed)))
        early = {arrow.source for arrow in plan.arrows if arrow.port == CLOSED_PORT}
        assert early == {node for node, gate in plan.gates.items() if gate.is_early}
