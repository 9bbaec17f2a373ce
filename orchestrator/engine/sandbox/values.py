"""Config values with `{"$": ...}` inside -> plain values."""

from collections.abc import Mapping
from typing import Protocol

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.json_types import Json
from orchestrator.core.json_walk import MAX_DEPTH, is_expression, is_secret


class Expressions(Protocol):
    """The part of `core.kinds.Evaluator` that is needed here."""

    def expression(self, source: str, roots: Mapping[str, Json]) -> Json: ...


def evaluate_value(
    value: Json, roots: Mapping[str, Json], sandbox: Expressions, *, lazy: tuple[str, ...] = (), path: str = ""
) -> Json:
    """Replace every expression inside `value` by its value; results are never looked into again.

    Args: `lazy` names paths that stay as they are ("cases.*.when"); `path` is where `value` stands, for messages.
    Raises `ExpressionFailed` with details `field` and `source`.
    """
    waiting = tuple(tuple(pattern.split(".")) for pattern in lazy)
    return _value(value, roots, sandbox, waiting, tuple(path.split(".")) if path else ())


def _value(
    value: Json,
    roots: Mapping[str, Json],
    sandbox: Expressions,
    lazy: tuple[tuple[str, ...], ...],
    path: tuple[str, ...],
) -> Json:
    if len(path) > MAX_DEPTH + 1:
        raise ExpressionFailed("The config nests too deeply to be evaluated.", code="expression_invalid")
    if isinstance(value, Mapping):
        if is_secret(value) or any(_matches(pattern, path) for pattern in lazy):
            return value
        if is_expression(value):
            return _evaluated(value["$"], roots, sandbox, path)
        return {key: _value(item, roots, sandbox, lazy, (*path, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_value(item, roots, sandbox, lazy, (*path, str(index))) for index, item in enumerate(value)]
    return value


def _evaluated(source: Json, roots: Mapping[str, Json], sandbox: Expressions, path: tuple[str, ...]) -> Json:
    field = ".".join(path)
    if not isinstance(source, str):
        raise ExpressionFailed("An expression must be text.", code="expression_invalid", details={"field": field})
    try:
        return sandbox.expression(source, roots)
    except ExpressionFailed as error:
        message = f"In {field}: {error.message}" if field else error.message
        details = {**error.details, "field": field, "source": source}
        raise ExpressionFailed(message, code=error.error_code, details=details) from error


def _matches(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return len(pattern) == len(path) and all(p in ("*", part) for p, part in zip(pattern, path, strict=True))
