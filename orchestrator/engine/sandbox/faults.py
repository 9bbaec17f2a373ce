"""What went wrong inside the sandbox, said in the words of the person who wrote the text."""

import re

from pydantic_monty import MontyCrashedError, MontyError, MontyRuntimeError, MontySyntaxError

from orchestrator.core.errors import ExpressionFailed

_LONGEST = 500
_HINTS = {
    "KeyError": 'Read a key that may be missing by .get("key").',
    "IndexError": "Test the length with len() first.",
    "TypeError": "Look at the values: one of them has another type than the text expects.",
    "AttributeError": "Read keys of plain data as value.key or value['key'].",
    "ZeroDivisionError": "Test the divisor first.",
    "NameError": "Names are input, steps, item, ... and those the text itself defines.",
    "ModuleNotFoundError": "Only a few pure modules are here (json, math, re, datetime, ...).",
    "PermissionError": "Files, processes and sockets cannot be reached from here.",
    "RecursionError": "Use a loop.",
}


_NO_JSON = re.compile(r"Object of type (\w+) is not JSON serializable")
_MADE_JSON = {
    **dict.fromkeys(
        ("range", "set", "frozenset", "dict_keys", "dict_values", "dict_items"), "Make it a list: list(...)."
    ),
    **dict.fromkeys(("date", "datetime", "time", "timedelta"), "Make it a text: str(...)."),
}


def explain(error: MontyError, seconds: float, megabytes: int, last_line: int) -> ExpressionFailed:
    """The error for people. `last_line` is the number of the author's last line: what lies behind it is ours."""
    if isinstance(error, MontyCrashedError):
        return _timeout(seconds) if error.timed_out else _died()
    if isinstance(error, MontySyntaxError):
        return ExpressionFailed(f"Not valid here: {_cut(str(error))}.", code="expression_invalid")
    if isinstance(error.exception(), TimeoutError) and "time limit exceeded" in str(error):
        return _timeout(seconds)
    return _raised(error, error.exception(), megabytes, last_line)


def _raised(error: MontyError, inner: BaseException, megabytes: int, last_line: int) -> ExpressionFailed:
    text = str(inner)
    if isinstance(inner, MemoryError):
        message = f"This needs more than {megabytes} MB of memory. Work on fewer values at once."
        return ExpressionFailed(message, code="expression_memory")
    if isinstance(inner, NotImplementedError) and "monty" in text:
        return ExpressionFailed(
            "This part of Python is not available here. Spell it otherwise.", code="expression_invalid"
        )
    if isinstance(inner, TypeError | ValueError) and _while_answering(error, last_line):
        return unusable(text)
    return ExpressionFailed(_sentence(error, inner, last_line), details={"exception": type(inner).__name__})


def unusable(reason: str) -> ExpressionFailed:
    """The result came back, but it is not a value that can be kept."""
    if found := _NO_JSON.match(reason):
        kind = found[1]
        way_out = _MADE_JSON.get(kind, "Give numbers, texts, lists or objects of these.")
        return ExpressionFailed(
            f"The result cannot be used: it is of the type {kind}, which JSON does not know. {way_out}"
        )
    return ExpressionFailed(f"The result cannot be used: {_cut(reason)}.")


def unavailable() -> ExpressionFailed:
    """No process took the text."""
    message = "No sandbox process could take this: the machine is overloaded. Try again later."
    return ExpressionFailed(message, code="sandbox_unavailable")


def _while_answering(error: MontyError, last_line: int) -> bool:
    """True when the text itself was done and its result was being turned into JSON."""
    frames = error.traceback() if isinstance(error, MontyRuntimeError) else []
    return any(frame.function_name == "_answer" for frame in frames) or bool(frames and frames[0].line > last_line)


def _sentence(error: MontyError, inner: BaseException, last_line: int) -> str:
    kind = type(inner).__name__
    lines = [frame.line for frame in error.traceback()] if isinstance(error, MontyRuntimeError) else []
    line = next((line for line in reversed(lines) if line <= last_line), None)
    place = f"Line {line}: " if line else ""
    return " ".join(filter(None, [f"{place}{kind}: {_cut(str(inner)) or 'no message'}.", _HINTS.get(kind)]))


def _timeout(seconds: float) -> ExpressionFailed:
    message = f"This took longer than {seconds:g} s and was stopped. Do less at once, or use a registered function."
    return ExpressionFailed(message, code="expression_timeout")


def _died() -> ExpressionFailed:
    message = "The sandbox process died while evaluating this. Nothing else was harmed; simplify the text."
    return ExpressionFailed(message, code="sandbox_unavailable")


def _cut(text: str) -> str:
    text = text.rstrip(".")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
