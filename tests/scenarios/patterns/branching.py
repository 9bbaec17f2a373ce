"""Basic control flow, choices, and how they meet again: 1-7, 11, 16, 37."""

from tests.engine.drawings import step
from tests.scenarios.patterns.pattern import Decide, Opened, Pattern, Ran, choose, drawn, joined, task

AMOUNT = {"big": "input.amount > 100"}

BRANCHING = [
    Pattern(
        number=1,
        name="sequence",
        document=drawn(step("a"), step("b"), step("c"), lines=("a > b > c",)),
        ran={"a": 1, "b": 1, "c": 1},
        order=("a < b", "b < c"),
        output="c",
    ),
    Pattern(
        number=2,
        name="parallel-split",
        document=drawn(step("a"), task("b"), task("c"), lines=("a > b", "a > c")),
        acts=(Opened(2), Decide("b"), Decide("c")),
        ran={"a": 1, "b": 1, "c": 1},
        order=("a < b", "a < c"),
    ),
    Pattern(
        number=3,
        name="synchronization",
        document=drawn(step("a"), task("b"), task("c"), step("d"), lines=("a > b.done > d", "a > c.done > d")),
        acts=(Opened(2), Decide("b"), Ran("b"), Decide("c")),
        ran={"a": 1, "b": 1, "c": 1, "d": 1},
        order=("b < d", "c < d"),
        output="d",
    ),
    Pattern(
        number=4,
        name="exclusive-choice",
        document=drawn(choose("size", **AMOUNT), step("a"), step("b"), lines=("size.big > a", "size.otherwise > b")),
        input={"amount": 500},
        ran={"size": 1, "a": 1},
    ),
    Pattern(
        number=5,
        name="simple-merge",
        document=drawn(
            *(choose("size", **AMOUNT), step("a"), step("b"), step("c")),
            lines=("size.big > a > c", "size.otherwise > b > c"),
        ),
        input={"amount": 5},
        ran={"size": 1, "b": 1, "c": 1},
        output="c",
    ),
    Pattern(
        number=6,
        name="multi-choice",
        document=drawn(
            *(choose("kinds", "inclusive", x="input.n > 1", y="input.n > 2", z="input.n > 3"), *map(step, "abc")),
            lines=("kinds.x > a", "kinds.y > b", "kinds.z > c"),
        ),
        input={"n": 3},
        ran={"kinds": 1, "a": 1, "b": 1},
    ),
    Pattern(
        number=7,
        name="structured-synchronizing-merge",
        document=drawn(
            choose("kinds", "inclusive", x="input.n > 1", y="input.n > 2", z="input.n > 3"),
            *(task("a"), task("b"), task("c"), step("d", "merge")),
            lines=("kinds.x > a.done > d", "kinds.y > b.done > d", "kinds.z > c.done > d"),
        ),
        input={"n": 3},
        acts=(Opened(2), Decide("a"), Decide("b")),
        ran={"kinds": 1, "a": 1, "b": 1, "d": 1},
        order=("a < d", "b < d"),
    ),
    Pattern(
        number=11,
        name="implicit-termination",
        document=drawn(step("a"), step("b"), task("c"), lines=("a > b", "a > c")),
        acts=(Ran("b"), Opened(1), Decide("c")),
        ran={"a": 1, "b": 1, "c": 1},
    ),
    Pattern(
        number=16,
        name="deferred-choice",
        document=drawn(
            *(step("ask"), task("phone"), task("letter"), step("later", "delay", config={"for": "PT1H"})),
            joined("first", "any", late="cancel"),
            choose("which", phone="'phone' in steps.first.arrived", letter="'letter' in steps.first.arrived"),
            *(step("call"), step("write"), step("remind")),
            lines=(
                "ask > phone.done > first > which.phone > call",
                "ask > letter.done > first",
                "ask > later > first",
                "which.letter > write",
                "which.otherwise > remind",
            ),
        ),
        acts=(Opened(2), Decide("letter")),
        ran={"ask": 1, "letter": 1, "first": 1, "which": 1, "write": 1},
        cancelled={"phone": 1, "later": 1},
    ),
    Pattern(
        number=37,
        name="acyclic-synchronizing-merge",
        # The choices nest and their merges do not: no merge has a split of its own.
        document=drawn(
            choose("outer", "inclusive", x="True", y="input.n > 1"),
            choose("inner", "inclusive", u="True", v="input.n > 2"),
            *(task("a"), step("b"), step("c"), joined("m", "all"), joined("n", "all")),
            lines=("outer.x > inner.u > a.done > m", "inner.v > b > n", "outer.y > c > m > n"),
        ),
        input={"n": 2},
        acts=(Ran("c"), Opened(1), Decide("a")),
        ran={"outer": 1, "inner": 1, "a": 1, "c": 1, "m": 1, "n": 1},
        order=("a < m", "c < m", "m < n"),
    ),
]
