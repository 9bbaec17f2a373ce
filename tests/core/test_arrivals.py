"""The most arrivals at a join, compared with all that can happen, tried one by one."""

from collections.abc import Iterator
from itertools import product
from random import Random
from typing import Any

import pytest

from orchestrator.core.arrivals import MOST_NESTED, Arrivals
from orchestrator.core.drawing import Drawing
from orchestrator.core.problems import find_problems
from tests.core.drawings import choose, document, step
from tests.core.kinds_for_tests import KINDS

Raw = tuple[list[dict[str, Any]], str]
OK, SKIP, FAIL = "ok", "skip", "fail"
#: With these a failure, or time, may open a way: then the answer may be too large.
LENIENT = [
    {"on_branch_failure": "continue"},
    {"tolerate": {"count": 1}},
    {"mode": "any", "on_branch_failure": "continue"},
]


def random_raw(random: Random, *, lenient: bool) -> Raw:
    """A drawing of few steps, the last one a join."""
    count = random.randint(4, 8)
    steps: list[dict[str, Any]] = []
    edges: dict[str, None] = {}
    for n in range(count):
        steps.append(_step(random, f"s{n}"))
        sources = random.sample(range(n), min(n, random.choice((0, 1, 1, 2, 2, 3)) if n < count - 1 else 4))
        for source in sources:
            for port in random.sample(_drawn(steps[source]), 1 if random.random() < 0.8 else 2):
                edges[f"s{source}.{port} -> s{n}"] = None
        incoming = sum(edge.endswith(f"-> s{n}") for edge in edges)
        if incoming > 1 and n < count - 1 and random.random() < 0.6:
            joins: list[dict[str, Any]] = [
                {"mode": "any"},
                {},
                {"mode": "quorum", "quorum": random.randint(1, incoming)},
            ]
            steps[n]["join"] = random.choice(joins + (LENIENT if lenient else []))
    return steps, ", ".join(edges)


def _step(random: Random, key: str) -> dict[str, Any]:
    ports = random.choice((("x",), ("x", "y")))
    mode = random.choice(("exclusive", "exclusive", "inclusive"))
    return choose(key, *ports, mode=mode) if random.random() < 0.5 else step(key)


def _drawn(raw: dict[str, Any]) -> list[str]:
    cases = [case["port"] for case in raw["config"]["cases"]] if raw["kind"] == "choose" else []
    return [*cases, "otherwise"] if cases else ["out", "error"]


def _endings(raw: dict[str, Any]) -> Iterator[frozenset[str] | None]:
    """All ways in which a step can end once it runs: by these ports, or by a failure."""
    yield None
    if raw["kind"] != "choose":
        yield frozenset({"out"})
        return
    ports = [case["port"] for case in raw["config"]["cases"]]
    yield from (frozenset({port}) for port in (*ports, "otherwise"))
    if raw["config"]["mode"] == "inclusive":
        yield frozenset(ports)


def tried(raw: Raw) -> int:
    """The most branches of the last step that arrive, over all endings of all steps."""
    steps, text = raw
    pairs = [edge.split(" -> ") for edge in text.split(", ") if edge]
    edges = [((source if "." in source else f"{source}.out").split("."), target) for source, target in pairs]
    incoming = {one["key"]: [source for source, target in edges if target == one["key"]] for one in steps}
    drawn = {one["key"]: {port for (key, port), _ in edges if key == one["key"]} for one in steps}
    best = 0
    for endings in product(*(list(_endings(one)) for one in steps[:-1])):
        told: dict[tuple[str, str], str] = {}
        for one, ending in zip(steps, endings, strict=False):
            key = one["key"]
            fate = _fate(one.get("join", {}), [told[key_, port] for key_, port in incoming[key]])
            for port in drawn[key]:
                told[key, port] = _told(fate, ending, port, handled="error" in drawn[key])
        best = max(best, sum(told[key, port] == OK for key, port in incoming[steps[-1]["key"]]))
    return best


