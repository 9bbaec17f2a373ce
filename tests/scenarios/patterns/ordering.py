"""What may not run at once, and what may run only between two moments: 17, 18, 39, 40."""

from typing import Any

from tests.engine.drawings import step
from tests.scenarios.patterns.pattern import Decide, InTurn, Opened, Pattern, Ran, drawn, joined, task


def section(key: str) -> list[dict[str, Any]]:
    """Two steps in a scope of which one is open in the run at a time."""
    inside = (step(f"{key}1", parent=key), task(f"{key}2", parent=key))
    return [step(key, "scope", config={"lock": "bench"}), *inside]


def sections(keys: str, *lines: str, others: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """Sections of one lock, and other steps."""
    held = [one for key in keys for one in section(key)]
    return drawn(*held, *others, lines=(*(f"{key}1 > {key}2" for key in keys), *lines))


def once(keys: str) -> dict[str, int]:
    """Each section and its steps, once."""
    return {name: 1 for key in keys for name in (key, f"{key}1", f"{key}2")}


def apart(keys: str) -> tuple[tuple[str, ...], ...]:
    """The sections as groups of steps."""
    return tuple((f"{key}1", f"{key}2") for key in keys)


MILESTONE = drawn(
    *(step("open"), task("close"), step("shut", "cancel", config={"steps": ["enter"]}), task("apply")),
    joined("enter", "all", "transform"),
    lines=("open > close.done > shut", "open > enter", "apply.done > enter"),
)

ROUTING = sections("abc", "a > after", "b > after", "c > after", others=(step("after"),))

ORDERING = [
    Pattern(
        number=17,
        name="interleaved-parallel-routing",
        # a comes before b; c may come before, between or after them, but never at the same time.
        document=sections("abc", "a > b"),
        acts=(InTurn(3),),
        ran=once("abc"),
        order=("a < b1",),
        apart=apart("abc"),
    ),
    Pattern(
        number=18,
        name="milestone",
        document=MILESTONE,
        acts=(Opened(2), Decide("apply"), Ran("enter"), Decide("close")),
        ran={"open": 1, "apply": 1, "enter": 1, "close": 1, "shut": 1},
    ),
    Pattern(
        number=18,
        name="milestone-expired",
        document=MILESTONE,
        acts=(Opened(2), Decide("close"), Ran("shut"), Decide("apply")),
        ran={"open": 1, "apply": 1, "close": 1, "shut": 1},
        cancelled={"enter": 1},
    ),
    Pattern(
        number=39,
        name="critical-section",
        document=drawn(
            *(step("start"), *section("a"), *section("b"), task("free"), step("after")),
            lines=("start > a", "start > b", "start > free", "a1 > a2", "b1 > b2", "a > after", "b > after"),
        ),
        # What is outside the sections goes on meanwhile.
        acts=(Opened(2), Decide("free"), Ran("free"), InTurn(2)),
        ran={"start": 1, **once("ab"), "free": 1, "after": 1},
        apart=apart("ab"),
    ),
    Pattern(
        number=40,
        name="interleaved-routing",
        document=ROUTING,
        acts=(InTurn(3),),
        ran={**once("abc"), "after": 1},
        order=("a < after", "b < after", "c < after"),
        apart=apart("abc"),
    ),
]
