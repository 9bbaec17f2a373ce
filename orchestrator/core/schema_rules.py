"""Which JSON Schemas a workflow may use: Draft 2020-12 without anything that reaches out, loops or explodes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from jsonschema import Draft202012Validator

from orchestrator.core.form import shown
from orchestrator.core.graph import cycles, topological_order
from orchestrator.core.json_types import Json
from orchestrator.core.json_walk import first_flaw
from orchestrator.core.patterns import PatternUnsupported, check_pattern

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_SUBSCHEMAS = 2_000
MAX_EXPANDED = 10_000  #: subschemas after following every $ref: small texts can expand to billions
MAX_LEVELS = 64
MAX_PATTERNS = 50
_MOST = 20  #: problems of one schema
_SINGLE = ("additionalProperties", "items", "contains", "not", "if", "then", "else", "propertyNames", "contentSchema")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS = ("properties", "patternProperties", "dependentSchemas")
_POINTING = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary")
_COSTLY = ("unevaluatedItems", "unevaluatedProperties")
_ROOT = ""  #: the name of the schema itself among its definitions


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """One thing wrong with a schema. Codes: schema_invalid, schema_ref_forbidden, schema_too_large,
    schema_unsupported, pattern_unsupported."""

    code: str
    message: str
    path: str


@dataclass(slots=True)
class _Survey:
    """What one pass over all subschemas found."""

    problems: list[SchemaProblem] = field(default_factory=list)
    refs: dict[str, list[str]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    patterns: set[str] = field(default_factory=set)

    def refuse(self, code: str, path: str, message: str) -> None:
        self.problems.append(SchemaProblem(code, message, path))


def schema_problems(schema: Json) -> list[SchemaProblem]:
    """Everything that keeps `schema` from being used, in document order; paths are dotted from the schema's root."""
    if isinstance(schema, bool) or schema == {}:
        return []
    if flaw := first_flaw(schema):
        return [SchemaProblem("schema_invalid", flaw.message, flaw.path)]
    survey = _surveyed(schema)
    if not survey.problems:
        survey.problems.extend(_expansion_problems(survey))
    if not survey.problems:
        survey.problems.extend(islice(_form_problems(schema), _MOST))
    return survey.problems[:_MOST]


def _surveyed(schema: Json) -> _Survey:
    survey = _Survey()
    definitions = schema.get("$defs") if isinstance(schema, Mapping) else None
    roots = {_ROOT: schema}
    if isinstance(definitions, Mapping):
        roots |= {f"#/$defs/{name}": part for name, part in definitions.items()}
    for name, part in roots.items():
        survey.refs[name], survey.sizes[name], survey.levels[name] = [], 0, 0
        _walk_one(survey, name, part)
        if sum(survey.sizes.values()) > MAX_SUBSCHEMAS:
            survey.refuse("schema_too_large", "", f"The schema has more than {MAX_SUBSCHEMAS} parts. Loosen it.")
            break
    for name, targets in survey.refs.items():
        for target in dict.fromkeys(targets):
            if target not in roots:
                survey.refuse(
                    "schema_ref_forbidden", _path_of(name), f'"$ref" {shown(target)} names no entry of "$defs".'
                )
    return survey


def _path_of(name: str) -> str:
    return name.removeprefix("#/").replace("/", ".")


def _walk_one(survey: _Survey, name: str, part: Json) -> None:
    """Look at the subschemas of the root or of one definition."""
    stack = [(part, _path_of(name), 1)]
    while stack and survey.sizes[name] <= MAX_SUBSCHEMAS:
        node, path, level = stack.pop()
        survey.sizes[name] += 1
        survey.levels[name] = max(survey.levels[name], level)
        if isinstance(node, Mapping):
            _check_keywords(survey, name, node, path)
            children = [(child, f"{path}.{at}" if path else at, level + 1) for at, child in subschemas(node)]
            stack.extend(reversed(children))
        elif not isinstance(node, bool):
            survey.refuse("schema_invalid", path, f"A schema is an object or true or false, not {shown(node)}.")


