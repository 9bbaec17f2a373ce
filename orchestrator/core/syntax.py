"""Python text -> a bounded syntax tree. Nothing is ever evaluated here; the sandbox does that."""

import ast
import threading
import warnings
from collections.abc import Iterator
from typing import TypeVar

from orchestrator.core.errors import ExpressionFailed

LONGEST_EXPRESSION = 4_096  #: characters
LONGEST_SCRIPT = 100_000
DEEPEST = 200  #: levels of the syntax tree: keeps every later walk, ours or the sandbox's, far from its stack's end
MOST_GENERATORS = 3  #: `for`s inside each other in one expression: work grows with their product

Tree = TypeVar("Tree", ast.Expression, ast.Module)
Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
_SUSPENDING = (ast.Await, ast.Yield, ast.YieldFrom, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef)
_CHECKED = frozenset({ast.Attribute, ast.Name, ast.NamedExpr, *_SUSPENDING, *_COMPREHENSIONS})
# `catch_warnings` changes a list that all threads share; one at a time keeps it whole.
_WARNINGS = threading.Lock()


def parse_expression(source: str) -> ast.Expression:
    """The tree of one expression. Raises `ExpressionFailed` (expression_invalid, comprehension_too_deep)."""
    tree = _parsed(expression_text(source), ast.Expression, LONGEST_EXPRESSION)
    _check(tree, in_script=False)
    return tree


def parse_script(source: str) -> ast.Module:
    """The tree of a script: statements, loops, functions. Raises `ExpressionFailed` (expression_invalid)."""
    tree = _parsed(script_text(source), ast.Module, LONGEST_SCRIPT)
    _check(tree, in_script=True)
    return tree


def expression_text(source: str) -> str:
    """The text whose places an expression's tree names: one kind of line end, no blanks around."""
    return script_text(source).strip(" \t\n\f")


def script_text(source: str) -> str:
    """The text whose places a script's tree names: one kind of line end."""
    return source.replace("\r\n", "\n").replace("\r", "\n")


def refused(message: str, code: str = "expression_invalid") -> ExpressionFailed:
    """The error of a text that will not be evaluated."""
    return ExpressionFailed(message, code=code)


def _parsed(source: str, expected: type[Tree], longest: int) -> Tree:
    if not source.strip():
        raise refused("The text is empty. Write an expression, such as `input.order`.")
    if len(source) > longest:
        raise refused(f"This text has {len(source):,} characters; at most {longest:,} are allowed. Use a script step.")
    try:
        with _WARNINGS, warnings.catch_warnings():
            # An invalid escape such as "\d" is legal; the warning about it helps nobody on a server.
            warnings.simplefilter("ignore")
            tree = ast.parse(source, "<expression>", "eval" if expected is ast.Expression else "exec")
    except SyntaxError as error:
        raise refused(f"{_sentence(error.msg)}{_place(error)}") from None
    except (RecursionError, MemoryError):
        raise refused("This text is nested too deeply. Split it into several steps.") from None
    except ValueError:  # NUL (3.11.0-3.11.3), half a surrogate pair
        raise refused("This text holds a character that Python source cannot hold.") from None
    assert isinstance(tree, expected)
    return tree


def _sentence(text: str) -> str:
    text = text.removeprefix("f-string: ").replace("<expression>", "the text")
    return f"Not valid Python: {text}"


def _place(error: SyntaxError) -> str:
    return f" (line {error.lineno}, column {error.offset})." if error.lineno and error.offset else "."


#: Fields that hold no expression or statement. Skipping them halves the work of every walk.
_NOT_INSIDE = frozenset({"ctx", "op", "ops", "id", "attr", "kind", "type_comment", "conversion"})
_fields_of: dict[type[ast.AST], tuple[str, ...]] = {ast.Constant: ()}


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes directly inside a node, in document order, without contexts and operators."""
    kind = type(node)
    names = _fields_of.get(kind)
    if names is None:
        names = _fields_of[kind] = tuple(name for name in node._fields if name not in _NOT_INSIDE)
    found: list[ast.AST] = []
    for name in names:
        value = getattr(node, name, None)
        if isinstance(value, ast.AST):
            found.append(value)
        elif value.__class__ is list:
            found += [item for item in value if isinstance(item, ast.AST)]
    return found


def _check(tree: ast.AST, *, in_script: bool) -> None:
    """One pass over all nodes with their depth and the number of `for`s around them."""
    stack: list[tuple[ast.AST, int, int]] = [(tree, 0, 0)]
    while stack:
        node, depth, loops = stack.pop()
        if depth > DEEPEST:
            raise refused("This text is nested too deeply. Split it into several steps.")
        if loops > MOST_GENERATORS and not in_script:
            message = f"More than {MOST_GENERATORS} nested `for`s multiply the work. Use a for-each or a script step."
            raise refused(message, "comprehension_too_deep")
        if type(node) in _CHECKED:
            _check_node(node, in_script=in_script)
        if isinstance(node, _COMPREHENSIONS):
            stack.extend((child, depth + 1, loops + more) for child, more in _in_comprehension(node))
        else:
            stack += [(child, depth + 1, loops) for child in children(node)]


def _in_comprehension(node: Comprehension) -> Iterator[tuple[ast.AST, int]]:
    """The parts of a comprehension, each with the number of its `for`s that repeat it (the first source: none)."""
    count = len(node.generators)
    results = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
    yield from ((result, count) for result in results)
    for index, generator in enumerate(node.generators):
        yield generator.target, 0
        yield generator.iter, index
        yield from ((condition, index + 1) for condition in generator.ifs)


def _check_node(node: ast.AST, *, in_script: bool) -> None:
    if isinstance(node, _SUSPENDING) or any(part.is_async for part in getattr(node, "generators", ())):
        raise refused("`await`, `async` and `yield` have no meaning here. Remove them.")
    if isinstance(node, ast.NamedExpr) and not in_script:
        raise refused("An expression cannot assign (`:=`). Use a script step.")
    if isinstance(node, ast.Attribute) and _is_dunder(node.attr):
        raise refused(f"The name `{node.attr[:60]}` belongs to Python's insides and cannot be read here.")
    if isinstance(node, ast.Name) and _is_dunder(node.id):
        raise refused(f"The name `{node.id[:60]}` belongs to Python's insides and cannot be used here.")


def _is_dunder(name: str) -> bool:
    return name.startswith("__")
