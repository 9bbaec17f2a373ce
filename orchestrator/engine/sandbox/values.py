"""Config values with `{"$": ...}` inside -> plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.json_types import Json
from orchestrator.core.json_walk import MAX_DEPTH, is_expression, is_secret

Patterns = tuple[tuple[str, ...], ...]


class Expressions(Protocol):
    """The part of `core.kinds.Evaluator` that is needed here."""

    def expression(self, source: str, roots: Mapping[str, Json]) -> Json: ...


@dataclass(frozen=True, slots=True)
class _Paths:
    """Patterns of paths: what stays as it is, and where a reference to outputs may stay one."""

    lazy: Patterns
    streamed: Patterns


def evaluate_value(
    value: Json,
    roots: Mapping[str, Json],
    sandbox: Expressions,
    *,
    lazy: tuple[str, ...] = (),
    streamed: tuple[str, ...] = (),
    path: str = "",
) -> Json:
    """Replace every expression inside `value` by its value; results are never looked into again.

    Args: `lazy` names paths that stay as they are ("cases.*.when"); `streamed` those where outputs too large to be one
    value may be given as `ItemOutputs`; `path` is where `value` stands, for messages.
    Raises `ExpressionFailed` with details `field` and `source`.
    """
    paths = _Paths(_split(lazy), _split(streamed))
    return _value(value, roots, sandbox, paths, tuple(path.split(".")) if path else ())


def _split(patterns: tuple[str, ...]) -> Patterns:
    return tuple(tuple(pattern.split(".")) for pattern in patterns)


def _value(value: Json, roots: Mapping[str, Json], sandbox: Expressions, paths: _Paths, path: tuple[str, ...]) -> Json:
    if len(path) > MAX_DEPTH + 1:
        raise ExpressionFailed("The config nests too deeply to be evaluated.", code="expression_invalid")
    if isinstance(value, Mapping):
        if is_secret(value) or any(_matches(pattern, path) for pattern in paths.lazy):
            return value
        if is_expression(value):
            whole = not any(_matches(pattern, path) for pattern in paths.streamed)
            return _evaluated(value["$"], roots, sandbox, path, whole=whole)
        return {key: _value(item, roots, sandbox, paths, (*path, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_value(item, roots, sandbox, paths, (*path, str(index))) for index, item in enumerate(value)]
    return value


def _evaluated(
    source: Json, roots: Mapping[str, Json], sandbox: Expressions, path: tuple[str, ...], *, whole: bool
) -> Json:
    field = ".".join(path)
    if not isinstance(source, str):
        raise ExpressionFailed("An expression must be text.", code="expression_invalid", details={"field": field})
    try:
        value = sandbox.expression(source, roots)
        if whole and isinstance(value, ItemOutputs):
            raise value.refusal()
    except ExpressionFailed as error:
        message = f"In {field}: {error.message}" if field else error.message
        details = {**error.details, "field": field, "source": source}
        raise ExpressionFailed(message, code=error.error_code, details=details) from error
    return value


def _matches(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return len(pattern) == len(path) and all(p in ("*", part) for p, part in zip(pattern, path, strict=True))
