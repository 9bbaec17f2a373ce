"""Random drawings in which steps cancel others: whose fate is certain all the same, and who must not begin too late."""

import copy
import itertools
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.graphs import STEADY


@dataclass(frozen=True)
class Cancelling:
    """A drawing with cancelling steps, and the same with steps that do nothing instead.

    `unsure` are the steps that may be cut, and whatever depends on them. `spared` are, for each cancelling step, those
    that it names and that cannot have begun before it ended: where it ran, they do not.
    """

    drawing: dict[str, Any]
    plain: dict[str, Any]
    unsure: frozenset[str]
    spared: dict[str, frozenset[str]]


def with_cancels(random: Random, plain: dict[str, Any]) -> Cancelling:
    """Add one to three cancelling steps to the top level of a drawing, each with a short line behind it."""
    plain = copy.deepcopy(plain)
    keys = [step["key"] for step in plain["steps"] if step.get("parent") is None]
    targets: dict[str, list[str]] = {}
    for number in range(random.randint(1, 3)):
        cut, source = f"cut{number}", random.randrange(len(keys))
        targets[cut] = random.sample(keys, min(len(keys), random.randint(1, 3)))
        place = next(place for place, step in enumerate(plain["steps"]) if step["key"] == keys[source]) + 1
        # The end of this line cannot begin before.
        line = [cut, f"{cut}_then", f"{cut}_last"]
        plain["steps"][place:place] = [
            {"key": k, "name": k, "kind": "acted", "config": STEADY, "at": [0, 0]} for k in line
        ]
        plain["edges"] += [{"from": a, "port": "out", "to": b} for a, b in itertools.pairwise(line)]
        targets[cut] += [line[-1]] if random.random() < 0.5 else []
        if random.random() < 0.8:
            plain["edges"].append({"from": keys[source], "port": "out", "to": cut})
        if random.random() < 0.5 and source + 1 < len(keys):
            plain["edges"].append({"from": cut, "port": "out", "to": random.choice(keys[source + 1 :])})
    drawn = {step["key"]: step["config"].get("drawn", ["out"]) for step in plain["steps"]}
    plain["edges"] = [edge for edge in plain["edges"] if edge["port"] in (*drawn[edge["from"]], "error")]
    drawing = copy.deepcopy(plain)
    for step in drawing["steps"]:
        if step["key"] in targets:
            step |= {"kind": "cancel", "config": {"steps": targets[step["key"]]}}
    unsure = _behind(plain, {key for named in targets.values() for key in named})
    spared = {cut: frozenset(named) & _only_behind(plain, cut) for cut, named in targets.items()}
    return Cancelling(drawing, plain, frozenset(unsure), spared)


def _behind(raw: dict[str, Any], starts: set[str]) -> set[str]:
    """These steps, all that they lead to, and what is inside of any of them."""
    found = set(starts)
    for step in raw["steps"]:  # keys are in topological order, containers before what they hold
        sources = {edge["from"] for edge in raw["edges"] if edge["to"] == step["key"]}
        if step.get("parent") in found or sources & found:
            found.add(step["key"])
    return found


def _only_behind(raw: dict[str, Any], cut: str) -> set[str]:
    """Steps of which every way in comes from this one, so that they cannot have begun before it ended."""
    found = {cut}
    for step in raw["steps"]:
        sources = [edge["from"] for edge in raw["edges"] if edge["to"] == step["key"]]
        if sources and all(source in found for source in sources):
            found.add(step["key"])
    return found - {cut}
