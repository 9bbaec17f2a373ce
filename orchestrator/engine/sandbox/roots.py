"""Which part of the roots crosses into the sandbox, and in what form."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.item_outputs import ItemOutputs, refuse_inside
from orchestrator.core.json_types import Json
from orchestrator.engine.sandbox.compiled import Need, Path

_WHERE = {
    "item": "inside a for-each",
    "index": "inside a for-each",
    "turn": "inside a repeat",
    "last": "inside a repeat",
    "event": "in the `where` of a step that waits for an event",
    "join": "in a step where branches meet",
    "output": "in an undo",
    "error": "in an undo",
}


def projected(needs: Mapping[str, Need], roots: Mapping[str, Json]) -> dict[str, Json]:
    """Only what the text can read. Raises `ExpressionFailed` for a root that is not there."""
    for name in needs:
        if name not in roots:
            raise _no_root(name)
    return {name: _part(roots[name], need) for name, need in needs.items()}


def read_path(path: Path, roots: Mapping[str, Json]) -> Json:
    """Read a chain of literal keys: a value, or a reference to outputs.

    Raises `ExpressionFailed` as the interpreter would.
    """
    name, keys = path
    if name not in roots:
        raise _no_root(name)
    value: Any = roots[name]
    for position, key in enumerate(keys):
        if isinstance(value, ItemOutputs):
            raise value.refusal()
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError) as error:
            raise _no_key(name, keys[:position], key, value) from error
    if not isinstance(value, ItemOutputs):
        refuse_inside(value)
    return value  # type: ignore[no-any-return]  # JSON in, JSON out


def is_small(value: Json, budget: int = 150) -> bool:
    """True when a value has few parts: those convert faster one by one, others as one JSON text."""
    stack: list[Any] = [value]
    while stack:
        budget -= 1
        if budget < 0:
            return False
        node = stack.pop()
        if isinstance(node, dict):
            stack.extend(node.values())
        elif isinstance(node, list | tuple):
            budget -= len(node) // 4
            stack.extend(node[:budget] if budget > 0 else ())
    return True


def _part(value: Json, need: Need) -> Json:
    if not need or not isinstance(value, Mapping):
        refuse_inside(value)
        return value
    return {key: _part(value[key], below) for key, below in need.items() if key in value}


def _no_root(name: str) -> ExpressionFailed:
    where = f" It is known {_WHERE[name]}." if name in _WHERE else ""
    return ExpressionFailed(f"`{name}` is not known here.{where}")


def _no_key(root: str, before: Sequence[str | int], key: str | int, value: Json) -> ExpressionFailed:
    spelled = ".".join(str(part) for part in (root, *before))
    if root in {"steps", "errors"} and not before:
        message = f"Step {key!r} has no {'output' if root == 'steps' else 'error'} here: it comes later or was skipped."
    elif isinstance(value, Mapping):
        keys = ", ".join(list(value)[:10]) or "none"
        message = (
            f"`{spelled}` has no key {key!r}; its keys are: {keys}. Read a key that may be missing by .get({key!r})."
        )
    elif isinstance(value, list | tuple | str) and isinstance(key, int):
        message = f"`{spelled}` has {len(value)} items, so there is no number {key}. Test the length with len() first."
    else:
        message = f"`{spelled}` is {_kind(value)}, so it has no {key!r}."
    return ExpressionFailed(message)


def _kind(value: Json) -> str:
    names = {type(None): "empty (None)", bool: "true or false", str: "a text", list: "a list"}
    return names.get(type(value), "a number")
