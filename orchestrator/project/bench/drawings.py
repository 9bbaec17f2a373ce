"""What is measured, as documents."""

from typing import Any

TOLD = "bench.told"


def fibonacci(key: str, n: int) -> dict[str, Any]:
    """One step that computes fibonacci(n) the naive way."""
    config = {"function": "demo.fibonacci", "arguments": {"n": n}}
    return {"key": key, "name": key, "kind": "call", "config": config, "at": [0, 0], "timeout": "PT2M"}


def delay(key: str, duration: str) -> dict[str, Any]:
    """One step that waits."""
    return {"key": key, "name": key, "kind": "delay", "config": {"for": duration}, "at": [0, 0]}


def get(key: str, url: str, queue: str) -> dict[str, Any]:
    """One HTTP request, in a queue of its own."""
    return {"key": key, "name": key, "kind": "http", "config": {"url": url}, "at": [0, 0], "queue": queue}


def stamp(key: str) -> dict[str, Any]:
    """One step whose handler tells when it began."""
    config = {"function": "bench.stamp", "arguments": {"key": {"$": "input.key"}}}
    return {"key": key, "name": key, "kind": "call", "config": config, "at": [0, 0]}


def alone(n: int, times: int) -> dict[str, Any]:
    """One step that measures the pure work."""
    config = {"function": "bench.alone", "arguments": {"n": n, "times": times}}
    measured = {"key": "alone", "name": "alone", "kind": "call", "config": config, "at": [0, 0], "timeout": "PT2M"}
    return {**document("Alone", [measured], []), "output": {"$": "steps.alone"}}


def approval(key: str, username: str) -> dict[str, Any]:
    """One question to one person."""
    outcomes = [{"key": "yes", "label": "Yes"}, {"key": "no", "label": "No"}]
    config = {"title": "Go on?", "outcomes": outcomes, "assignees": {"users": [username]}, "allow_requester": True}
    return {"key": key, "name": key, "kind": "human_task", "config": config, "at": [0, 0]}


def hearing(key: str) -> dict[str, Any]:
    """One wait for an event of the run's own key."""
    config = {"type": TOLD, "key": {"$": "input.key"}}
    return {"key": key, "name": key, "kind": "wait_event", "config": config, "at": [0, 0]}


def document(name: str, steps: list[dict[str, Any]], edges: list[tuple[str, str]]) -> dict[str, Any]:
    """`edges` are (source, target); "source.port" where the arrow leaves by a port of its own."""
    arrows = [_arrow(*source.split("."), target=target) for source, target in edges]
    return {"format": "branchline/1", "name": name, "input": {"type": "object"}, "steps": steps, "edges": arrows}


def _arrow(source: str, port: str = "", *, target: str) -> dict[str, Any]:
    return {"from": source, "to": target} | ({"port": port} if port else {})


def line(length: int, n: int) -> dict[str, Any]:
    """`length` steps one after another."""
    steps = [fibonacci(f"s{number}", n) for number in range(length)]
    return document(f"Line of {length}", steps, [(f"s{number}", f"s{number + 1}") for number in range(length - 1)])


def fan_out(width: int, n: int) -> dict[str, Any]:
    """One step, `width` branches at once, one join."""
    return between(f"Fan-out of {width}", [fibonacci(f"b{number}", n) for number in range(width)])


def for_each() -> dict[str, Any]:
    """One trivial step for every item of the input."""
    config = {"items": {"$": "input.items"}}
    each = {"key": "each", "name": "each", "kind": "for_each", "config": config, "at": [0, 0], "timeout": "PT2M"}
    body = {"key": "body", "name": "body", "kind": "transform", "config": {"value": {"$": "item"}}, "at": [0, 0]}
    return document("For each", [each, {**body, "parent": "each"}], [])


def between(name: str, branches: list[dict[str, Any]]) -> dict[str, Any]:
    """One step, these branches at once, one join."""
    first = {"key": "first", "name": "first", "kind": "transform", "config": {"value": 1}, "at": [0, 0]}
    last = {"key": "last", "name": "last", "kind": "transform", "config": {"value": 1}, "at": [0, 0]}
    edges = [("first", step["key"]) for step in branches] + [(step["key"], "last") for step in branches]
    return document(name, [first, *branches, last], edges)
