"""`input.order.sku` -> `input["order"]["sku"]`: JSON objects have keys, not attributes.

In a chain that starts at a root (or at a variable of a comprehension), `a.b` reads the key `b` and a call `a.b()` is
a method. Only these spots of the text change, so line numbers in the sandbox's messages stay those of the author.
"""

import ast
import json
import re
from collections.abc import Callable, Collection
from functools import lru_cache

from orchestrator.core.references import ROOTS, SCRIPT_ROOTS, Chain, chains, local_chains
from orchestrator.core.scopes import surveyed
from orchestrator.core.syntax import expression_text, parse_expression, parse_script, refused, script_text

_BLANK = r"(?:[\s\\)]|#[^\n]*\n)*"
#: What may stand between a value and its attribute: blanks, comments, brackets that close the value, the dot.
_TAIL = re.compile(rf"(?s)(?P<before>{_BLANK})\.(?P<gap>{_BLANK})[^\W\d]\w*")
_LINE_END = "\n"
_Edit = tuple[int, int, bytes]


@lru_cache(maxsize=8_192)
def rewrite_expression(source: str) -> str:
    """The expression as the sandbox evaluates it. Raises `ExpressionFailed`."""
    tree = parse_expression(source)
    survey = surveyed(tree)
    return _rewritten(expression_text(source), tree, [*chains(survey, ROOTS), *local_chains(survey)])


@lru_cache(maxsize=512)
def rewrite_script(source: str) -> str:
    """The script as the sandbox runs it. Raises `ExpressionFailed`."""
    tree = parse_script(source)
    return _rewritten(script_text(source), tree, list(chains(surveyed(tree), SCRIPT_ROOTS)))


def _rewritten(text: str, tree: ast.Expression | ast.Module, found: list[Chain]) -> str:
    attributes = {attribute: None for chain in found for attribute in chain.attributes}
    if not attributes:
        return text
    try:
        edited = _apply(text, _edits(text, tree, attributes))
        # Places inside unusual layouts are guesses; the tree is the judge, and the plain spelling the way out.
        return edited if _means(edited, tree) else ast.unparse(tree)
    except RecursionError:
        raise refused("This text is nested too deeply. Split it into several steps.") from None
    except ValueError:  # before Python 3.12 an f-string cannot hold every mixture of quotes
        raise refused("The quotes inside this f-string cannot be told apart. Use simpler ones.") from None


def _edits(text: str, tree: ast.AST, attributes: Collection[ast.Attribute]) -> list[_Edit]:
    """What to change in the text. Changes the tree, too, into what the new text must mean."""
    offset = _offsets(text)
    quoted = _outermost_f_strings(tree)
    edits = [_key_edit(text.encode(), offset, node) for node in attributes if node not in quoted]
    _replace(tree, attributes)
    # Inside an f-string, before Python 3.12, places are wrong and quotes must differ: it is spelled anew as a whole.
    f_strings = {quoted[node]: None for node in attributes if node in quoted}
    return edits + [_f_string_edit(offset, node) for node in f_strings]


def _outermost_f_strings(tree: ast.AST) -> dict[ast.AST, ast.JoinedStr]:
    """Everything inside an f-string -> the outermost f-string around it."""
    inside: dict[ast.AST, ast.JoinedStr] = {}
    stack: list[tuple[ast.AST, ast.JoinedStr | None]] = [(tree, None)]
    while stack:
        node, around = stack.pop()
        if around is None and isinstance(node, ast.JoinedStr):
            around = node
        if around is not None:
            inside[node] = around
        stack.extend((child, around) for child in ast.iter_child_nodes(node))
    return inside


def _replace(tree: ast.AST, attributes: Collection[ast.Attribute]) -> None:
    """Put a subscript where each of the attributes stands."""
    nodes = list(ast.walk(tree))
    instead = {node: ast.Subscript(node.value, ast.Constant(node.attr), node.ctx) for node in attributes}
    for node in [*nodes, *instead.values()]:
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                value[:] = [instead.get(item, item) for item in value]
            elif isinstance(value, ast.Attribute):
                setattr(node, name, instead.get(value, value))


def _offsets(text: str) -> Callable[[int, int], int]:
    """(line, column) as `ast` counts them, in UTF-8 bytes -> place in the encoded text."""
    starts = [0]
    for line in text.encode().split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    return lambda line, column: starts[line - 1] + column


def _key_edit(text: bytes, offset: Callable[[int, int], int], node: ast.Attribute) -> _Edit:
    start = offset(node.value.end_lineno or 1, node.value.end_col_offset or 0)
    end = offset(node.end_lineno or 1, node.end_col_offset or 0)
    match = _TAIL.fullmatch(text[start:end].decode())
    before, gap = (match["before"], match["gap"]) if match else ("", "")
    # Line ends between the dot and the name move into the brackets, where they are free.
    key = f"{before}[{json.dumps(node.attr, ensure_ascii=False)}{_LINE_END * gap.count(_LINE_END)}]"
    return start, end, key.encode()


def _f_string_edit(offset: Callable[[int, int], int], node: ast.JoinedStr) -> _Edit:
    lines = (node.end_lineno or node.lineno) - node.lineno
    plain = ast.unparse(node)
    spelled = f"({plain}{_LINE_END * (lines - plain.count(_LINE_END))})" if lines else plain
    start = offset(node.lineno, node.col_offset)
    return start, offset(node.end_lineno or node.lineno, node.end_col_offset or 0), spelled.encode()


def _apply(text: str, edits: list[_Edit]) -> str:
    encoded = text.encode()
    parts: list[bytes] = []
    done = 0
    for start, end, replacement in sorted(edits):
        parts += [encoded[done:start], replacement]
        done = end
    return b"".join([*parts, encoded[done:]]).decode()


def _means(text: str, tree: ast.Expression | ast.Module) -> bool:
    """True when the text parses to this very tree, places aside."""
    try:
        parsed = ast.parse(text, mode="eval" if isinstance(tree, ast.Expression) else "exec")
    except SyntaxError:
        return False
    stack: list[tuple[object, object]] = [(parsed, tree)]
    while stack:
        one, other = stack.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, ast.AST):
            stack.extend(
                (getattr(one, name, None), getattr(other, name, None)) for name in one._fields if name != "kind"
            )
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            stack.extend(zip(one, other, strict=True))
        elif one != other:
            return False
    return True
