"""Everything wrong with a raw config, where any value may still be an expression or a secret."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.json_walk import is_expression, is_secret, walk
from orchestrator.core.kinds import ConfigProblem
from orchestrator.steps.conditions import NOT_EXPRESSION, condition_problems
from orchestrator.steps.plain_words import expects_type, plain

_MOST = 20
#: What pydantic calls it -> our code. Durations, events and conditions have codes of their own, wherever they stand.
_CODES = {
    "missing": "config_missing",
    "extra_forbidden": "config_unknown",
    **{code: code for code in ("duration_invalid", "duration_negative", "duration_calendar", "duration_too_long")},
    **{code: code for code in ("deadline_invalid", "event_type_invalid", "event_key_invalid", NOT_EXPRESSION)},
}
_Loc = tuple[int | str, ...]


def config_problems(
    model: type[BaseModel], config: JsonObject, literal: Sequence[str] = (), conditions: Sequence[str] = ()
) -> list[ConfigProblem]:
    """Validate, and ignore what lies inside `{"$"}` and `{"$secret"}` values.

    Args: `literal` names paths that must not be expressions ("cases.*.port"): the drawing depends on them; `conditions`
    names those that must be, or true or false ("cases.*.when").
    """
    found = [_must_be_literal(path) for path in _marked(config) if _named(path, literal)]
    for path, value in walk(config) if conditions else ():
        found += condition_problems(path, value) if _named(path, conditions) else ()
    try:
        model.model_validate(config)
    except ValidationError as error:
        found += [problem for problem, is_known in _problems(error, config) if is_known]
    first: dict[str, ConfigProblem] = {}
    for problem in found:
        first.setdefault(problem.path, problem)
    return list(first.values())[:_MOST]


def sentence(error: ValidationError, config: JsonObject) -> str:
    """All errors of a validation of this config in one line."""
    return "; ".join(problem.message.rstrip(".") for problem, _ in islice(_problems(error, config), 5)) + "."


def code_of(error: ValidationError) -> str:
    """The code of a validation that failed: its only error's own, where that has one."""
    only = {detail["type"] for detail in error.errors(include_url=False, include_context=False, include_input=False)}
    return _code(only.pop()) if len(only) == 1 else "config_invalid"


def _code(pydantics: str) -> str:
    return _CODES.get(pydantics, "config_invalid")


def _problems(error: ValidationError, config: JsonObject) -> Iterator[tuple[ConfigProblem, bool]]:
    """One for each place, and whether the value there is known: it is not inside an expression or a secret."""
    places: dict[_Loc, list[ErrorDetails]] = {}
    unknown: set[_Loc] = set()
    for detail in error.errors(include_url=False):
        path, inside_marked = _located(detail, config)
        places.setdefault(path, []).append(detail)
        unknown |= {path} if inside_marked else set()
    for path, details in places.items():
        if all(map(expects_type, details)) and any(path == other[: len(path)] for other in places if other != path):
            continue  # of a union one member has the right type, and told what is wrong inside
        dotted = ".".join(map(str, path))
        message = f"{dotted or 'config'}: {plain(details)}"
        yield ConfigProblem(code=_code(details[0]["type"]), message=message, path=dotted), path not in unknown


def _located(detail: ErrorDetails, config: JsonObject) -> tuple[_Loc, bool]:
    """The place in the config, and whether the value there is not known yet."""
    loc = detail["loc"]
    node: Any = config
    path: list[int | str] = []
    of_union = False
    for position, part in enumerate(loc):
        if _is_marked(node):
            break
        if _has(node, part):
            node = node[part]
        elif position + 1 < len(loc) or detail["type"] != "missing":
            of_union = True  # pydantic adds the name of the union's member that did not fit
            continue
        else:  # a missing key: it has a place, too
            node = None
        path.append(part)
    # A member of a union does not fit: perhaps only because another member, with an expression inside, would.
    return tuple(path), _is_marked(node) or (of_union and any(_is_marked(inside) for _, inside in walk(node)))


def _has(node: Any, part: int | str) -> bool:
    if isinstance(node, Mapping):
        return part in node
    return isinstance(node, list | tuple) and isinstance(part, int) and part < len(node)


def _is_marked(node: Json) -> bool:
    return is_expression(node) or is_secret(node)


def _marked(config: JsonObject) -> list[str]:
    return [path for path, node in walk(config) if _is_marked(node)]


def _named(path: str, patterns: Sequence[str]) -> bool:
    parts = path.split(".")
    return any(
        len(pattern) == len(parts) and all(want in ("*", part) for want, part in zip(pattern, parts, strict=True))
        for pattern in (text.split(".") for text in patterns)
    )


def _must_be_literal(path: str) -> ConfigProblem:
    message = f"{path}: this must be written out, because the drawing depends on it. Replace the expression."
    return ConfigProblem(code="config_literal", message=message, path=path)
