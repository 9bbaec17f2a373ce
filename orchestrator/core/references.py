"""Which inputs and outputs a text reads: chains of keys that start at a root (`steps.charge.id`, `input["order"]`)."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from orchestrator.core.scopes import Survey, surveyed
from orchestrator.core.syntax import parse_expression, parse_script

ROOTS = frozenset(
    {"input", "steps", "errors", "item", "index", "turn", "last", "join", "event", "run", "output", "error"}
)
SCRIPT_ROOTS = ROOTS | {"arguments"}
Paths = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What a text reads. A path is dotted ("order.items.0"); "" means the whole value.

    `steps` and `errors`: step key -> paths read below it. `whole_steps`: `steps` or `errors` is used other than by a
    literal key, so any step may be read. `join`: paths below a join's result. `names`: free names that are no roots
    (functions such as `len`, or mistakes).
    """

    steps: Mapping[str, Paths] = field(default_factory=dict)
    errors: Mapping[str, Paths] = field(default_factory=dict)
    input: Paths = frozenset()
    join: Paths = frozenset()
    roots: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    whole_steps: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """A root and the literal keys read from it; `attributes` are the nodes that mean a key, inner ones first."""

    root: str
    keys: tuple[str | int, ...]
    attributes: tuple[ast.Attribute, ...]


@lru_cache(maxsize=8_192)
def references(source: str) -> References:
    """What an expression reads. Raises `ExpressionFailed`."""
    return _collected(parse_expression(source), ROOTS)


@lru_cache(maxsize=512)
def script_references(source: str) -> References:
    """What a script reads. Raises `ExpressionFailed`."""
    return _collected(parse_script(source), SCRIPT_ROOTS)


def _collected(tree: ast.Expression | ast.Module, roots: frozenset[str]) -> References:
    by_step: dict[str, dict[str, set[str]]] = {"steps": {}, "errors": {}}
    paths: dict[str, set[str]] = {"input": set(), "join": set()}
    used: set[str] = set()
    whole_steps = False
    survey = surveyed(tree)
    for chain in chains(survey, roots):
        used.add(chain.root)
        if chain.root in paths:
            paths[chain.root].add(_dotted(chain.keys))
        elif chain.root in by_step and chain.keys and isinstance(chain.keys[0], str):
            by_step[chain.root].setdefault(chain.keys[0], set()).add(_dotted(chain.keys[1:]))
        elif chain.root in by_step:
            whole_steps = True
    return References(
        steps=_frozen(by_step["steps"]),
        errors=_frozen(by_step["errors"]),
        input=frozenset(paths["input"]),
        join=frozenset(paths["join"]),
        roots=frozenset(used),
        names=tuple(dict.fromkeys(name.id for name in survey.free if name.id not in roots)),
        whole_steps=whole_steps,
    )


def _frozen(paths: Mapping[str, set[str]]) -> Mapping[str, Paths]:
    return MappingProxyType({key: frozenset(found) for key, found in paths.items()})


def _dotted(keys: tuple[str | int, ...]) -> str:
    return ".".join(str(key) for key in keys)


def chains(survey: Survey, roots: frozenset[str]) -> Iterator[Chain]:
    """Every chain of a tree that starts at a root, in document order."""
    return (_chain(name, survey.parents) for name in survey.free if name.id in roots)


def local_chains(survey: Survey) -> Iterator[Chain]:
    """Every chain of an expression that starts at a variable of a comprehension or lambda.

    An expression cannot import or define anything, so such a variable holds plain data, as a root does
    (`[line.sku for line in input.lines]`).
    """
    return (_chain(name, survey.parents) for name in survey.local)


def _chain(name: ast.Name, parents: Mapping[ast.AST, ast.AST]) -> Chain:
    keys: list[str | int] = []
    attributes: list[ast.Attribute] = []
    node: ast.AST = name
    literal = True
    while True:
        above = parents.get(node)
        if isinstance(above, ast.Attribute):
            # `a.b()` calls a method of the value; what it gives back is a plain value again.
            call = parents.get(above)
            if isinstance(call, ast.Call) and call.func is above:
                node, literal = call, False
                continue
            attributes.append(above)
            keys.extend([above.attr] if literal else [])
        elif isinstance(above, ast.Subscript) and above.value is node:
            key = _literal_key(above.slice)
            literal = literal and key is not None
            keys.extend([key] if literal and key is not None else [])
        else:
            return Chain(name.id, tuple(keys), tuple(attributes))
        node = above


def _literal_key(node: ast.expr) -> str | int | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int) and not isinstance(node.value, bool):
        return node.value
    return None
