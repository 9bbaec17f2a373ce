"""Joins that could never fire, or fire too often, are named."""

from typing import Any

import pytest

from tests.core.drawings import choose, step
from tests.core.found import FORKED, codes, only, problems


@pytest.mark.parametrize(
    ("first", "edges", "join", "code"),
    [
        (step("a"), FORKED, {"mode": "quorum", "quorum": 2}, None),
        (step("a"), FORKED, {"mode": "quorum", "quorum": 3}, "quorum_too_large"),
        (step("a"), FORKED, {"mode": "quorum", "quorum": 0}, "quorum_too_small"),
        (step("a"), FORKED, {"mode": "quorum"}, "quorum_missing"),
        (step("a"), FORKED, {"mode": "all", "quorum": 2}, "quorum_not_used"),
        (step("a"), FORKED, {"deadline": "PT1M", "on_deadline": "proceed"}, None),
        (step("a"), FORKED, {"deadline": "PT1M"}, None),  # it fails then: the default
        (step("a"), FORKED, {"deadline": "PT0S"}, "deadline_invalid"),
        (step("a"), FORKED, {"on_deadline": "proceed"}, "on_deadline_not_used"),
        (step("a"), FORKED, {"on_branch_failure": "continue"}, None),
        (step("a"), FORKED, {"on_branch_failure": "abort"}, None),
        (step("a"), FORKED, {"tolerate": {"count": 1}}, None),
        (step("a"), FORKED, {"tolerate": {"percent": 50}, "on_branch_failure": "abort"}, None),
        (step("a"), FORKED, {"tolerate": {"count": 0}}, None),
        (step("a"), FORKED, {"tolerate": {"count": 2}}, "tolerate_out_of_range"),  # that is "continue"
        (step("a"), FORKED, {"tolerate": {"count": -1}}, "tolerate_out_of_range"),
        (step("a"), FORKED, {"tolerate": {"percent": 100}}, "tolerate_out_of_range"),
        (step("a"), FORKED, {"tolerate": {"percent": 101}}, "tolerate_out_of_range"),
        (step("a"), FORKED, {"tolerate": {"percent": -0.5}}, "tolerate_out_of_range"),
        (step("a"), FORKED, {"tolerate": {"percent": 49}}, "tolerate_without_effect"),
        (step("a"), FORKED, {"tolerate": {}}, "tolerate_unclear"),
        (step("a"), FORKED, {"tolerate": {"count": 1, "percent": 50}}, "tolerate_unclear"),
        (step("a"), FORKED, {"mode": "any", "tolerate": {"count": 1}}, "tolerate_not_used"),
        (step("a"), FORKED, {"mode": "quorum", "quorum": 1, "tolerate": {"count": 1}}, "tolerate_not_used"),
        (step("a"), FORKED, {"on_branch_failure": "continue", "tolerate": {"count": 1}}, "tolerate_not_used"),
        (step("a"), FORKED, {"late": "cancel"}, "late_not_used"),  # all are awaited: none is late
        (step("a"), FORKED, {"late": "cancel", "deadline": "PT1M"}, None),
        (step("a"), FORKED, {"late": "cancel", "mode": "any"}, None),
        (step("a"), "a -> b, a -> c, b -> d, c -> d, b -> e, c -> e", {"late": "cancel", "mode": "any"},
         "late_cancels_nothing"),  # both branches are needed elsewhere
        (step("a"), FORKED, {"on_branch_failure": "finish", "late": "ignore"}, None),
        (choose("a", "x"), "a.x -> b, a.otherwise -> c, b -> d, c -> d", {"mode": "all"}, None),  # a simple merge
        (choose("a", "x"), "a.x -> b, a.otherwise -> c, b -> d, c -> d", {"mode": "any"}, None),
        (choose("a", "x"), "a.x -> b, a.otherwise -> c, b -> d, c -> d", {"mode": "quorum", "quorum": 1}, None),
        (choose("a", "x"), "a.x -> b, a.otherwise -> c, b -> d, c -> d", {"mode": "quorum", "quorum": 2},
         "join_never_fires"),
        (choose("a", "x"), "a.x -> d, a.otherwise -> d", {"mode": "quorum", "quorum": 2}, "join_never_fires"),
        (choose("a", "x"), "a.x -> b, a.x -> c, b -> d, c -> d", {"mode": "quorum", "quorum": 2}, None),  # same port
        (choose("a", "x", "y", mode="inclusive"), "a.x -> b, a.y -> c, b -> d, c -> d", {"mode": "quorum", "quorum": 2},
         None),  # both may be taken
        (choose("a", "x", mode="inclusive"), "a.x -> b, a.otherwise -> c, b -> d, c -> d",
         {"mode": "quorum", "quorum": 2}, "join_never_fires"),  # `otherwise` is for none of the cases
        (step("a"), "a -> b, a.error -> c, b -> d, c -> d", {"mode": "quorum", "quorum": 2}, "join_never_fires"),
        (choose("a", "x"), "a.x -> b, b -> d, c -> d", {"mode": "quorum", "quorum": 2}, None),  # "c" starts by itself
    ],
)  # fmt: skip
def test_it_checks_joins(first: dict[str, Any], edges: str, join: dict[str, Any], code: str | None) -> None:
    more = [step("e")] if "e" in edges.split() else []
    assert codes([first, step("b"), step("c"), step("d", join=join), *more], edges) == ([code] if code else [])


