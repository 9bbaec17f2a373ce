"""Cancelling and ending: 19, 20, 25, 43."""

from tests.engine.drawings import step
from tests.scenarios.patterns.pattern import CancelRun, Decide, Opened, Pattern, drawn, task

CANCELLING = [
    Pattern(
        number=19,
        name="cancel-activity",
        document=drawn(
            *(step("a"), task("work"), step("after"), task("stop"), step("cut", "cancel", config={"steps": ["work"]})),
            lines=("a > work.done > after", "a > stop.done > cut"),
        ),
        acts=(Opened(2), Decide("stop")),
        ran={"a": 1, "stop": 1, "cut": 1},
        cancelled={"work": 1},
    ),
    Pattern(
        number=20,
        name="cancel-case",
        document=drawn(step("a"), task("b"), task("c"), lines=("a > b", "a > c")),
        acts=(Opened(2), CancelRun()),
        ran={"a": 1},
        state="cancelled",
        cancelled={"b": 1, "c": 1},
    ),
    Pattern(
        number=25,
        name="cancel-region",
        document=drawn(
            *(step("a"), task("pick"), task("pack"), task("bill"), step("after"), task("stop")),
            step("cut", "cancel", config={"region": "fulfil"}),
            lines=("a > pick.done > after", "a > pack.done > after", "a > bill", "a > stop.done > cut"),
            regions=[{"key": "fulfil", "name": "Fulfil", "pattern": "parallel", "steps": ["pick", "pack", "after"]}],
        ),
        acts=(Opened(4), Decide("stop"), Opened(1), Decide("bill")),
        ran={"a": 1, "stop": 1, "cut": 1, "bill": 1},
        cancelled={"pick": 1, "pack": 1},
    ),
    Pattern(
        number=43,
        name="explicit-termination",
        document=drawn(
            *(step("a"), task("b"), step("after"), task("stop"), step("over", "end", config={"whole": True})),
            lines=("a > b.done > after", "a > stop.done > over"),
        ),
        acts=(Opened(2), Decide("stop")),
        ran={"a": 1, "stop": 1, "over": 1},
        cancelled={"b": 1},
    ),
]