def subschemas(node: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    """The schemas directly inside a schema with their dotted place; definitions are apart."""
    for keyword, value in node.items():
        if keyword in _SINGLE:
            yield keyword, value
        elif keyword in _LISTS and isinstance(value, list | tuple):
            yield from ((f"{keyword}.{index}", item) for index, item in enumerate(value))
        elif keyword in _MAPS and isinstance(value, Mapping):
            yield from ((f"{keyword}.{name}", item) for name, item in value.items())


def _check_keywords(survey: _Survey, name: str, node: Mapping[str, Json], path: str) -> None:
    for keyword in _POINTING:
        if keyword in node:
            message = f'"{keyword}" is not allowed in a workflow\'s schema. Use "$ref": "#/$defs/name".'
            survey.refuse("schema_ref_forbidden", path, message)
    for keyword in _COSTLY:
        if keyword in node:
            message = f'"{keyword}" is not supported. Use "additionalProperties" or "items".'
            survey.refuse("schema_unsupported", path, message)
    if "$schema" in node and (path or str(node["$schema"]).removesuffix("#") != DIALECT):
        message = f'"$schema" may only be "{DIALECT}", at the top. Remove it.'
        survey.refuse("schema_ref_forbidden", path, message)
    if (path and "$defs" in node) or "definitions" in node:
        survey.refuse("schema_ref_forbidden", path, 'Definitions belong into "$defs" at the top of the schema.')
    _check_ref(survey, name, node, path)
    _check_patterns(survey, node, path)


def _check_ref(survey: _Survey, name: str, node: Mapping[str, Json], path: str) -> None:
    if "$ref" not in node:
        return
    target = node["$ref"]
    if isinstance(target, str) and target.startswith("#/$defs/") and not set(target[8:]) & set("/~%"):
        survey.refs[name].append(target)
    else:
        message = f'"$ref" {shown(target)} is not allowed: only "#/$defs/name" is, inside this schema.'
        survey.refuse("schema_ref_forbidden", path, message)


def _check_patterns(survey: _Survey, node: Mapping[str, Json], path: str) -> None:
    keyed = node.get("patternProperties")
    found = [node.get("pattern"), *(keyed if isinstance(keyed, Mapping) else ())]
    for pattern in found:
        if not isinstance(pattern, str) or pattern in survey.patterns:
            continue
        survey.patterns.add(pattern)
        if len(survey.patterns) == MAX_PATTERNS + 1:
            survey.refuse("schema_too_large", path, f"The schema has more than {MAX_PATTERNS} patterns. Use fewer.")
        if len(survey.patterns) > MAX_PATTERNS:
            return
        try:
            check_pattern(pattern)
        except PatternUnsupported as error:
            survey.refuse(error.error_code, path, error.message)


def _expansion_problems(survey: _Survey) -> Iterator[SchemaProblem]:
    for cycle in cycles(survey.refs):
        path = " -> ".join(f'"{name}"' for name in [*cycle, cycle[0]])
        yield SchemaProblem("schema_ref_forbidden", f"The definitions refer to themselves: {path}.", _path_of(cycle[0]))
        return
    sizes, levels = dict(survey.sizes), dict(survey.levels)
    for name in reversed(topological_order({name: list(dict.fromkeys(refs)) for name, refs in survey.refs.items()})):
        sizes[name] += sum(sizes[target] for target in survey.refs[name])
        levels[name] += max((levels[target] for target in survey.refs[name]), default=0)
    if max(sizes.values()) > MAX_EXPANDED:
        message = f"With every $ref followed, the schema has more than {MAX_EXPANDED} parts. Loosen it."
        yield SchemaProblem("schema_too_large", message, "")
    if max(levels.values()) > MAX_LEVELS:
        yield SchemaProblem(
            "schema_too_large", f"The schema is nested deeper than {MAX_LEVELS} levels. Flatten it.", ""
        )


def _form_problems(schema: Json) -> Iterator[SchemaProblem]:
    """What the dialect's own schema finds: wrong types of keywords and the like."""
    checker = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    for error in sorted(checker.iter_errors(schema), key=lambda error: [str(part) for part in error.absolute_path]):
        path = ".".join(str(part) for part in error.absolute_path)
        yield SchemaProblem(
            "schema_invalid", f"No valid JSON Schema at {path or 'the top'}: {error.message[:200]}.", path
        )
