"""What the sandbox is given for a source text: rewritten text, and which parts of the roots it can read.

Every name of an expression is a root, a listed builtin or its own variable. So a warm session can hold nothing that a
later expression could name but the roots, and those are bound anew on each evaluation.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.references import ROOTS, SCRIPT_ROOTS, chains, references
from orchestrator.core.rewrite import rewrite_expression, rewrite_script
from orchestrator.core.scopes import surveyed
from orchestrator.core.syntax import parse_expression

#: Pure functions only: nothing here reads, writes, imports, or assigns a name.
BUILTINS = frozenset(
    {"abs", "all", "any", "bool", "chr", "dict", "divmod", "enumerate", "filter", "float", "int", "isinstance", "len"}
    | {"list", "map", "max", "min", "ord", "pow", "range", "repr", "reversed", "round", "set", "sorted", "str", "sum"}
    | {"tuple", "zip"}
)
#: Names by which a script can reach a root without spelling it: such a script gets every root whole.
_INDIRECT = frozenset({"eval", "exec", "locals"})
Need = dict[str, "Need"]
Path = tuple[str, tuple[str | int, ...]]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A checked text. `needs`: root -> the keys read of it, an empty dict meaning all of it. `path` is set when the
    whole text is one chain of literal keys: reading that needs no interpreter."""

    text: str
    needs: Mapping[str, Need]
    path: Path | None = None


@lru_cache(maxsize=8_192)
def compile_expression(source: str) -> Compiled:
    """Check and rewrite an expression. Raises `ExpressionFailed` (expression_invalid, comprehension_too_deep)."""
    for name in references(source).names:
        if name not in BUILTINS:
            known = ", ".join(sorted(ROOTS))
            raise _invalid(f"`{name[:60]}` is not known in an expression. Known are {known} and plain functions.")
    text = rewrite_expression(source)
    return Compiled(text, _needs(parse_expression(source), ROOTS), _literal_path(text))


@lru_cache(maxsize=512)
def compile_script(source: str) -> Compiled:
    """Check and rewrite a script so that it answers with its last expression as JSON. Raises `ExpressionFailed`."""
    text = rewrite_script(source)
    tree = ast.parse(text)
    if any(isinstance(node, ast.Return) for node in _outside_functions(tree)):
        raise _invalid("`return` stands outside a function. End the script with the value on a line of its own.")
    needs = _needs(ast.parse(source), SCRIPT_ROOTS)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    whole = SCRIPT_ROOTS if names & _INDIRECT else names & SCRIPT_ROOTS - needs.keys()
    return Compiled(_answering(text, tree), {**needs, **{name: {} for name in whole}})


def _needs(tree: ast.Expression | ast.Module, roots: frozenset[str]) -> dict[str, Need]:
    needs: dict[str, Need] = {}
    whole: list[Need] = []
    for chain in chains(surveyed(tree), roots):
        node = needs.setdefault(chain.root, {})
        for key in chain.keys:
            if not isinstance(key, str):
                break
            node = node.setdefault(key, {})
        whole.append(node)
    for node in whole:  # only now: another chain may have gone deeper below a value that is read whole
        node.clear()
    return needs


def _literal_path(text: str) -> Path | None:
    node: ast.expr = ast.parse(text, mode="eval").body
    keys: list[str | int] = []
    while isinstance(node, ast.Subscript):
        key = _literal_key(node.slice)
        if key is None:
            return None
        keys.append(key)
        node = node.value
    return (node.id, tuple(reversed(keys))) if isinstance(node, ast.Name) and node.id in ROOTS else None


def _literal_key(node: ast.expr) -> str | int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        below = _literal_key(node.operand)
        return -below if isinstance(below, int) else None
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None


def _outside_functions(tree: ast.Module) -> Iterator[ast.AST]:
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))


def _answering(text: str, tree: ast.Module) -> str:
    """The same lines, with the value of a last expression kept and answered as JSON text."""
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        return f"{text}\n'null'"
    lines = text.encode().split(b"\n")
    end, start = (last.end_lineno or 1) - 1, last.lineno - 1
    lines[end] = lines[end][: last.end_col_offset] + b")" + lines[end][last.end_col_offset or 0 :]
    lines[start] = lines[start][: last.col_offset] + b"_result=(" + lines[start][last.col_offset :]
    kept = b"\n".join(lines).decode()
    return f"{kept}\nimport json as _json\n_json.dumps(_result,allow_nan=False,separators=(',',':'))"


def _invalid(message: str) -> ExpressionFailed:
    return ExpressionFailed(message, code="expression_invalid")
