"""Python functions that drawings may call, by name."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, overload

from orchestrator.core.kinds import Effects
from orchestrator.steps.function import Function

F = TypeVar("F", bound=Callable[..., Any])
_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*")
_functions: dict[str, Function] = {}


@overload
def step(name: F) -> F: ...
@overload
def step(name: str | None = None, *, effects: Effects = "external") -> Callable[[F], F]: ...
def step(name: Any = None, *, effects: Effects = "external") -> Any:
    """Register a function for `call` steps: `@step` (named module.function) or `@step("shop.reserve")`.

    Args: `effects` "none" when repeating the function harms nothing and nobody outside sees it.
    The function may be `async`; a parameter annotated `StepContext` gets the context. Raises `ValueError` for a name
    that is taken or malformed.
    """
    if callable(name):
        return _register(name, _own_name(name), effects)

    def decorate(function: F) -> F:
        return _register(function, name or _own_name(function), effects)

    return decorate


def function_named(name: str) -> Function | None:
    """The function of exactly this name."""
    return _functions.get(name)


def functions() -> Mapping[str, Function]:
    """All of them, by name."""
    return dict(sorted(_functions.items()))


def _register(function: F, name: str, effects: Effects) -> F:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a step function. Use words of a-z, 0-9 and _ joined by dots.")
    before = _functions.get(name)
    if before is not None and _home(before.call) != _home(function):
        raise ValueError(f"Two step functions are named {name!r}: {_home(before.call)} and {_home(function)}.")
    _functions[name] = Function.of(function, name=name, effects=effects)
    return function


def _own_name(function: Callable[..., Any]) -> str:
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


def _home(function: Callable[..., Any]) -> str:
    return f"{inspect.unwrap(function).__module__}.{function.__qualname__}"


def forget(names: Iterator[str] | list[str]) -> None:
    """Remove functions again: tests that register their own put things back."""
    for name in names:
        _functions.pop(name, None)
