"""Checking a run's input against its workflow's JSON Schema, and inventing an example of it."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import NoSuchResource

from orchestrator.core.form import shown
from orchestrator.core.formats import FORMATS
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.json_walk import first_flaw
from orchestrator.core.patterns import matches
from orchestrator.core.schema_rules import SchemaProblem, schema_problems

__all__ = ["InputProblem", "SchemaProblem", "check_input", "schema_problems"]

MOST_PROBLEMS = 50
#: Keyword evaluations of one check, about 5 microseconds each: a large value times a large schema has an end.
MOST_CHECKS = 300_000
_checks_left: ContextVar[list[int]] = ContextVar("checks_left")
Errors = Iterator[ValidationError]
Keyword = Callable[[Any, Any, Any, Any], "Errors | None"]


@dataclass(frozen=True, slots=True)
class InputProblem:
    """One thing wrong with an input. `code` is the schema's keyword ("required"), `path` dotted ("order.lines.0")."""

    code: str
    message: str
    path: str

    def as_json(self) -> dict[str, Json]:
        """The form that the API answers."""
        return {"code": self.code, "message": self.message, "path": self.path}


class _TooMuchWork(Exception):
    pass


def check_input(schema: JsonObject, value: Json) -> list[InputProblem]:
    """Everything wrong with `value`, the first 50 problems. A schema that may not be used is a problem too."""
    if flaw := first_flaw(value):
        return [InputProblem(flaw.code, flaw.message, flaw.path)]
    found, validator = _prepared(json.dumps(schema, sort_keys=True)) if first_flaw(schema) is None else (_DEEP, None)
    if validator is None:
        return [InputProblem(problem.code, f"The schema: {problem.message}", "") for problem in found]
    left = _checks_left.set([MOST_CHECKS])
    try:
        return [_problem(error) for error in islice(validator.iter_errors(value), MOST_PROBLEMS)]
    except _TooMuchWork:
        message = f"This value needs more than {MOST_CHECKS:,} checks. Send less at once or loosen the schema."
        return [InputProblem("too_large", message, "")]
    finally:
        _checks_left.reset(left)


_DEEP = (SchemaProblem("schema_invalid", "It is nested too deeply or holds what JSON cannot.", ""),)


@lru_cache(maxsize=256)
def _prepared(schema: str) -> tuple[Sequence[SchemaProblem], Any]:
    # Checking a schema costs milliseconds, starting a run may not: once per schema is enough.
    raw = json.loads(schema)
    found = schema_problems(raw)
    return found, None if found else _Validator(raw, registry=_REGISTRY, format_checker=FORMATS)


def _deny(uri: str) -> Any:
    raise NoSuchResource(uri)


_REGISTRY: Registry[Any] = Registry(retrieve=_deny)  # type: ignore[call-arg]  # attrs fields with aliases


def _problem(error: ValidationError) -> InputProblem:
    path = ".".join(str(part) for part in error.absolute_path)
    name = f'"{path}"' if path else "The input"
    return InputProblem(str(error.validator), f"{name} {_reason(error)}", path)


_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def _reason(error: ValidationError) -> str:
    keyword, value, instance = str(error.validator), error.validator_value, error.instance
    if keyword == "required":
        return "is missing."
    if keyword == "type":
        names = [value] if isinstance(value, str) else list(value)
        return f"must be {' or '.join(_TYPES.get(name, name) for name in names)}, not {shown(instance)}."
    if keyword == "enum":
        return f"is {shown(instance)}. Choose one of {', '.join(shown(option) for option in value[:20])}."
    if keyword in _SENTENCES:
        return _SENTENCES[keyword].format(value=shown(value), instance=shown(instance))
    return f"is {shown(instance)}, which does not fit: {error.message[:200]}."


_SENTENCES = {
    "const": "is {instance}. Only {value} is allowed.",
    "minimum": "is {instance}. The least is {value}.",
    "maximum": "is {instance}. The most is {value}.",
    "exclusiveMinimum": "is {instance}. It must be more than {value}.",
    "exclusiveMaximum": "is {instance}. It must be less than {value}.",
    "multipleOf": "is {instance}. It must be a multiple of {value}.",
    "minLength": "is shorter than {value} characters.",
    "maxLength": "is longer than {value} characters.",
    "minItems": "has fewer than {value} items.",
    "maxItems": "has more than {value} items.",
    "minProperties": "has fewer than {value} fields.",
    "maxProperties": "has more than {value} fields.",
    "uniqueItems": "holds an item twice.",
    "pattern": "is {instance}, which does not match the pattern {value}.",
    "format": "is {instance}, which is no {value}.",
    "additionalProperties": "is not expected here.",
    "anyOf": "fits none of the allowed forms.",
    "oneOf": "must fit exactly one of the allowed forms.",
    "not": "is {instance}, which is excluded.",
    "contains": "holds too few or too many of the expected items.",
    "False schema": "is not allowed.",
}


def _required(validator: Any, required: Any, instance: Any, schema: Any) -> Errors:
    if validator.is_type(instance, "object"):
        for name in required:
            if name not in instance:
                yield ValidationError("missing", path=deque([name]))


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Errors:
    if validator.is_type(instance, "string") and not matches(pattern, instance):
        yield ValidationError("no match")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any) -> Errors:
    if validator.is_type(instance, "object"):
        for pattern, part in patterns.items():
            for name, value in instance.items():
                if matches(pattern, name):
                    yield from validator.descend(value, part, path=name, schema_path=pattern)


def _additional_properties(validator: Any, part: Any, instance: Any, schema: Any) -> Errors:
    if not validator.is_type(instance, "object"):
        return
    patterns = schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in schema.get("properties", {}) or any(matches(pattern, name) for pattern in patterns):
            continue
        if part is False:
            yield ValidationError("unexpected", path=deque([name]), instance=value)
        else:
            yield from validator.descend(value, part, path=name)


def _unique_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Errors:
    if not wanted or not validator.is_type(instance, "array"):
        return
    # By value in a set: comparing each with each takes hours for 100,000 items.
    if len({_by_value(item) for item in instance}) < len(instance):
        yield ValidationError("twice")


def _by_value(value: Json) -> Any:
    """Something hashable that is equal exactly when the JSON values are (1 equals 1.0, but not true)."""
    if isinstance(value, Mapping):
        return "object", frozenset((name, _by_value(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return "array", tuple(_by_value(item) for item in value)
    return isinstance(value, bool), value


def _length(instance: Any) -> int:
    return len(instance) if isinstance(instance, str | list | dict) else 0


def _counted(keyword: Keyword) -> Keyword:
    def count(validator: Any, value: Any, instance: Any, schema: Any) -> Errors | None:
        left = _checks_left.get()
        # The library puts whole values into its messages, so a large one costs more.
        left[0] -= (len(value) if isinstance(value, list) else 1) + _length(instance) // 1_000
        if left[0] < 0:
            raise _TooMuchWork
        return keyword(validator, value, instance, schema)

    return count


_OWN: dict[str, Keyword] = {
    "required": _required,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}
_Validator = extend(
    Draft202012Validator,
    {name: _counted(keyword) for name, keyword in {**Draft202012Validator.VALIDATORS, **_OWN}.items()},
)
