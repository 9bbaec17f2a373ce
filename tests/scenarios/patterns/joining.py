"""Joins that do not wait for everybody: 9, 28-32."""

from typing import Any

from tests.engine.drawings import step
from tests.scenarios.patterns.pattern import Decide, Opened, Pattern, Ran, drawn, joined, task


def two(mode: str, **join: Any) -> dict[str, Any]:
    """A quick branch and one that waits for a person; what follows says for whom it did not wait."""
    config = {"value": {"$": "join.missing"}}
    return drawn(
        *(step("a"), step("fast"), task("slow"), joined("next", mode, "transform", config=config, **join)),
        lines=("a > fast > next", "a > slow.done > next"),
    )


def three(**join: Any) -> dict[str, Any]:
    """Three branches that wait for people; two are enough."""
    return drawn(
        *(step("a"), task("x"), task("y"), task("z"), joined("next", "quorum", quorum=2, **join)),
        lines=("a > x.done > next", "a > y.done > next", "a > z.done > next"),
    )


def in_turns(*branches: dict[str, Any], **join: Any) -> dict[str, Any]:
    """The same join in two turns of a repeat."""
    inside = [{**one, "parent": "turns"} for one in branches]
    lines = tuple(f"a > {_left(one)} > next" for one in branches)
    return drawn(
        step("turns", "repeat", config={"until": {"$": "turn == 2"}, "turns": 2}),
        *(step("a", parent="turns"), *inside, joined("next", parent="turns", **join)),
        lines=lines,
    )


def _left(one: dict[str, Any]) -> str:
    return f"{one['key']}.done" if one["kind"] == "human_task" else str(one["key"])


JOINING = [
    Pattern(
        number=9,
        name="structured-discriminator",
        document=two("any"),
        acts=(Ran("next"), Opened(1), Decide("slow")),
        ran={"a": 1, "fast": 1, "slow": 1, "next": 1},
        output=["slow"],
        order=("fast < next",),
        ends=("next < slow",),
    ),
    Pattern(
        number=28,
        name="blocking-discriminator",
        # The second turn's branches are held back until the first turn's have all arrived.
        document=in_turns(step("fast"), task("slow"), mode="any"),
        acts=(Ran("next"), Opened(1), Decide("slow"), Ran("next", 2), Opened(1), Decide("slow")),
        ran={"turns": 1, "a": 2, "fast": 2, "slow": 2, "next": 2},
        order=("slow 1 < fast 2",),
        ends=("next 1 < slow 1", "next 2 < slow 2"),
    ),
    Pattern(
        number=28,
        name="blocking-discriminator-of-two-threads",
        # The second thread has come before the first one's branches have all arrived, and is held at the lock.
        document=drawn(
            *(step("each", "for_each", config={"items": [1, 2]}), step("come", parent="each")),
            step("one", "scope", config={"lock": "discriminator"}, parent="each"),
            *(step("a", parent="one"), step("fast", parent="one"), task("slow", parent="one")),
            joined("next", "any", "transform", parent="one"),
            lines=("come > one", "a > fast > next", "a > slow.done > next"),
        ),
        acts=(Ran("come", 2), Ran("next"), Opened(1), Decide("slow"), Ran("next", 2), Opened(1), Decide("slow")),
        ran={"each": 1, "come": 2, "one": 2, "a": 2, "fast": 2, "slow": 2, "next": 2},
        order=("slow 1 < fast 2",),
        ends=("come 2 < slow 1", "next 1 < slow 1", "next 2 < slow 2"),
    ),
    Pattern(
        number=29,
        name="cancelling-discriminator",
        document=two("any", late="cancel"),
        ran={"a": 1, "fast": 1, "next": 1},
        output=["slow"],
        cancelled={"slow": 1},
    ),
    Pattern(
        number=30,
        name="structured-partial-join",
        document=three(),
        acts=(Opened(3), Decide("x"), Decide("z"), Ran("next"), Decide("y")),
        ran={"a": 1, "x": 1, "y": 1, "z": 1, "next": 1},
        order=("x < next", "z < next"),
        ends=("next < y",),
    ),
    Pattern(
        number=31,
        name="blocking-partial-join",
        document=in_turns(step("x"), step("y"), task("z"), mode="quorum", quorum=2),
        acts=(Ran("next"), Opened(1), Decide("z"), Ran("next", 2), Opened(1), Decide("z")),
        ran={"turns": 1, "a": 2, "x": 2, "y": 2, "z": 2, "next": 2},
        order=("z 1 < x 2", "z 1 < y 2"),
        ends=("next 1 < z 1", "next 2 < z 2"),
    ),
    Pattern(
        number=32,
        name="cancelling-partial-join",
        document=three(late="cancel"),
        acts=(Opened(3), Decide("x"), Decide("z")),
        ran={"a": 1, "x": 1, "z": 1, "next": 1},
        cancelled={"y": 1},
    ),
]
