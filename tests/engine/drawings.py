"""Documents for engine tests, written in few words."""

import itertools
from typing import Any


def step(key: str, kind: str = "transform", **more: Any) -> dict[str, Any]:
    """One step; a transform gives its key as output unless told otherwise."""
    config = more.pop("config", {"value": key} if kind == "transform" else {})
    return {
        "key": key,
        "name": key.replace("_", " ").capitalize(),
        "kind": kind,
        "config": config,
        "at": [0, 0],
        **more,
    }


def edges(*lines: str) -> list[dict[str, str]]:
    """`a > b`, `a.error > b`, `a > b > c`."""
    found = []
    for line in lines:
        parts = [part.strip() for part in line.split(">")]
        for source, target in itertools.pairwise(parts):
            key, _, port = source.partition(".")
            found.append({"from": key, "to": target.partition(".")[0], "port": port or "out"})
    return found


def document(steps: list[dict[str, Any]], *lines: str, **more: Any) -> dict[str, Any]:
    """A whole document."""
    return {"format": "branchline/1", "name": "Test", "steps": steps, "edges": edges(*lines), **more}
