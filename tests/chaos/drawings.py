"""Random drawings of `tests.graphs` and its neighbours, made of step kinds that the product has."""

import copy
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

from orchestrator.core.document import ERROR_PORT
from tests.cancelling_graphs import Cancelling, with_cancels
from tests.chaos.sender import TYPE
from tests.graphs import Expected, expected, random_document
from tests.nested_graphs import (
    WITH_RUNS,
    Happened,
    Style,
    as_published,
    nested_expected,
    random_nested,
    undone_expected,
)

HEARING = 0.3  # of plain steps
NESTED = Style(containers=WITH_RUNS, locks=True, share=0.5)
UNDOING = Style(containers=WITH_RUNS, locks=True, undo=True, share=0.5)
#: A retry has a scope with a lock begin anew, so what is in it happens again.
UNLOCKED = Style(containers=WITH_RUNS, share=0.5)


@dataclass(frozen=True, slots=True)
class Nested:
    """What must have happened in a drawing with containers, its sub-workflows included.

    `undone`: how often each undo ran. `unsure`: steps of which nothing is said. `spared`: as in `Cancelling`.
    `mended`: what must have happened once a failed run was retried and its steps no longer fail.
    """

    happened: Happened
    state: str
    undone: Counter[str]
    unsure: frozenset[str] = frozenset()
    spared: tuple[tuple[str, frozenset[str]], ...] = ()
    mended: Happened | None = None


Wanted = Expected | Nested


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawing to start, the workflows it starts by their short names, and what must have happened at its end."""

    raw: dict[str, Any]
    wanted: Wanted
    children: dict[str, dict[str, Any]]


def random_flat(random: Random) -> Drawn:
    """A flat drawing for real workers."""
    acted = random_document(random, cancels=random.random() < 0.5)
    _choose_well(acted)
    return Drawn(_real(acted), expected(acted), {})


def random_hearing(random: Random) -> Drawn:
    """The same, and some steps wait for an event."""
    acted = random_document(random, cancels=random.random() < 0.5)
    _choose_well(acted)
    _let_some_hear(random, acted)
    return Drawn(_real(acted), expected(acted), {})


def random_containers(random: Random) -> Drawn:
    """Scopes, some with a lock, for-each, repeats and sub-workflows, in one another; some steps wait for events."""
    acted = random_nested(random, depth=2, style=NESTED)
    _choose_well(acted)
    _let_some_hear(random, acted)
    happened = nested_expected(acted)
    return _drawn(random, acted, Nested(happened, happened.state, happened.undone))


def random_undo(random: Random) -> Drawn:
    """The same, and what happened is undone when the run fails; some sub-workflows undo themselves."""
    acted = random_nested(random, depth=2, style=UNDOING)
    _choose_well(acted)
    happened = nested_expected(acted)
    if happened.state != "failed":
        return _drawn(random, acted, Nested(happened, happened.state, happened.undone))
    return _drawn(random, acted, Nested(happened, "undone", undone_expected(acted, happened)))


def random_cancelling(random: Random) -> Drawn:
    """Steps of the top level cancel others, containers and sub-workflows among them, and who waits for an event."""
    acted = random_nested(random, depth=2, style=NESTED)
    _choose_well(acted)
    _let_some_hear(random, acted)
    cancelling: Cancelling = with_cancels(random, acted)
    happened = nested_expected(cancelling.plain)
    spared = tuple(cancelling.spared.items())
    wanted = Nested(happened, "", Counter(), unsure=cancelling.unsure, spared=spared)
    return _drawn(random, cancelling.drawing, wanted)


def random_mendable(random: Random) -> Drawn:
    """A drawing that fails, and in which no failure is handled or swallowed: a retry has to mend them all."""
    while True:
        acted = random_nested(random, depth=2, style=UNLOCKED)
        _choose_well(acted)
        _let_every_failure_travel(acted)
        failing = nested_expected(acted)
        if failing.state == "failed":
            mended = nested_expected(_without_failures(acted))
            return _drawn(random, acted, Nested(failing, "succeeded", Counter(), mended=mended))


def random_any(random: Random) -> Drawn:
    """One of the six."""
    sorts = (random_flat, random_hearing, random_containers, random_undo, random_cancelling, random_mendable)
    return random.choice(sorts)(random)


def _drawn(random: Random, acted: dict[str, Any], wanted: Nested) -> Drawn:
    for step in acted["steps"]:
        if step["kind"] == "sub_workflow" and random.random() < 0.5:
            step["config"]["version"] = 1  # else the live one
    raw, children = as_published(acted)
    return Drawn(_real(raw), wanted, {name: _real(child) for name, child in children.items()})


def _choose_well(document: dict[str, Any]) -> None:
    """A choice never fails by itself, has no undo, and control can always leave it by `otherwise`."""
    for step in document["steps"]:
        config = step["config"]
        if len(config.get("drawn", ())) > 1:
            config |= {"fails": False, "flaky": 0, "drawn": [*config["drawn"], "otherwise"]}
            step.pop("undo", None)


def _let_some_hear(random: Random, document: dict[str, Any]) -> None:
    """Steps that would simply succeed wait for an event of their run; some pass every second one over."""
    for step in document["steps"]:
        config = step["config"]
        plain = step["kind"] == "acted" and len(config["drawn"]) == 1 and not config["fails"] and not config["flaky"]
        if plain and "undo" not in step and random.random() < HEARING:
            step["config"] = {**config, "hears": random.choice(("any", "even"))}


def _let_every_failure_travel(document: dict[str, Any]) -> None:
    document["edges"] = [edge for edge in document["edges"] if edge["port"] != ERROR_PORT]
    targets = Counter(edge["to"] for edge in document["edges"])
    for step in document["steps"]:
        step.pop("join", None)
        if targets[step["key"]] > 1:
            step["join"] = {"mode": "all", "on_branch_failure": "finish"}
        if step["kind"] == "scope":
            step["config"]["on_failure"] = "fail"
        step["config"].pop("tolerate", None)


def _without_failures(document: dict[str, Any]) -> dict[str, Any]:
    mended = copy.deepcopy(document)
    for step in mended["steps"]:
        step["config"] |= {"fails": False} if step["kind"] == "acted" else {}
    return mended


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
    if "hears" in config:
        return {**step, "kind": "wait_event", "config": _event(config["hears"])}
    real = {**step, **_call(config["fails"], config["flaky"])}
    if "undo" in step:
        # Its worker may die, and then nobody knows whether it acted: undo it all the same.
        real["undo"] = {**_call(fails=False, flaky=step["undo"]["config"]["flaky"]), "tolerant": True}
    return real


def _event(wanted: str) -> dict[str, Any]:
    """An event with the run's mark as its key. The clock jumps, so "since the run began" would be too late."""
    where = {"where": {"$": "event.data % 2 == 0"}} if wanted == "even" else {}
    return {"type": TYPE, "key": {"$": "input.mark"}, "look_back": "P1D", **where}


def _call(fails: bool, flaky: int) -> dict[str, Any]:
    arguments = {"fails": fails, "flaky": flaky, "mark": {"$": "input.mark"}}
    return {"kind": "call", "config": {"function": "chaos.act", "arguments": arguments}}
