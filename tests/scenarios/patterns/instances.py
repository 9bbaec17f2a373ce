"""Several instances of one activity, and threads in one branch: 12-14, 26, 27, 35, 41, 42."""

from typing import Any

from tests.engine.drawings import step
from tests.scenarios.patterns.pattern import Decide, Opened, Pattern, Ran, drawn, task, value


def each(items: Any, **config: Any) -> dict[str, Any]:
    """A for-each over these items."""
    return step("each", "for_each", config={"items": items, **config})


ASK = task("ask", parent="each")
ORDERS = {"$": "input.orders"}
STOPPED = (each([1, 2, 3]), ASK, step("after"), task("stop"))
STOPPING = ("each > after", "stop.done > cut")

INSTANCES = [
    Pattern(
        number=12,
        name="multiple-instances-without-synchronization",
        # Nothing waits for the instances, but the run is not over before they are.
        document=drawn(step("a"), each([1, 2]), ASK, step("on"), lines=("a > each", "a > on")),
        acts=(Ran("on"), Opened(2), Decide("ask"), Decide("ask")),
        ran={"a": 1, "ask": 2, "each": 1, "on": 1},
        ends=("on < ask",),
    ),
    Pattern(
        number=13,
        name="multiple-instances-with-a-priori-design-time-knowledge",
        document=drawn(each(["x", "y", "z"]), ASK, step("after"), lines=("each > after",)),
        acts=(Opened(3), Decide("ask"), Decide("ask"), Decide("ask")),
        ran={"ask": 3, "each": 1, "after": 1},
        order=("each < after", "ask 3 < after"),
    ),
    Pattern(
        number=14,
        name="multiple-instances-with-a-priori-run-time-knowledge",
        document=drawn(each(ORDERS), ASK, value("after", "len(steps.each)"), lines=("each > after",)),
        input={"orders": [7, 8]},
        acts=(Opened(2), Decide("ask"), Decide("ask")),
        ran={"ask": 2, "each": 1, "after": 1},
        order=("ask 2 < after",),
        output=2,
    ),
    Pattern(
        number=26,
        name="cancel-multiple-instance-activity",
        document=drawn(*STOPPED, step("cut", "cancel", config={"steps": ["each"]}), lines=STOPPING),
        acts=(Opened(4), Decide("ask"), Ran("ask"), Decide("stop")),
        ran={"ask": 1, "stop": 1, "cut": 1},
        cancelled={"each": 1, "ask": 2},
    ),
    Pattern(
        number=27,
        name="complete-multiple-instance-activity",
        document=drawn(
            *(
                STOPPED[0],
                STOPPED[1],
                value("after", "len([one for one in steps.each if one is not None])"),
                STOPPED[3],
            ),
            step("cut", "cancel", config={"steps": ["each"], "as": "complete"}),
            lines=STOPPING,
            output={"$": "steps.after"},
        ),
        acts=(Opened(4), Decide("ask"), Ran("ask"), Decide("stop")),
        ran={"ask": 1, "stop": 1, "cut": 1, "each": 1, "after": 1},
        cancelled={"ask": 2},
        output=1,
    ),
    Pattern(
        number=35,
        name="cancelling-partial-join-for-multiple-instances",
        document=drawn(each(ORDERS, enough={"count": 2}), ASK, step("after"), lines=("each > after",)),
        input={"orders": [1, 2, 3, 4, 5]},
        acts=(Opened(5), Decide("ask"), Decide("ask")),
        ran={"ask": 2, "each": 1, "after": 1},
        cancelled={"ask": 3},
    ),
    Pattern(
        number=41,
        name="thread-merge",
        # Three threads of one branch become one again.
        document=drawn(each([1, 2, 3]), value("work", "item", parent="each"), step("after"), lines=("each > after",)),
        ran={"work": 3, "each": 1, "after": 1},
        order=("work 3 < after",),
    ),
    Pattern(
        number=42,
        name="thread-split",
        # One branch goes on as so many threads as are asked for, each through all that follows in it.
        document=drawn(
            each({"$": "list(range(input.threads))"}),
            *(value("work", "index", parent="each"), task("check", parent="each")),
            lines=("work > check",),
        ),
        input={"threads": 3},
        acts=(Opened(3), Decide("check"), Decide("check"), Decide("check")),
        ran={"work": 3, "check": 3, "each": 1},
    ),
]