@pytest.mark.parametrize(
    ("edges", "quorum", "most"),
    [
        (
            "a.x -> p, a.otherwise -> e, e.x -> q, e.otherwise -> r, p -> d, q -> d, r -> d",
            2,
            1,
        ),  # a choice in a choice
        ("a.x -> p, a.otherwise -> q, e.x -> r, e.otherwise -> s, p -> d, q -> d, r -> d, s -> d", 3, 2),  # two apart
        ("a.x -> m, e.x -> m, a.otherwise -> p, e.otherwise -> q, m -> d, p -> d, q -> d", 3, 2),  # two ways to "m"
        ("a.x -> p, a.otherwise -> e, e.x -> p, e.otherwise -> q, p -> d, q -> d", 2, 1),  # by a choice made or not
        ("a.x -> two, e.x -> two, two -> d, a.otherwise -> p, p -> d", 2, 1),  # "two" needs both choices
    ],
)
@pytest.mark.parametrize("short", [0, 1])
def test_no_quorum_is_more_than_any_choices_let_arrive(edges: str, quorum: int, most: int, short: int) -> None:
    quorum = quorum if short else most
    names = {name.split(".")[0] for edge in edges.split(",") for name in edge.split()} - {"->", "a", "e", "d", "two"}
    steps = [choose("a", "x"), choose("e", "x"), *map(step, sorted(names))]
    steps += [step("two", join={"mode": "quorum", "quorum": 2})] if "two" in edges else []
    found = problems([*steps, step("d", join={"mode": "quorum", "quorum": quorum})], edges)
    assert [(one.code, one.step) for one in found] == ([("join_never_fires", "d")] if short else [])
    assert all(f"at most {most} can" in one.message for one in found)


@pytest.mark.parametrize(
    ("join", "mentions"),
    [
        ({"on_branch_failure": "continue"}, "waits until all have answered"),
        ({"deadline": "PT1M", "on_deadline": "proceed"}, "only if its deadline passes"),
    ],
)
def test_a_join_that_fires_without_its_quorum_is_not_refused(join: dict[str, Any], mentions: str) -> None:
    join = {"mode": "quorum", "quorum": 2, **join}
    found = only([choose("a", "x"), step("d", join=join)], "a.x -> d, a.otherwise -> d")
    assert (found.code, found.severity) == ("quorum_out_of_reach", "warning")
    assert mentions in found.message


def test_it_counts_exclusive_groups() -> None:
    task = step("a", "human_task", config={"outcomes": [{"key": "yes"}, {"key": "no"}]})
    steps = [task, step("b"), step("c"), step("d"), step("e", join={"mode": "quorum", "quorum": 3})]
    found = only(steps, "a.yes -> b, a.yes -> c, a.no -> d, b -> e, c -> e, d -> e")
    assert found.code == "join_never_fires"
    assert found.fix is not None
    assert found.fix.label == "Lower the quorum to 2"
