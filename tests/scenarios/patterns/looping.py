"""Again and again: 21, 22."""

from tests.engine.drawings import step
from tests.scenarios.patterns.pattern import Pattern, choose, drawn, joined, value

LOOPING = [
    Pattern(
        number=21,
        name="structured-loop",
        document=drawn(
            step("until", "repeat", config={"until": {"$": "last >= 3"}, "turns": 9}),
            value("a", "turn", parent="until"),
            step("while", "repeat", config={"while": {"$": "turn < input.n"}, "turns": 9}),
            value("b", "turn", parent="while"),
            lines=("until > while",),
        ),
        input={"n": 2},
        ran={"until": 1, "a": 3, "while": 1, "b": 2},
        order=("a 1 < a 2", "a 2 < a 3", "a 3 < b 1", "b 1 < b 2"),
    ),
    Pattern(
        number=22,
        name="recursion",
        document=drawn(
            choose("more", yes="input.n > 1"),
            step("below", "sub_workflow", config={"workflow": "p22-recursion", "input": {"n": {"$": "input.n - 1"}}}),
            joined("times", "all", "transform"),
            lines=("more.yes > below > times", "more.otherwise > times"),
            output={"$": "input.n * (steps.below or 1)"},
        ),
        input={"n": 5},
        ran={"more": 1, "below": 1, "times": 1},
        output=120,
    ),
]
