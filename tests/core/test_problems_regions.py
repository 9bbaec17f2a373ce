"""Regions in the validator: whom they hold, and whether their steps keep to the declared pattern."""

from typing import Any

import pytest

from orchestrator.core.compile import compile_plan
from orchestrator.core.parse import parse_document
from orchestrator.core.problem import Problem
from orchestrator.core.problems import find_problems
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step

KEYS = "abcdefxy"


def region(pattern: str, steps: str, key: str = "r", **more: Any) -> dict[str, Any]:
    return {"key": key, "pattern": pattern, "steps": list(steps), **more}


def found(*regions: dict[str, Any], lines: tuple[str, ...] = (), **kinds: dict[str, Any]) -> list[Problem]:
    steps = [{**step(key), **kinds.get(key, {})} for key in KEYS]
    raw = document(steps, *lines, regions=list(regions))
    return [problem for problem in find_problems(parse_document(raw), KINDS) if problem.code.startswith("region")]


def codes(*regions: dict[str, Any], lines: tuple[str, ...] = (), **kinds: dict[str, Any]) -> list[str]:
    return [problem.code for problem in found(*regions, lines=lines, **kinds)]


def wait(key: str) -> dict[str, Any]:
    return step(key, "delay", config={"for": "PT1S"})


def cases(mode: str) -> dict[str, Any]:
    listed = [{"port": port, "when": {"$": "True"}} for port in ("u", "v")]
    return step("a", "choose", config={"mode": mode, "cases": listed})


BOX = step("x", "scope")


@pytest.mark.parametrize(
    ("steps", "lines", "kinds", "code"),
    [
        ("abc", ("a > b > c",), {}, None),
        ("abc", ("x > a > b > c > y",), {}, None),  # between others
        ("abc", ("a > b > c", "a.error > y"), {}, None),  # failure may leave anywhere
        ("abcd", ("a.u > b > d", "a.v > c > d"), {"a": cases("exclusive")}, None),  # only one line is walked
        ("abc", ("a.u > b", "a.v > c"), {"a": cases("inclusive")}, "region_forks"),
        ("abc", ("a.u > b", "a.otherwise > c"), {"a": cases("inclusive")}, None),  # otherwise: no other one
        ("abc", ("a > b", "a > c"), {}, "region_forks"),
        ("ab", ("a > b", "a > x"), {}, "region_forks"),  # a branch leaves while the line goes on
        ("abc", ("a > b > c > x", "c > y"), {}, None),  # what forks behind its border is not inside
        ("ab", (), {}, "region_second_entry"),
        ("abc", ("a > b > c", "x > c"), {}, "region_second_entry"),
        ("ac", ("a > b > c",), {}, "region_second_entry"),  # the way leads outside and back
    ],
)
def test_a_sequence_is_one_line(steps: str, lines: tuple[str, ...], kinds: dict[str, Any], code: str | None) -> None:
    assert codes(region("sequence", steps), lines=lines, **kinds) == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("steps", "lines", "code"),
    [
        ("abcd", ("a > b > d", "a > c > d"), None),
        ("abcd", ("x > a > b > d > y", "a > c > d"), None),
        ("abc", ("a > b", "a > c"), None),  # each ends
        ("bc", ("a > b > d", "a > c > d"), None),  # opened and joined around it
        ("abcd", ("a > b > d", "a > c > d", "b.error > x"), None),
        ("abc", ("a > b > x", "a > c > y"), "region_branch_escapes"),
        ("abc", ("a > b > x", "a > c > x"), "region_branch_escapes"),  # joined, but outside
        ("abcd", ("a > b > d", "a > c > d", "a > x"), "region_branch_escapes"),
        ("abc", ("a > b > x", "a > c"), "region_branch_escapes"),  # one leaves alone while the other is at work
        ("abcdef", ("a > b", "a > c > d > f > x", "c > e > f"), "region_branch_escapes"),  # with its own branches
        ("abcde", ("a > b > d > x", "a > c > d", "a > e"), None),  # two meet, the third ends
        ("abcdef", ("a > b > d", "a > c > d", "b > e > f", "b > f", "d > x", "f > y"), "region_branch_escapes"),
        ("bc", ("a > b", "x > c"), "region_second_entry"),  # opened at two places
        ("abc", ("a > b > c",), "region_not_parallel"),
    ],
)
def test_branches_opened_in_a_parallel_region_meet_inside(steps: str, lines: tuple[str, ...], code: str | None) -> None:
    assert sorted(set(codes(region("parallel", steps), lines=lines))) == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("steps", "lines", "code"),
    [
        ("ab", ("x > a > b",), None),  # a waits
        ("xa", ("x > a",), None),  # begins with the run
        ("ba", ("x > b > a",), "region_entry_does_not_wait"),
        ("bc", ("b > c",), "region_without_wait"),
    ],
)
def test_control_enters_an_event_region_at_waits(steps: str, lines: tuple[str, ...], code: str | None) -> None:
    for waits in (wait("a"), step("a", "wait_event", config={"type": "order.paid"})):
        assert codes(region("event", steps), lines=lines, a=waits) == ([] if code is None else [code])


def test_a_region_holds_steps_of_one_level_that_nobody_else_holds() -> None:
    inside = {**step("b"), "parent": "x"}
    assert codes(region("sequence", "ab"), x=BOX, b=inside) == ["region_levels"]
    shared = codes(region("sequence", "ab"), region("sequence", "bc", key="s"), lines=("a > b > c",))
    assert shared == ["region_overlap"]
    assert codes(region("sequence", "aba"), lines=("a > b",)) == ["region_overlap"]


def test_an_empty_region_is_only_a_warning() -> None:
    (problem,) = found(region("sequence", ""))
    assert (problem.code, problem.severity) == ("region_empty", "warning")


def test_a_fork_offers_to_declare_the_region_parallel() -> None:
    (problem,) = found(region("sequence", "abc", name="Payment"), lines=("a > b", "a > c"))
    assert problem.message.startswith('The region "Payment" is a sequence, but "a" leads to "b" and "c" at once.')
    assert problem.fix is not None
    assert problem.fix.patch == ({"op": "add", "path": "/regions/0/pattern", "value": "parallel"},)


@pytest.mark.parametrize(
    ("ends", "told"), [("bcdef", '"b", "c", "d", "e" and "f"'), ("bcdefxy", '"b", "c", "d", "e" and 3 more')]
)
def test_a_message_names_five_steps_at_most(ends: str, told: str) -> None:
    (problem, *_) = found(region("sequence", "a" + ends), lines=tuple(f"a > {end}" for end in ends))
    assert f'"a" leads to {told} at once.' in problem.message


def test_the_plan_keeps_regions_for_the_monitor() -> None:
    raw = document([step("a"), step("b")], "a > b", regions=[region("sequence", "ab", name="Line")])
    plan = compile_plan(parse_document(raw), KINDS)
    assert plan.regions == ({"key": "r", "name": "Line", "pattern": "sequence", "steps": ["a", "b"]},)
