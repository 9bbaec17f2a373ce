"""What is wrong with expressions and scripts: their syntax, and what they read."""

import builtins
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from orchestrator.core.document import REPEAT, Step
from orchestrator.core.drawing import Drawing
from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.form import shown
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.json_walk import marked_nodes
from orchestrator.core.kinds import StepKind
from orchestrator.core.nearest import did_you_mean
from orchestrator.core.problem import Problem, Severity
from orchestrator.core.problems_join_reads import has_join, join_name_problems, no_join
from orchestrator.core.references import References, references, script_references

_FUNCTIONS = """
abs all any bin bool bytes chr dict divmod enumerate filter float format frozenset hex int isinstance iter len list map
max min next oct ord pow range repr reversed round set slice sorted str sum tuple zip
"""
EXPRESSION_FUNCTIONS = frozenset(_FUNCTIONS.split())  #: what the sandbox offers and an expression may use
_PYTHON_NAMES = frozenset(dir(builtins))
#: What a script may name beyond that is the sandbox's business; these it never has.
_SCRIPT_FORBIDDEN = frozenset({"compile", "globals", "vars", "breakpoint", "help", "exit", "quit", "delattr", "dir"})
_PLAIN_ROOTS = frozenset({"input", "steps", "errors", "run"})
_WHEN: Mapping[str, str] = {
    "item": "inside a for-each",
    "index": "inside a for-each",
    "turn": "inside a repeat",
    "last": "inside a repeat",
    "event": "in the `where` of a step that waits for an event, whose output it then is",
    "output": "in an undo",
    "error": "in an undo",
    "arguments": "in a script",
}


@dataclass(frozen=True, slots=True)
class _Text:
    """One expression or script, and where it stands. `reader` is None in the workflow's output."""

    reader: Step | None
    field: str
    roots: frozenset[str]
    is_script: bool = False

    def problem(self, code: str, message: str, *, is_warning: bool = False) -> Problem:
        key = self.reader.key if self.reader else None
        severity: Severity = "warning" if is_warning else "error"
        return Problem(code=code, message=message, severity=severity, step=key, field=self.field)


def reference_problems(drawing: Drawing, step: Step) -> Iterator[Problem]:
    """Problems of every text in a step's config and undo. Nothing in a disabled step is evaluated."""
    if step.disabled:
        return
    roots = _PLAIN_ROOTS | _container_roots(drawing, step)
    own = roots | {"join"} if has_join(drawing, step) else roots
    yield from _config_problems(drawing, step, step.kind, step.config, "config", own)
    if step.undo:
        wider = roots | {"output", "error"}
        yield from _config_problems(drawing, step, step.undo.kind, step.undo.config, "undo.config", wider)


def _container_roots(drawing: Drawing, step: Step) -> frozenset[str]:
    """What the containers around give; a repeat's own conditions know its turns, too."""
    own = [step.key] if step.kind == REPEAT else []
    kinds = (drawing.kinds.get(drawing.steps[key].kind) for key in [*own, *(drawing.around(step.key) or ())])
    return frozenset(name for kind in kinds if kind is not None for name in kind.inside or ())


def output_problems(drawing: Drawing) -> Iterator[Problem]:
    """Problems of the workflow's output."""
    if drawing.document.has_output:
        yield from _value_problems(drawing, None, drawing.document.output, "output", _PLAIN_ROOTS)


def concurrency_key_problems(drawing: Drawing) -> Iterator[Problem]:
    """Problems of the key of the limit of runs. It is asked before a run starts, when only the input is there."""
    limit = drawing.document.settings.concurrency
    if limit is not None:
        yield from _value_problems(drawing, None, limit.key, "settings.concurrency.key", frozenset({"input"}))


def _config_problems(
    drawing: Drawing, step: Step, kind: str, config: JsonObject, field: str, roots: frozenset[str]
) -> Iterator[Problem]:
    known = drawing.kinds.get(kind)
    wider = {} if known is None else {f"{field}.{name}": found for name, found in known.field_roots.items()}
    yield from _value_problems(drawing, step, config, field, roots, wider)
    for name in script_fields(known) if known is not None else ():
        source = config.get(name)
        if isinstance(source, str) and source.strip():
            text = _Text(step, f"{field}.{name}", roots | {"arguments"}, is_script=True)
            yield from _text_problems(drawing, text, source)


def script_fields(kind: StepKind) -> list[str]:
    """The config fields of a kind whose plain text is Python (by the hints of its form)."""
    properties = kind.schema().get("properties")
    found = []
    for name, part in properties.items() if isinstance(properties, Mapping) else ():
        hints = part.get("x-ui") if isinstance(part, Mapping) else None
        if isinstance(hints, Mapping) and (hints.get("widget"), hints.get("language")) == ("code", "python"):
            found.append(name)
    return found


