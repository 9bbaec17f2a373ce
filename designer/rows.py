"""The document, taken apart into the columns of a draft and put together again. Pure: no database, no clock.

Only the canonical spelling (`document_as_json`) is taken apart, so putting together gives back the same bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.api import FORMAT, Json, JsonObject

#: Fields of a step that share one column: most steps set none of them.
OPTIONS = ("retry", "timeout", "queue", "undo", "join", "note")
#: Room left between two neighbours that are added together.
GAP = 1024

Row = dict[str, Any]  # columns of one table by name
Id = TypeVar("Id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A document as rows."""

    name: str
    draft: Row
    steps: dict[str, Row]  # by key, in order
    edges: dict[tuple[str, str, str], Row]  # by (source, port, target), in order


def take_apart(document: Mapping[str, Any]) -> Parts:
    """The rows of a canonical document whose step keys and edges are each unique."""
    return Parts(
        name=document["name"],
        draft=_draft_row(document),
        steps={step["key"]: _step_row(step) for step in document["steps"]},
        edges={(edge["from"], edge.get("port", "out"), edge["to"]): _edge_row(edge) for edge in document["edges"]},
    )


def put_together(name: str, draft: Row, steps: Iterable[Row], edges: Iterable[Row]) -> dict[str, Json]:
    """The canonical document of these rows, which come in their order."""
    document: dict[str, Json] = {"format": FORMAT, "name": name, "input": draft["input"]}
    if draft["has_output"]:
        document["output"] = draft["output"]
    for field in ("settings", "regions"):
        if draft[field]:
            document[field] = draft[field]
    document["steps"] = [_step_json(row) for row in steps]
    document["edges"] = [_edge_json(row) for row in edges]
    document["notes"] = draft["notes"]
    return document


def _draft_row(document: Mapping[str, Any]) -> Row:
    return {
        "input": document["input"],
        "output": document.get("output"),
        "has_output": "output" in document,
        "settings": document.get("settings", {}),
        "regions": document.get("regions", []),
        "notes": document.get("notes", []),
    }


def _step_row(step: Mapping[str, Any]) -> Row:
    x, y = step["at"]
    return {
        "key": step["key"],
        "name": step["name"],
        "kind": step["kind"],
        "x": float(x),
        "y": float(y),
        "parent": step.get("parent", ""),
        "disabled": step.get("disabled", False),
        "config": step["config"],
        "options": {name: step[name] for name in OPTIONS if name in step},
    }


def _step_json(row: Row) -> JsonObject:
    step: dict[str, Json] = {"key": row["key"], "name": row["name"], "kind": row["kind"]}
    step |= {"at": [_number(row["x"]), _number(row["y"])], "config": row["config"]}
    if row["parent"]:
        step["parent"] = row["parent"]
    if row["disabled"]:
        step["disabled"] = True
    # By our own list, not by the column's: one spelling whatever a row holds.
    return step | {name: row["options"][name] for name in OPTIONS if name in row["options"]}


def _edge_row(edge: Mapping[str, Any]) -> Row:
    return {"source": edge["from"], "port": edge.get("port", "out"), "target": edge["to"]}


def _edge_json(row: Row) -> JsonObject:
    port = {} if row["port"] == "out" else {"port": row["port"]}
    return {"from": row["source"], **port, "to": row["target"]}


def _number(value: float) -> float:
    # As browsers write it: 600, not 600.0. (A whole float comes as an int from the database's JSON.)
    return int(value) if float(value).is_integer() else value


def place(wanted: Sequence[Id], held: Mapping[Id, int]) -> dict[Id, int]:
    """A rising position for each id in the wanted order, keeping what is held wherever the order allows it.

    A step added, removed or put in between changes no other row, as long as there is a gap.
    """
    following = _following(wanted, held)
    placed: dict[Id, int] = {}
    last = 0
    for item, upper in zip(wanted, following, strict=True):
        position = held.get(item, 0)
        if position <= last:
            position = (last + upper) // 2 if upper - last > 1 else last + GAP
        placed[item] = last = position
    return placed


def _following(wanted: Sequence[Id], held: Mapping[Id, int]) -> list[int]:
    """For each id the position held by the next one behind it that holds any; 0 when none does."""
    found: list[int] = []
    upper = 0
    for item in reversed(wanted):
        found.append(upper)
        upper = held.get(item, upper)
    return found[::-1]
