"""Conditions in a config: an expression, or true or false on purpose."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, JsonValue
from pydantic_core import PydanticCustomError

from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.json_walk import is_expression
from orchestrator.core.kinds import ConfigProblem, Evaluator

NOT_EXPRESSION = "condition_not_expression"
_CONSTANT = "condition_constant"
_WANTED = 'a condition is an expression, like {"$": "input.amount > 100"}'


def _condition(value: JsonValue) -> JsonValue:
    if not isinstance(value, bool) and not is_expression(value):
        raise PydanticCustomError(NOT_EXPRESSION, "{text}", {"text": _WANTED})
    return value


Condition = Annotated[JsonValue, AfterValidator(_condition)]
OptionalCondition = Annotated[JsonValue, AfterValidator(lambda value: value if value is None else _condition(value))]


def holds(condition: Json, sandbox: Evaluator, roots: Mapping[str, Json]) -> bool:
    """Whether a condition of a built config is true now. Raises `ExpressionFailed`."""
    if isinstance(condition, Mapping):
        return bool(sandbox.expression(str(condition["$"]), roots))
    return bool(condition)


def condition_problems(path: str, value: Json) -> Iterator[ConfigProblem]:
    """What is wrong with, or odd about, the condition at `path` of a raw config. None is no condition."""
    if value is None or is_expression(value):
        return
    if isinstance(value, bool):
        said = f"always {str(value).lower()}"
        message = f"{path}: this condition is {said}. If that is not meant, write an expression."
        yield ConfigProblem(code=_CONSTANT, message=message, path=path, severity="warning")
    elif isinstance(value, str) and value.strip():
        message = f"{path}: this is a plain text, which would always be true. Make it an expression."
        repair: tuple[str, JsonObject] = ("Make it an expression", {"$": value.strip()})
        yield ConfigProblem(code=NOT_EXPRESSION, message=message, path=path, repair=repair)
    else:
        yield ConfigProblem(code=NOT_EXPRESSION, message=f"{path}: {_WANTED}. This always means the same.", path=path)
