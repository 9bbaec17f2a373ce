"""`call`: a registered Python function."""

import logging
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import ConfigProblem, Effects, Group, StepContext
from orchestrator.core.outcome import Done, Fail, Outcome, Retry
from orchestrator.steps.call.config import CallConfig
from orchestrator.steps.config_problems import config_problems, sentence
from orchestrator.steps.failures import Permanent, Transient
from orchestrator.steps.faults import fault
from orchestrator.steps.function import Function, as_plain_json
from orchestrator.steps.kind import Kind
from orchestrator.steps.registered import function_named, functions

_log = logging.getLogger(__name__)


class Call(Kind[CallConfig]):
    """`def` functions run on a thread of the slot, `async def` ones on the event loop."""

    kind = "call"
    group: Group = "do"
    name = "Function"
    description = "Calls a Python function that developers registered."
    icon = "square-function"
    config = CallConfig
    effects: Effects = "external"
    literal = ("function",)

    def effects_of(self, config: JsonObject) -> Effects:
        function = function_named(str(config.get("function")))
        return self.effects if function is None else function.effects

    def is_async(self, config: JsonObject) -> bool:
        function = function_named(str(config.get("function")))
        return function is not None and function.is_async

    def check(self, config: JsonObject) -> list[ConfigProblem]:
        problems = super().check(config)
        name, arguments = config.get("function"), config.get("arguments", {})
        if not isinstance(name, str) or not name:
            return problems
        function = function_named(name)
        if function is None:
            return [*problems, ConfigProblem(code="unknown_function", message=_unknown(name), path="function")]
        if not isinstance(arguments, Mapping) or "$" in arguments:
            return problems
        found = config_problems(function.arguments, arguments)
        return problems + [replace(problem, path=f"arguments.{problem.path}".rstrip(".")) for problem in found]

    def run(self, config: CallConfig, context: StepContext) -> Outcome | Awaitable[Outcome]:
        function = function_named(config.function)
        if function is None:
            return Fail(fault("unknown_function", _unknown(config.function)))
        try:
            keywords = function.keywords(config.arguments, context)
        except ValidationError as error:
            message = f"The arguments do not fit {function.name}: {sentence(error, config.arguments)}"
            wrong = _failed("arguments_invalid", message)
            return _at_once(wrong) if function.is_async else wrong
        return _awaited(function, keywords) if function.is_async else _called(function, keywords)


def _called(function: Function, keywords: dict[str, Any]) -> Outcome:
    try:
        return _done(function, function.call(**keywords))
    except (Exception, SystemExit) as error:
        return _outcome_of(function, error)


async def _awaited(function: Function, keywords: dict[str, Any]) -> Outcome:
    try:
        return _done(function, await function.call(**keywords))
    except (Exception, SystemExit) as error:
        return _outcome_of(function, error)


async def _at_once(outcome: Outcome) -> Outcome:
    return outcome


def _done(function: Function, value: object) -> Outcome:
    try:
        return Done(as_plain_json(value))
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        return _failed("result_invalid", f"What {function.name} returned has no JSON form: {error}")


def _outcome_of(function: Function, error: BaseException) -> Outcome:
    if isinstance(error, Permanent):
        return Fail(fault(error.code, error.message, error.details))
    if isinstance(error, Transient):
        return Retry(fault(error.code, error.message), after=error.after)
    # The traceback shows paths and values of this machine: it goes to the log, people get the type and the text.
    _log.warning("Step function %s raised %s", function.name, type(error).__name__, exc_info=error)
    return Retry(fault("handler_error", f"{type(error).__name__}: {error}"))


def _failed(code: str, message: str) -> Fail:
    return Fail(fault(code, message))


def _unknown(name: str) -> str:
    known = ", ".join(list(functions())[:10]) or "none"
    return f'No function is registered as "{name[:80]}". Registered are: {known}. Check BRANCHLINE_STEP_MODULES.'
