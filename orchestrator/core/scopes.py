"""Which names of a syntax tree are free, by Python's scope rules: only a free name can be a root."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator.core.syntax import Comprehension, children

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
_OWN_SCOPE = (*_FUNCTIONS, ast.Lambda, ast.ClassDef)
_OWN_NAMES = (*_OWN_SCOPE, *_COMPREHENSIONS)
Names = frozenset[str]
_Scoped = Iterator[tuple[ast.AST, Names]]


@dataclass(frozen=True, slots=True)
class Survey:
    """A tree seen once: the free names that are read, in document order; the names that are bound; who is in whom."""

    free: list[ast.Name]
    local: list[ast.Name]
    parents: dict[ast.AST, ast.AST]


def surveyed(tree: ast.Expression | ast.Module) -> Survey:
    """Look at every name of the tree.

    A name that the text binds anywhere in a scope (assignment, loop, parameter, import, `as`) is local to that whole
    scope, as in Python. A name declared `global` counts as bound everywhere.
    """
    found = Survey([], [], {})
    top = _globals(tree) | bindings(tree.body) if isinstance(tree, ast.Module) else frozenset()
    stack: list[tuple[ast.AST, Names]] = [(tree, top)]
    while stack:
        node, bound = stack.pop()
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                (found.local if node.id in bound else found.free).append(node)
            continue
        if isinstance(node, _OWN_NAMES):
            inside = list(_inside(node, bound))
        else:
            inside = [(child, bound) for child in children(node)]
        for child, _ in inside:
            found.parents[child] = node
        stack += inside[::-1]
    return found


def _globals(tree: ast.AST) -> Names:
    return frozenset(name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names)


def _inside(node: ast.AST, bound: Names) -> _Scoped:
    """What stands inside a node with names of its own, each with the names bound where it stands."""
    if isinstance(node, _FUNCTIONS):
        outer = [*node.decorator_list, *_signature(node.args), *([node.returns] if node.returns else [])]
        inner = bound | _parameters(node.args) | bindings(node.body)
        yield from _with(outer, bound)
        yield from _with(node.body, inner)
    elif isinstance(node, ast.Lambda):
        yield from _with(_signature(node.args), bound)
        yield node.body, bound | _parameters(node.args) | bindings([node.body])
    elif isinstance(node, ast.ClassDef):
        yield from _with([*node.decorator_list, *node.bases, *node.keywords], bound)
        yield from _with(node.body, bound | bindings(node.body))
    elif isinstance(node, _COMPREHENSIONS):
        yield from _in_comprehension(node, bound)


def _with(nodes: Iterable[ast.AST], bound: Names) -> _Scoped:
    return ((node, bound) for node in nodes)


def _in_comprehension(node: Comprehension, bound: Names) -> _Scoped:
    """Only the first source is read outside the comprehension's own scope."""
    inner = bound | {
        name.id for part in node.generators for name in ast.walk(part.target) if isinstance(name, ast.Name)
    }
    results = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
    yield from _with(results, inner)
    for index, generator in enumerate(node.generators):
        yield generator.target, inner
        yield generator.iter, inner if index else bound
        yield from _with(generator.ifs, inner)


def _signature(arguments: ast.arguments) -> list[ast.expr]:
    """Defaults and annotations: they are read where the function is defined."""
    annotations = [argument.annotation for argument in _all_arguments(arguments)]
    return [part for part in (*arguments.defaults, *arguments.kw_defaults, *annotations) if part is not None]


def _parameters(arguments: ast.arguments) -> Names:
    return frozenset(argument.arg for argument in _all_arguments(arguments))


def _all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    stars = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars]


def bindings(body: Iterable[ast.AST]) -> Names:
    """The names that these nodes bind in the scope where they stand."""
    bound: set[str] = set()
    stack: list[tuple[ast.AST, bool]] = [(node, False) for node in body]
    while stack:
        node, in_comprehension = stack.pop()
        if isinstance(node, ast.NamedExpr):
            bound.add(node.target.id)
        elif not in_comprehension:
            bound.update(_bound_by(node))
        if isinstance(node, _OWN_SCOPE):
            continue
        # Of a comprehension only `:=` reaches the scope around it.
        inside = in_comprehension or isinstance(node, _COMPREHENSIONS)
        stack.extend((child, inside) for child in children(node))
    return frozenset(bound)


def _bound_by(node: ast.AST) -> Iterable[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return (node.id,)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return (node.name,)
    if isinstance(node, ast.alias):
        return ((node.asname or node.name).partition(".")[0],)
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        return (node.name,)
    if isinstance(node, ast.MatchMapping) and node.rest:
        return (node.rest,)
    return ()