def _fate(join: dict[str, Any], signals: list[str]) -> str:
    """Runs, is skipped, is blocked behind a failure, or is a join that fails."""
    if len(signals) < 2:
        return {OK: "runs", SKIP: "skipped", FAIL: "blocked"}[(signals or [OK])[0]]
    if set(signals) == {SKIP}:
        return "skipped"
    if join.get("on_branch_failure") == "continue":
        return "runs"
    need = {"any": 1, "quorum": join.get("quorum")}.get(join.get("mode", "all"))
    if need is not None:
        return "runs" if signals.count(OK) >= need else "join fails"
    return "runs" if signals.count(FAIL) <= join.get("tolerate", {}).get("count", 0) else "join fails"


def _told(fate: str, ending: frozenset[str] | None, port: str, *, handled: bool) -> str:
    if fate == "skipped":
        return SKIP
    if fate == "runs" and ending is not None:
        return OK if port in ending else SKIP
    if handled and fate != "blocked":
        return OK if port == "error" else SKIP
    return SKIP if port == "error" else FAIL


def most(raw: Raw) -> int:
    return Arrivals(Drawing(document(*raw), KINDS)).most(raw[0][-1]["key"])


def is_lenient(raw: Raw) -> bool:
    """Whether a failure may open a way: a join that bears it, or that has an error port."""
    steps, text = raw
    gated = {one["key"] for one in steps if text.count(f"-> {one['key']}") > 1}
    policies = [one.get("join", {}) for one in steps if one["key"] in gated]
    return any(one in LENIENT for one in policies) or any(f"{key}.error" in text for key in gated)


def blocks(raw: Raw) -> bool:
    """Whether a join that asks for several may fail and so hold up an `all` join behind it."""
    joins = [one for one in raw[0][:-1] if raw[1].count(f"-> {one['key']}") > 1]
    modes = {one.get("join", {}).get("mode", "all") for one in joins}
    return "all" in modes and "quorum" in modes


@pytest.mark.parametrize("seed", range(12))
def test_a_join_that_can_fire_is_never_refused(seed: int) -> None:
    random = Random(seed)
    exact = 0
    for _ in range(60):
        raw = random_raw(random, lenient=seed % 2 == 1)
        found, truth = most(raw), tried(raw)
        assert found >= truth, raw
        if not is_lenient(raw) and not blocks(raw):
            assert found == truth, raw
            exact += 1
    assert exact > 5


@pytest.mark.parametrize(
    ("edges", "truth"),
    [
        ("a.x -> m, a.x -> j, m -> j, a.otherwise -> n, a.otherwise -> k, n -> k, j -> d, k -> d", 2),  # "a" fails
        (
            "a.x -> m, a.x -> j, m -> j, a.otherwise -> n, a.otherwise -> k, n -> k, j -> d, k -> d, a.error -> z",
            1,
        ),  # its failure goes elsewhere
    ],
)
def test_a_failure_may_open_ways_that_no_choice_does(edges: str, truth: int) -> None:
    joined = [step(key, join={"on_branch_failure": "continue"}) for key in ("j", "k")]
    raw = [choose("a", "x"), step("m"), step("n"), step("z"), *joined, step("d")], edges
    assert most(raw) == tried(raw) == truth


@pytest.mark.parametrize("policy", [{"on_deadline": "proceed"}, {"on_deadline": "fail"}])
def test_a_deadline_may_open_ways_that_no_choice_does(policy: dict[str, Any]) -> None:
    """At the deadline a join goes on, or fails, though all who have answered were skipped."""
    port = "out" if policy["on_deadline"] == "proceed" else "error"
    joined = [step(key, join={"deadline": "PT1M", **policy}) for key in ("j", "k")]
    edges = f"a.x -> m, a.x -> j, m -> j, a.otherwise -> n, a.otherwise -> k, n -> k, j.{port} -> d, k.{port} -> d"
    assert (
        most(([choose("a", "x"), step("m"), step("n"), step("z"), *joined, step("d")], edges + ", a.error -> z")) == 2
    )


def test_many_choices_apart_are_counted_exactly() -> None:
    pairs = [
        f"c{n}.{port} -> {name}{n}, {name}{n} -> d"
        for n in range(300)
        for port, name in (("x", "p"), ("otherwise", "q"))
    ]
    steps = [choose(f"c{n}", "x") for n in range(300)]
    steps += [step(f"{name}{n}") for n in range(300) for name in "pq"]
    raw = [*steps, step("d", join={"mode": "quorum", "quorum": 301})], ", ".join(pairs)
    assert most(raw) == 300