def _value_problems(
    drawing: Drawing,
    reader: Step | None,
    value: Json,
    field: str,
    roots: frozenset[str],
    wider: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Iterator[Problem]:
    """Args: `wider` gives the expressions at these places more roots."""
    for node in marked_nodes(value, field):
        text = _Text(reader, node.path, roots.union(wider.get(node.path, ())))
        if node.kind == "secret":
            message = f"Secrets ({shown(node.text)}) are not available yet. Remove it, or keep the step for later."
            yield text.problem("secrets_not_available_yet", message)
        elif not isinstance(node.text, str):
            message = f'"$" must hold the text of an expression, not {shown(node.text)}.'
            yield text.problem("expression_invalid", message)
        else:
            yield from _text_problems(drawing, text, node.text)


def _text_problems(drawing: Drawing, text: _Text, source: str) -> Iterator[Problem]:
    try:
        found = script_references(source) if text.is_script else references(source)
    except ExpressionFailed as error:
        yield text.problem(error.error_code, error.message)
        return
    for root in sorted(found.roots - text.roots):
        message = f'"{root}" is not known here: it exists only {_WHEN.get(root, "elsewhere")}. Read something else.'
        yield text.problem(*(no_join(drawing, text.reader) if root == "join" else ("root_not_available", message)))
    if text.reader is not None and "join" in text.roots:
        for code, message in join_name_problems(drawing, text.reader, found):
            yield text.problem(code, message)
    yield from _name_problems(drawing, text, found)
    for key in dict.fromkeys([*sorted(found.steps), *sorted(found.errors)]):
        yield from _step_reference_problems(drawing, text, key, found)
    if "input" in text.roots:
        yield from _input_reference_problems(drawing, text, found)


def _name_problems(drawing: Drawing, text: _Text, found: References) -> Iterator[Problem]:
    for name in found.names:
        if name in EXPRESSION_FUNCTIONS:
            continue
        if name in _PYTHON_NAMES:
            if not text.is_script or name in _SCRIPT_FORBIDDEN:
                yield text.problem("expression_invalid", f"`{name}` cannot be used here. Remove it.")
            continue
        if name in drawing.steps:
            close = [f"steps.{name}"]
        else:
            close = drawing.guess(name, [*sorted(text.roots), *sorted(EXPRESSION_FUNCTIONS)], 2)
        roots = ", ".join(sorted(text.roots))
        message = f'The name "{name}" is not known.{did_you_mean(close)} Values are read from {roots}.'
        yield text.problem("unknown_name", message)


def _step_reference_problems(drawing: Drawing, text: _Text, key: str, found: References) -> Iterator[Problem]:
    if key not in drawing.steps:
        message = f'There is no step "{key}" to read from.{did_you_mean(drawing.guess(key, drawing.steps))}'
        yield text.problem("unknown_step", message)
        return
    if text.reader is None:
        yield from _from_outside(drawing, text, key, None)
        return
    reader, read = text.reader, drawing.title(key)
    if drawing.steps[key].parent == reader.key and reader.kind == REPEAT:
        return  # its conditions look at what the steps inside gave
    if outside := list(_from_outside(drawing, text, key, reader)):
        yield from outside
        return
    # From outside a container, the container as a whole is what comes before or after.
    reader = _on_level(drawing, reader, drawing.steps[key].parent)
    if key == reader.key:
        who = "itself" if text.reader is reader else "the container around it"
        message = f"Step {text.reader.title} reads {who}, {read}, which has no output yet. Read an earlier step."
        yield text.problem("reference_not_upstream", message)
    elif not drawing.ancestors.leads_to(key, reader.key):
        message = (
            f"Step {reader.title} reads step {read}, but no path leads from there to it: {read} need not have run. "
            f"Draw an edge from {read} or read an earlier step."
        )
        yield text.problem("reference_not_upstream", message)
    elif "" not in found.steps.get(key, {""}) and (chooser := drawing.may_be_skipped(key, reader.key)):
        # A text that also reads the whole output ("steps.a and steps.a.id") looks before it leaps.
        message = (
            f"Step {read} is skipped when {drawing.title(chooser)} goes another way; then its output is null. "
            f'Write "steps.{key} and steps.{key}. ..." or read it only on its branch.'
        )
        yield text.problem("may_be_skipped", message, is_warning=True)


def _from_outside(drawing: Drawing, text: _Text, key: str, reader: Step | None) -> Iterator[Problem]:
    """A step inside a container runs in scopes of its own: outside, only the container has an output."""
    outer = drawing.steps[key].parent
    around = [] if reader is None else drawing.around(reader.key) or []
    if outer is not None and outer not in around and outer in drawing.steps:
        message = (
            f"Step {drawing.title(key)} lies inside {drawing.title(outer)} and can only be read there: "
            f'it may run many times. Read "steps.{outer}", what all of it gave.'
        )
        yield text.problem("reference_not_upstream", message)


def _on_level(drawing: Drawing, step: Step, parent: str | None) -> Step:
    """The step itself, or the container around it, that lies directly in `parent`."""
    for key in drawing.around(step.key) or ():
        if step.parent == parent:
            break
        step = drawing.steps[key]
    return step


def _input_reference_problems(drawing: Drawing, text: _Text, found: References) -> Iterator[Problem]:
    """A name that the input's schema does not list is probably a slip of the pen."""
    for path in sorted(found.input):
        schema: Json = drawing.document.input_schema
        done: list[str] = []
        for key in path.split(".") if path else ():
            properties = schema.get("properties") if isinstance(schema, Mapping) else None
            if not isinstance(properties, Mapping) or not properties:
                break
            if key not in properties:
                whole = ".".join(["input", *done, key])
                close = did_you_mean(drawing.guess(key, properties))
                message = f'"{whole}" is not among the declared inputs.{close} Declare it or correct the name.'
                yield text.problem("unknown_input", message, is_warning=True)
                break
            schema = properties[key]
            done.append(key)
