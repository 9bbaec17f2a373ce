"""Walking JSON values without recursion: measuring them, and finding the nodes that stand for something else."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.core.json_types import Json

MAX_DEPTH = 64
#: Integers beyond this lose digits in browsers (RFC 8259, section 6) and overflow columns: they are refused.
LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Marked:
    """A `{"$": source}` ("expression") or `{"$secret": name}` ("secret") node. `path` is dotted ("fields.2.label")."""

    kind: str
    text: Json
    path: str


def is_expression(value: Json) -> bool:
    """True for `{"$": ...}`."""
    return isinstance(value, Mapping) and len(value) == 1 and "$" in value


def is_secret(value: Json) -> bool:
    """True for `{"$secret": ...}`."""
    return isinstance(value, Mapping) and len(value) == 1 and "$secret" in value


def marked_nodes(value: Json, path: str = "") -> Iterator[Marked]:
    """Every expression and secret node inside `value`, in document order."""
    for at, node in walk(value, path):
        if is_expression(node):
            yield Marked("expression", node["$"], at)  # type: ignore[index, call-overload]  # a mapping: just tested
        elif is_secret(node):
            yield Marked("secret", node["$secret"], at)  # type: ignore[index, call-overload]  # a mapping: just tested


def walk(value: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """`value` and everything inside it with its dotted path, in document order, parents first."""
    stack = [(path, value)]
    while stack:
        at, node = stack.pop()
        yield at, node
        if isinstance(node, Mapping):
            stack.extend((_joined(at, key), node[key]) for key in reversed(list(node)))
        elif isinstance(node, Sequence) and not isinstance(node, str):
            stack.extend((_joined(at, index), node[index]) for index in range(len(node) - 1, -1, -1))


def _joined(path: str, part: str | int) -> str:
    return f"{path}.{part}" if path else str(part)


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a value is no JSON that can be stored: a code, a sentence, a dotted path."""

    code: str
    message: str
    path: str


def first_flaw(value: Json, path: str = "") -> Flaw | None:
    """The first thing in `value` that JSON, UTF-8 or PostgreSQL's jsonb cannot hold; None when it is sound.

    Codes: json_too_deep, text_invalid, out_of_range, wrong_type.
    """
    stack: list[tuple[Json, int, str]] = [(value, 0, path)]
    while stack:
        node, depth, at = stack.pop()
        flaw = _flaw_of(node, at)
        if flaw:
            return flaw
        if isinstance(node, Mapping | list | tuple):
            if depth >= MAX_DEPTH:
                top = ".".join(at.split(".")[:3])
                return Flaw("json_too_deep", f"This value is nested deeper than {MAX_DEPTH} levels. Flatten it.", top)
            parts = node.items() if isinstance(node, Mapping) else enumerate(node)
            for key, item in parts:
                if isinstance(node, Mapping) and (flaw := _flaw_of_key(key, at)):
                    return flaw
                stack.append((item, depth + 1, _joined(at, key)))
    return None


def _flaw_of(node: Json, path: str) -> Flaw | None:
    if node is None or isinstance(node, bool | Mapping | list | tuple):
        return None
    if isinstance(node, str):
        return _flaw_of_text(node, path)
    if isinstance(node, int):
        too_large = abs(node) > LARGEST_INTEGER
        return (
            Flaw("out_of_range", "This whole number has more than 63 bits. Send it as text.", path)
            if too_large
            else None
        )
    if isinstance(node, float):
        message = "A number must be finite (not NaN or infinite)."
        return None if math.isfinite(node) else Flaw("out_of_range", message, path)
    return Flaw("wrong_type", f"A {type(node).__name__} is no JSON value.", path)


def _flaw_of_key(key: object, path: str) -> Flaw | None:
    if not isinstance(key, str):
        return Flaw("wrong_type", f"The key {key!r} is no text.", path)
    return _flaw_of_text(key, path)


def _flaw_of_text(text: str, path: str) -> Flaw | None:
    if "\x00" in text:
        return Flaw("text_invalid", "Text must not hold the NUL character.", path)
    try:
        text.encode()
    except UnicodeEncodeError:
        return Flaw("text_invalid", "Text holds half of a surrogate pair, which is no character.", path)
    return None