@pytest.mark.parametrize("deep", [100, 700])
def test_a_choice_in_a_choice_is_followed_far_down(deep: int) -> None:
    """Beyond what it follows the answer is too large, never too small, and still there."""
    edges = [f"c{n}.otherwise -> c{n + 1}" for n in range(deep - 1)] + [f"c{n}.x -> d" for n in range(deep)]
    raw = (
        [*(choose(f"c{n}", "x") for n in range(deep)), step("d", join={"mode": "quorum", "quorum": 2})],
        ", ".join(edges),
    )
    assert most(raw) == 1 if deep < MOST_NESTED else most(raw) >= 1
    assert len(find_problems(document(*raw), KINDS)) == (1 if deep < MOST_NESTED else 0)


EXCLUDING = "a.x -> p, a.x -> q, a.otherwise -> r, a.otherwise -> s, p -> m, q -> m, r -> m, r -> n, s -> n, p -> n"


def behind_quorums(edges: str = EXCLUDING, **join: Any) -> Raw:
    """Each way of the choice reaches one of two quorums and lets the other one lack a branch."""
    two = {"mode": "quorum", "quorum": 2}
    steps = [choose("a", "x"), *(step(key) for key in "pqrs"), step("m", join=two), step("n", join=two)]
    return [*steps, step("d", join=join)], f"{edges}, m -> d, n -> d"


def problems(raw: Raw) -> list[tuple[str | None, str]]:
    return [(one.step, one.code) for one in find_problems(document(*raw), KINDS) if one.severity == "error"]


def test_a_join_for_all_behind_quorums_that_exclude_one_another_is_refused() -> None:
    assert problems(behind_quorums()) == [("d", "join_never_fires")]
    (found,) = (one for one in find_problems(document(*behind_quorums()), KINDS) if one.severity == "error")
    assert '("m", "n")' in found.message
    assert problems(behind_quorums(mode="any")) == []
    assert problems(behind_quorums(on_branch_failure="continue")) == []
    assert problems(behind_quorums(f"{EXCLUDING}, a.x -> s")) == []  # now both are reached on one way


def fires(raw: Raw) -> bool:
    """Whether the last step runs in some run, over all endings of all steps."""
    steps, text = raw
    pairs = [edge.split(" -> ") for edge in text.split(", ") if edge]
    edges = [((source if "." in source else f"{source}.out").split("."), target) for source, target in pairs]
    incoming = {one["key"]: [source for source, target in edges if target == one["key"]] for one in steps}
    drawn = {one["key"]: {port for (key, port), _ in edges if key == one["key"]} for one in steps}
    for endings in product(*(list(_endings(one)) for one in steps[:-1])):
        told: dict[tuple[str, str], str] = {}
        for one, ending in zip(steps, endings, strict=False):
            key = one["key"]
            fate = _fate(one.get("join", {}), [told[key_, port] for key_, port in incoming[key]])
            for port in drawn[key]:
                told[key, port] = _told(fate, ending, port, handled="error" in drawn[key])
        last = steps[-1]
        if _fate(last.get("join", {}), [told[key_, port] for key_, port in incoming[last["key"]]]) == "runs":
            return True
    return False


@pytest.mark.parametrize("lenient", [False, True])
def test_a_join_for_all_is_refused_when_and_only_when_it_never_fires(*, lenient: bool) -> None:
    random = Random(1_006)
    refused = 0
    for _ in range(400):
        steps, text = random_raw(random, lenient=lenient)
        steps[-1].pop("join", None)
        raw = steps, text
        found, truth = bool(Arrivals(Drawing(document(*raw), KINDS)).lacking(steps[-1]["key"])), not fires(raw)
        assert truth or not found, raw
        assert found == truth or is_lenient(raw) or text.count(f"-> {steps[-1]['key']}") < 2, raw
        refused += found
    assert refused > 2


def test_many_choices_before_a_join_for_all_are_not_all_tried() -> None:
    choices = [choose(f"c{n}", "x") for n in range(30)]
    two = step("m", join={"mode": "quorum", "quorum": 2})
    edges = ", ".join(f"c{n}.x -> d" for n in range(30))
    raw = [*choices, two, step("d")], f"{edges}, c0.x -> m, c0.otherwise -> m, m -> d"
    assert problems(raw) == [("m", "join_never_fires")]
