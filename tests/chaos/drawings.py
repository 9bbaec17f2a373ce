"""Random drawings of `tests.graphs` and `tests.nested_graphs`, made of step kinds that the product has."""

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.graphs import Expected, expected, random_document
from tests.nested_graphs import Happened, as_drawn, nested_expected, random_nested, undone_expected


@dataclass(frozen=True, slots=True)
class Nested:
    """What must have happened in a drawing with containers. `undone`: how often each undo ran, where it is undone."""

    happened: Happened
    state: str
    undone: Counter[str]


Wanted = Expected | Nested


def random_real_document(random: Random) -> tuple[dict[str, Any], Expected]:
    """A flat drawing for real workers, and what must have happened when it has ended."""
    acted = random_document(random, cancels=random.random() < 0.5)
    _choose_well(acted)
    return _real(acted), expected(acted)


def random_real_nested(random: Random, *, undo: bool) -> tuple[dict[str, Any], Nested]:
    """A drawing with containers, and perhaps undo."""
    acted = random_nested(random, depth=2, undo=undo)
    _choose_well(acted)
    happened = nested_expected(acted)
    undoes = undo and happened.state == "failed"
    state = "undone" if undoes else happened.state
    return _real(as_drawn(acted)), Nested(
        happened, state, undone_expected(acted, happened) if undoes else Counter[str]()
    )


def random_any(random: Random) -> tuple[dict[str, Any], Wanted]:
    """One of the three."""
    which = random.choice(("flat", "flat", "nested", "undo"))
    return random_real_document(random) if which == "flat" else random_real_nested(random, undo=which == "undo")


def _choose_well(document: dict[str, Any]) -> None:
    """A choice never fails by itself, has no undo, and control can always leave it by `otherwise`."""
    for step in document["steps"]:
        config = step["config"]
        if len(config.get("drawn", ())) > 1:
            config |= {"fails": False, "flaky": 0, "drawn": [*config["drawn"], "otherwise"]}
            step.pop("undo", None)


def _real(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "steps": [_real_step(step) for step in document["steps"]]}


def _real_step(step: dict[str, Any]) -> dict[str, Any]:
    config = step["config"]
    if step["kind"] != "acted":
        return step
    if len(config["drawn"]) > 1:
        ports = [port for port in config["drawn"] if port != "otherwise"]
        cases = [{"port": port, "when": {"$": str(port in config["ports"])}} for port in ports]
        return {**step, "kind": "choose", "config": {"mode": "inclusive", "cases": cases}}
    real = {**step, **_call(config["fails"], config["flaky"])}
    if "undo" in step:
        # Its worker may die, and then nobody knows whether it acted: undo it all the same.
        real["undo"] = {**_call(fails=False, flaky=step["undo"]["config"]["flaky"]), "tolerant": True}
    return real


def _call(fails: bool, flaky: int) -> dict[str, Any]:
    return {"kind": "call", "config": {"function": "chaos.act", "arguments": {"fails": fails, "flaky": flaky}}}
