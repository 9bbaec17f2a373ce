"""What can be had although no single drawing says it: 8, 10, 15, 33, 34, 36, 38. `docs/patterns.md` tells how."""

from typing import Any

from tests.engine.drawings import step
from tests.scenarios.patterns.events import wait
from tests.scenarios.patterns.pattern import (
    Awaiting,
    Decide,
    Opened,
    Pattern,
    Publish,
    Ran,
    choose,
    drawn,
    joined,
    task,
    value,
)


def inside(container: str, *steps: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps in a container."""
    return [{**one, "parent": container} for one in steps]


MORE = {"$": "index"}

WORKAROUNDS = [
    Pattern(
        number=8,
        name="multi-merge",
        direct=False,
        # Each item is one branch; what follows the merge is done for each of them, and nobody waits for the others.
        document=drawn(
            step("branches", "for_each", config={"items": ["b", "c"]}),
            *inside("branches", choose("way", b="item == 'b'"), step("b"), task("c"), step("d")),
            lines=("way.b > b > d", "way.otherwise > c.done > d"),
        ),
        acts=(Ran("d"), Opened(1), Decide("c")),
        ran={"branches": 1, "way": 2, "b": 1, "c": 1, "d": 2},
        order=("c < d 2",),
        ends=("d 1 < c",),
    ),
    Pattern(
        number=10,
        name="arbitrary-cycles",
        direct=False,
        # b and c follow one another in a circle that is entered at either, and left behind either.
        document=drawn(
            step("circle", "repeat", config={"until": {"$": "last.to == 'out'"}, "turns": 9}),
            *inside(
                "circle",
                choose("at", b="(last.to if last else input.enter) == 'b'"),
                value("b", "{'from': 'b', 'to': 'out' if input.leave == 'b' and turn > 2 else 'c'}"),
                value("c", "{'from': 'c', 'to': 'out' if input.leave == 'c' and turn > 2 else 'b'}"),
                value("now", "steps.b or steps.c"),
            ),
            *(choose("left", b="steps.circle['from'] == 'b'"), step("d"), step("e")),
            lines=("at.b > b > now", "at.otherwise > c > now", "circle > left.b > d", "left.otherwise > e"),
        ),
        input={"enter": "c", "leave": "b"},
        ran={"circle": 1, "at": 4, "b": 2, "c": 2, "now": 4, "left": 1, "d": 1},
        order=("c 1 < b 1", "b 1 < c 2", "c 2 < b 2", "b 2 < d"),
    ),
    Pattern(
        number=15,
        name="multiple-instances-without-a-priori-run-time-knowledge",
        direct=False,
        # An instance begins when it is asked for, while others are at work, until no more are wanted.
        document=drawn(
            step("each", "for_each", config={"items": {"$": "list(range(10))"}}),
            *inside(
                "each",
                *(wait("more", "ship.more", key=MORE), wait("no_more", "ship.no_more")),
                *(joined("first", "any", late="cancel"), choose("asked", yes="'more' in steps.first.arrived")),
                task("ship"),
            ),
            step("after"),
            lines=("more > first > asked.yes > ship", "no_more > first", "each > after"),
        ),
        acts=(
            *(Publish("ship.more", key="0"), Publish("ship.more", key="1"), Opened(2), Decide("ship"), Ran("ship")),
            *(Publish("ship.more", key="2"), Opened(2), Publish("ship.no_more"), Ran("asked", 10)),
            *(Decide("ship"), Ran("ship", 2), Decide("ship")),
        ),
        ran={"each": 1, "more": 3, "no_more": 7, "first": 10, "asked": 10, "ship": 3, "after": 1},
        cancelled={"more": 7, "no_more": 3},
        order=("ship 3 < after",),
    ),
    Pattern(
        number=33,
        name="generalized-and-join",
        direct=False,
        # Three engines come before the first body; two are kept, and the next turn takes one of them.
        document=drawn(
            step("cars", "repeat", config={"until": {"$": "turn == 2"}, "turns": 2}),
            *inside("cars", wait("engine", "engine"), wait("body", "body")),
            value("car", "(last or []) + [[steps.engine.data, steps.body.data]]", parent="cars"),
            lines=("engine > car", "body > car"),
        ),
        acts=(
            *(Publish("engine", "e1"), Publish("engine", "e2"), Publish("engine", "e3"), Ran("engine"), Awaiting(1)),
            *(Publish("body", "b1"), Ran("car"), Ran("engine", 2), Publish("body", "b2")),
        ),
        ran={"cars": 1, "engine": 2, "body": 2, "car": 2},
        output=[["e1", "b1"], ["e2", "b2"]],
    ),
    Pattern(
        number=34,
        name="static-partial-join-for-multiple-instances",
        direct=False,
        document=drawn(
            *(task("x"), task("y"), task("z"), joined("next", "quorum", quorum=2)),
            lines=("x.done > next", "y.done > next", "z.done > next"),
        ),
        acts=(Opened(3), Decide("x"), Decide("z"), Ran("next"), Decide("y")),
        ran={"x": 1, "y": 1, "z": 1, "next": 1},
        order=("x < next", "z < next"),
        ends=("next < y",),
    ),
    Pattern(
        number=36,
        name="dynamic-partial-join-for-multiple-instances",
        direct=False,
        # The third instance is asked for while the first is at work; the fourth can no more be once two are done.
        document=drawn(
            *(wait(f"more_{key}", "rig.more", key=key) for key in "wxyz"),
            *(task("w"), task("x"), task("y"), task("z"), joined("next", "quorum", quorum=2)),
            step("full", "cancel", config={"steps": [f"more_{key}" for key in "wxyz"]}),
            lines=(*(f"more_{key} > {key}.done > next" for key in "wxyz"), "next > full"),
        ),
        acts=(
            *(
                Awaiting(4),
                Publish("rig.more", key="w"),
                Publish("rig.more", key="x"),
                Opened(2),
                Decide("w"),
                Ran("w"),
            ),
            *(Publish("rig.more", key="y"), Opened(2), Decide("y"), Ran("full"), Opened(1), Decide("x")),
        ),
        ran={"more_w": 1, "more_x": 1, "more_y": 1, "w": 1, "x": 1, "y": 1, "next": 1, "full": 1},
        cancelled={"more_z": 1},
        order=("w < next", "y < next"),
        ends=("w < more_y", "next < x"),
    ),
    Pattern(
        number=38,
        name="general-synchronizing-merge",
        direct=False,
        # One way to the merge leads through a circle, another is not taken, and the merge has no split of its own.
        document=drawn(
            *(choose("ways", "inclusive", x="True", y="input.n > 1", z="input.n > 2"), task("b"), step("c")),
            step("circle", "repeat", config={"until": {"$": "turn == 3"}, "turns": 3}),
            *inside("circle", step("a")),
            *(joined("m", "all"), step("after")),
            lines=("ways.x > circle > m", "ways.y > b.done > m", "ways.z > c > m > after"),
        ),
        input={"n": 2},
        acts=(Ran("circle"), Opened(1), Decide("b")),
        ran={"ways": 1, "circle": 1, "a": 3, "b": 1, "m": 1, "after": 1},
        order=("a 3 < m", "b < m", "m < after"),
    ),
]
