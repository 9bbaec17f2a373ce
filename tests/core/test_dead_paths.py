"""Steps that can no longer run: a table of small drawings, and random ones against a run of `advance` itself."""

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.advance import Effects, Signal, advance, fail, skip
from orchestrator.core.dead_paths import dead_steps
from orchestrator.core.document import Retry
from orchestrator.core.plan import Arrow, Plan, PlanGate, PlanStep

Drawn = list[tuple[int, str, int]]

DIAMOND: Drawn = [(0, "out", 1), (0, "out", 2), (1, "out", 3), (2, "out", 3)]
CHOICE: Drawn = [(0, "yes", 1), (0, "no", 2), (1, "out", 3), (2, "out", 3)]
HANDLED: Drawn = [(0, "out", 1), (0, "error", 2), (2, "out", 3)]


def arrows(drawn: Drawn) -> tuple[Arrow, ...]:
    """The plan's arrows of a drawing: a step that several lead to has a gate with a slot for each."""
    incoming = Counter(target for _, _, target in drawn)
    slots: Counter[int] = Counter()
    found = []
    for source, port, target in drawn:
        slot = slots[target] if incoming[target] > 1 else None
        slots[target] += 1
        found.append(Arrow(source=source, port=port, target=target, slot=slot))
    return tuple(found)


@pytest.mark.parametrize(
    ("drawn", "ends", "dead"),
    [
        (DIAMOND, {}, set()),  # nothing has ended: everything may still happen
        (DIAMOND, {0: ["out"], 1: ["out"]}, set()),  # the join waits for the other branch
        (DIAMOND, {0: ["out"], 1: None}, set()),  # the join will fail with a row of its own
        (DIAMOND, {0: None}, {1, 2}),  # an unhandled failure ends both branches, and fails the join
        (CHOICE, {0: ["yes"]}, {2}),  # the path not taken; the join counts it as skipped
        (CHOICE, {0: ["otherwise"]}, {1, 2, 3}),  # both branches skipped: so is the join
        (HANDLED, {0: ["out"]}, {2, 3}),  # the error path, all the way
        (HANDLED, {0: ["error"]}, {1}),
        (HANDLED, {0: []}, {1, 2, 3}),  # success that leaves by no port at all
    ],
)
def test_it_names_steps_that_cannot_run(drawn: Drawn, ends: dict[int, list[str] | None], dead: set[int]) -> None:
    assert dead_steps(arrows(drawn), ends) == dead


def test_it_needs_no_deep_stack() -> None:
    line = arrows([(n, "out", n + 1) for n in range(2_000)])
    assert len(dead_steps(line, {0: None})) == 2_000


PORTS = ("out", "left", "error", "timeout")


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Arrows from lower to higher numbers, so without a cycle; gates of both modes."""
    size = draw(st.integers(2, 9))
    drawn = draw(
        st.lists(
            st.tuples(st.integers(0, size - 2), st.sampled_from(PORTS), st.integers(1, size - 1)).filter(
                lambda arrow: arrow[0] < arrow[2]
            ),
            max_size=20,
            unique=True,
        )
    )
    incoming = Counter(target for _, _, target in drawn)
    gates = {
        node: PlanGate(
            node=node,
            mode=draw(st.sampled_from("AN")),
            size=count,
            need=draw(st.integers(1, count)),
            tolerate=draw(st.integers(0, count)),
            on_branch_failure=draw(st.sampled_from(("abort", "finish"))),
        )
        for node, count in incoming.items()
        if count > 1
    }
    starts = tuple(node for node in range(size) if not incoming[node])
    return Plan(steps=tuple(step(node) for node in range(size)), arrows=arrows(drawn), gates=gates, starts=starts)


def step(node: int) -> PlanStep:
    return PlanStep(
        node=node,
        key=f"s{node}",
        name="",
        kind="call",
        config={},
        queue="default",
        timeout=1,
        retry=Retry(),
        ports=PORTS,
        reads=(),
        has_expressions=False,
    )


class Simulated:
    """A run of a plan in an order of its own: `advance` says what follows, this counts at the gates."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan, self.random = plan, random.Random(seed)
        self.open = list(plan.starts)
        self.ran = set(self.open)
        self.ends: dict[int, list[str] | None] = {}
        self.counts: dict[int, Counter[Signal]] = defaultdict(Counter)
        self.decided: set[int] = set()

    def end_one(self) -> None:
        """Finish one of the steps that run: by some ports, by a failure port, unhandled, or cancelled by a join."""
        node = self.open.pop(self.random.randrange(len(self.open)))
        if self.random.random() < 0.1:
            self.ends[node] = []
            self.follow(skip(self.plan, node))
            return
        timed_out = self.random.random() < 0.2
        if timed_out or self.random.random() < 0.2:
            self.fails(node, timed_out=timed_out)
            return
        self.ends[node] = self.random.choice([["out"], ["left"], ["out", "left"], []])
        self.follow(advance(self.plan, node, self.ends[node] or []))

    def fails(self, node: int, *, timed_out: bool) -> None:
        drawn = {arrow.port for arrow in self.plan.out_arrows.get(node, ())}
        taken = [port for port in (["timeout"] if timed_out else []) + ["error"] if port in drawn]
        self.ends[node] = taken[:1] or None
        self.follow(fail(self.plan, node, timed_out=timed_out))

    def follow(self, effects: Effects) -> None:
        self.open += effects.starts
        self.ran.update(effects.starts)
        for gate, _, signal in effects.signals:
            self.counts[gate][signal] += 1
            self.judge(self.plan.gates[gate])

    def judge(self, gate: PlanGate) -> None:
        came = self.counts[gate.node]
        early = gate.mode == "N" and came[Signal.OK] >= gate.need
        failed = gate.mode == "A" and came[Signal.FAIL] > gate.tolerate
        if failed and gate.on_branch_failure == "abort" and gate.node not in self.decided:
            self.decided.add(gate.node)
            self.ran.add(gate.node)
            self.fails(gate.node, timed_out=False)
        if gate.node in self.decided or not (early or came.total() == gate.size):
            return
        self.decided.add(gate.node)
        if came[Signal.SKIP] == gate.size:
            self.follow(skip(self.plan, gate.node))
        elif early or (gate.mode == "A" and not failed):
            self.open.append(gate.node)
            self.ran.add(gate.node)
        else:
            self.ran.add(gate.node)  # it fails without having started: its row says "branch_failed"
            self.fails(gate.node, timed_out=False)


@given(plans(), st.integers(0, 10_000))
def test_it_agrees_with_a_run(plan: Plan, seed: int) -> None:
    run = Simulated(plan, seed)
    told: frozenset[int] = frozenset()
    while run.open:
        run.end_one()
        dead = dead_steps(plan.arrows, run.ends)
        assert told <= dead, "a step that was dead came back"
        assert not dead & run.ran
        told = dead
    assert told == set(range(len(plan.steps))) - run.ran, "at the end, every step ran or is dead"
