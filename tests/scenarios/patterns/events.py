"""What comes from outside: triggers (23, 24), and other patterns whose branches, items and turns wait for events.

Each document has event types of its own: they may all run at once in one workspace.
"""

from typing import Any

from tests.engine.drawings import step
from tests.scenarios.patterns.pattern import Awaiting, Decide, Opened, Pattern, Publish, Ran, drawn, joined, task, value


def wait(step_key: str, kind: str, parent: str | None = None, **config: Any) -> dict[str, Any]:
    """A step that waits for an event of this type."""
    held = {} if parent is None else {"parent": parent}
    return step(step_key, "wait_event", config={"type": kind, **config}, **held)


def each(items: Any, **config: Any) -> dict[str, Any]:
    return step("each", "for_each", config={"items": items, **config})


READY = task("ready")
GOT = value("got", "steps.signal.data")
IN_LINE = ("ready.done > signal > got",)
ALL_DATA = value("after", "[one and one.data for one in steps.each]")

EVENTS = [
    Pattern(
        number=23,
        name="transient-trigger",
        # The first comes while nobody waits for it, and is lost.
        document=drawn(READY, wait("signal", "transient", look_back="PT0S"), GOT, lines=IN_LINE),
        acts=(Opened(1), Publish("transient", 1), Decide("ready"), Awaiting(1), Publish("transient", 2)),
        ran={"ready": 1, "signal": 1, "got": 1},
        output=2,
    ),
    Pattern(
        number=24,
        name="persistent-trigger",
        # Those that come before the wait are kept for it, the oldest first.
        document=drawn(READY, wait("signal", "persistent"), GOT, lines=IN_LINE),
        acts=(Opened(1), Publish("persistent", 1), Publish("persistent", 2), Decide("ready")),
        ran={"ready": 1, "signal": 1, "got": 1},
        output=1,
    ),
    Pattern(
        number=24,
        name="persistent-trigger-with-a-condition",
        document=drawn(wait("signal", "heat", where={"$": "event.data > input.most"}), GOT, lines=("signal > got",)),
        input={"most": 30},
        acts=(Publish("heat", 20), Awaiting(1), Publish("heat", 30), Publish("heat", 40), Publish("heat", 50)),
        ran={"signal": 1, "got": 1},
        output=40,
    ),
    Pattern(
        number=14,
        name="an-event-for-each-item",
        # Each item waits for its own; the last one's does not come in time, which is tolerated.
        document=drawn(
            each({"$": "input.orders"}, tolerate={"count": 1}),
            wait("paid", "paid", "each", key={"$": "item"}, deadline={"$": "'PT0.3S' if item == 9 else 'P1D'"}),
            ALL_DATA,
            lines=("each > after",),
        ),
        input={"orders": [7, 8, 9]},
        acts=(Publish("paid", "of 8", key="8"), Ran("paid"), Publish("paid", "of 7", key="7")),
        ran={"paid": 2, "each": 1, "after": 1},
        order=("each < after",),
        output=["of 7", "of 8", None],
    ),
    Pattern(
        number=13,
        name="one-event-for-all-items",
        document=drawn(each(["x", "y"]), wait("go", "go", "each"), ALL_DATA, lines=("each > after",)),
        acts=(Awaiting(2), Publish("go", "now")),
        ran={"go": 2, "each": 1, "after": 1},
        output=["now", "now"],
    ),
    Pattern(
        number=21,
        name="an-event-for-each-turn",
        # No turn gets one that a turn before it had, and none is passed over.
        document=drawn(
            step("bids", "repeat", config={"until": {"$": "len(last) == 3"}, "turns": 9}),
            wait("bid", "bid", "bids"),
            value("all", "(last or []) + [steps.bid.data]", parent="bids"),
            lines=("bid > all",),
        ),
        acts=(Publish("bid", 1), Publish("bid", 2), Ran("bid", 2), Publish("bid", 3), Publish("bid", 4)),
        ran={"bid": 3, "all": 3, "bids": 1},
        order=("bid 1 < bid 2", "bid 2 < bid 3"),
        output=[1, 2, 3],
    ),
    Pattern(
        number=32,
        name="a-quorum-of-events",
        document=drawn(
            *(wait(key, f"vote.{key}") for key in "abc"),
            joined("enough", "quorum", quorum=2, late="cancel"),
            lines=("a > enough", "b > enough", "c > enough"),
        ),
        acts=(Awaiting(3), Publish("vote.c"), Publish("vote.a")),
        ran={"a": 1, "c": 1, "enough": 1},
        cancelled={"b": 1},
    ),
    Pattern(
        number=16,
        name="a-choice-between-an-event-and-a-person",
        document=drawn(
            task("ask"),
            wait("mail", "mail"),
            joined("first", "any", late="cancel"),
            lines=("ask.done > first", "mail > first"),
        ),
        acts=(Opened(1), Awaiting(1), Publish("mail")),
        ran={"mail": 1, "first": 1},
        cancelled={"ask": 1},
    ),
]
