"""Raw JSON -> `Document`. Checks the form only, all of it at once; sense is the business of `find_problems`."""

import json
from collections.abc import Mapping
from typing import get_args, get_type_hints

from orchestrator.core.document import (
    FORMAT,
    MAX_BYTES,
    MAX_CONCURRENCY,
    MAX_EDGES,
    MAX_PRIORITY,
    MAX_STEPS,
    Concurrency,
    Document,
    Edge,
    Join,
    Note,
    Region,
    Retry,
    Settings,
    Step,
    Tolerate,
    Undo,
)
from orchestrator.core.document_json import document_as_json
from orchestrator.core.errors import DocumentInvalid
from orchestrator.core.form import Form, Spot, shown
from orchestrator.core.json_types import Json
from orchestrator.core.json_walk import first_flaw
from orchestrator.core.problem import Problem
from orchestrator.core.retry import MAX_ATTEMPTS

__all__ = ["document_as_json", "invalid", "parse_document"]

MAX_PROBLEMS = 200
_MAX_EXTRAS = 1_000  #: regions and notes, each
_JOIN_CHOICES = {name: get_args(hint) for name, hint in get_type_hints(Join).items()}
_ROOT = ("format", "name", "input", "output", "settings", "regions", "steps", "edges", "notes")
_STEP = (
    "key",
    "name",
    "kind",
    "config",
    "at",
    "parent",
    "disabled",
    "retry",
    "timeout",
    "queue",
    "undo",
    "join",
    "note",
)


def parse_document(raw: Json) -> Document:
    """The document of a raw JSON value. Raises `DocumentInvalid` with every form problem in `details.problems`."""
    problems: list[Problem] = []
    _refuse_at_once(raw)
    form = Form.of(raw, Spot(), problems, _ROOT)
    if form.need("format") and form.raw["format"] != FORMAT:
        form.refuse("format", "format_unknown", f'The format is {shown(form.raw["format"])}. This reads "{FORMAT}".')
    form.need("name")
    document = Document(
        name=form.label("name"),
        steps=tuple(_step(item, index, problems) for index, item in enumerate(form.items("steps"))),
        edges=tuple(_edge(item, index, problems) for index, item in enumerate(form.items("edges"))),
        input_schema=form.object("input"),
        output=form.raw.get("output"),
        has_output="output" in form.raw,
        settings=_settings(form),
        regions=tuple(_region(item, index, problems) for index, item in enumerate(form.items("regions"))),
        notes=tuple(_note(item, index, problems) for index, item in enumerate(form.items("notes"))),
    )
    if problems:
        raise invalid(problems)
    return document


def invalid(problems: list[Problem]) -> DocumentInvalid:
    """The refusal that lists these problems: the first 200 of them; a lone problem lends it its code."""
    count = len(problems)
    first = problems[0]
    where = " of ".join(part for part in (first.field, first.step and f'step "{first.step}"') if part)
    more = f" ({count - 1} more)" if count > 1 else ""
    listed = [problem.as_json() for problem in problems[:MAX_PROBLEMS]]
    message = f"The document is not well-formed{f' at {where}' if where else ''}: {first.message}{more}"
    code = first.code if count == 1 else None
    return DocumentInvalid(message, code=code, details={"problems": listed, "count": count})


def _refuse_at_once(raw: Json) -> None:
    """Refuse what is too large, too deep or no JSON, before anything that costs time or recursion."""
    if not isinstance(raw, Mapping):
        raise invalid([Problem(code="wrong_type", message=f"A document is an object, not {shown(raw)}.")])
    for name, most in (("steps", MAX_STEPS), ("edges", MAX_EDGES), ("regions", _MAX_EXTRAS), ("notes", _MAX_EXTRAS)):
        items = raw.get(name)
        if isinstance(items, list | tuple) and len(items) > most:
            message = f"The document has {len(items)} {name}; at most {most} are allowed. Split it into sub-workflows."
            raise invalid([Problem(code="graph_too_large", message=message, field=name)])
    if flaw := first_flaw(raw):
        raise invalid([Problem(code=flaw.code, message=flaw.message, field=flaw.path or None)])
    size = len(json.dumps(raw, ensure_ascii=False, separators=(",", ":"), default=dict).encode())
    if size > MAX_BYTES:
        message = f"The document has {size:,} bytes; at most {MAX_BYTES:,} are allowed. Split it into sub-workflows."
        raise invalid([Problem(code="too_large", message=message)])


def _step(raw: Json, index: int, problems: list[Problem]) -> Step:
    key = raw.get("key") if isinstance(raw, Mapping) else None
    # Only a short key can be found again in a list of problems; anything else is named by its place.
    spot = Spot(step=key) if isinstance(key, str) and 0 < len(key) <= 63 else Spot(prefix=f"steps.{index}")
    form = Form.of(raw, spot, problems, _STEP)
    if isinstance(raw, Mapping):
        form.need("key")
        form.need("kind")
    key = form.key("key")
    return Step(
        key=key,
        name=form.label("name", key),
        kind=form.key("kind"),
        config=form.object("config"),
        at=form.pair("at", (0.0, 0.0)),
        parent=form.key("parent") or None,
        disabled=form.flag("disabled", default=False),
        retry=_retry(form) if form.has("retry") else None,
        timeout=form.duration("timeout", None),
        queue=form.key("queue", "default"),
        undo=_undo(form) if form.has("undo") else None,
        join=_join(form) if form.has("join") else None,
        note=form.text("note"),
    )


def _retry(step: Form) -> Retry:
    known = ("attempts", "first", "factor", "cap", "jitter", "budget")
    form = Form.of(step.raw["retry"], step.spot.inside("retry"), step.problems, known)
    plain = Retry()
    return Retry(
        attempts=form.integer("attempts", plain.attempts, 1, MAX_ATTEMPTS, "attempts_out_of_range"),
        first=form.duration("first", plain.first),
        factor=form.number("factor", plain.factor, 1, 100),
        cap=form.duration("cap", plain.cap),
        jitter=form.choice("jitter", plain.jitter, ("full", "none")),
        budget=form.duration("budget", None),
    )


def _undo(step: Form) -> Undo:
    form = Form.of(step.raw["undo"], step.spot.inside("undo"), step.problems, ("kind", "config", "tolerant"))
    form.need("kind")
    return Undo(kind=form.key("kind"), config=form.object("config"), tolerant=form.flag("tolerant", default=False))


def _join(step: Form) -> Join:
    form = Form.of(step.raw["join"], step.spot.inside("join"), step.problems, tuple(_JOIN_CHOICES))
    plain = Join()
    return Join(
        mode=form.choice("mode", plain.mode, _JOIN_CHOICES["mode"]),
        quorum=form.integer("quorum", None, -MAX_EDGES, MAX_EDGES),
        deadline=form.duration("deadline", None),
        on_deadline=form.choice("on_deadline", plain.on_deadline, _JOIN_CHOICES["on_deadline"]),
        on_branch_failure=form.choice("on_branch_failure", plain.on_branch_failure, _JOIN_CHOICES["on_branch_failure"]),
        tolerate=_tolerate(form) if form.has("tolerate") else None,
        late=form.choice("late", plain.late, _JOIN_CHOICES["late"]),
    )


def _tolerate(join: Form) -> Tolerate:
    form = Form.of(join.raw["tolerate"], join.spot.inside("tolerate"), join.problems, ("count", "percent"))
    percent = form.number("percent", -1, -MAX_EDGES, MAX_EDGES) if form.has("percent") else None
    return Tolerate(count=form.integer("count", None, -MAX_EDGES, MAX_EDGES), percent=percent)


def _edge(raw: Json, index: int, problems: list[Problem]) -> Edge:
    form = Form.of(raw, Spot(prefix=f"edges.{index}"), problems, ("from", "port", "to"))
    if isinstance(raw, Mapping):
        form.need("from")
        form.need("to")
    return Edge(source=form.key("from"), target=form.key("to"), port=form.key("port", "out"))


def _settings(root: Form) -> Settings:
    raw = root.raw["settings"] if root.has("settings") else {}
    form = Form.of(raw, Spot(prefix="settings"), root.problems, ("deadline", "on_failure", "concurrency", "priority"))
    return Settings(
        deadline=form.duration("deadline", None),
        on_failure=form.choice("on_failure", "fail", ("fail", "undo")),
        concurrency=_concurrency(form) if form.has("concurrency") else None,
        priority=form.integer("priority", 0, -MAX_PRIORITY, MAX_PRIORITY),
    )


def _concurrency(settings: Form) -> Concurrency:
    known = ("limit", "key", "on_limit")
    form = Form.of(settings.raw["concurrency"], settings.spot.inside("concurrency"), settings.problems, known)
    form.need("limit")
    return Concurrency(
        limit=form.integer("limit", 1, 1, MAX_CONCURRENCY),
        key=form.raw.get("key"),
        on_limit=form.choice("on_limit", "queue", ("queue", "replace", "refuse")),
    )


def _region(raw: Json, index: int, problems: list[Problem]) -> Region:
    form = Form.of(raw, Spot(prefix=f"regions.{index}"), problems, ("key", "name", "pattern", "steps"))
    if isinstance(raw, Mapping):
        form.need("key")
        form.need("pattern")
    listed = {str(place): item if item is not None else "" for place, item in enumerate(form.items("steps"))}
    members = Form(listed, form.spot.inside("steps"), problems)
    return Region(
        key=form.key("key"),
        name=form.text("name", longest=200),
        pattern=form.choice("pattern", "sequence", ("sequence", "parallel", "event")),
        steps=tuple(members.key(place) for place in listed),
    )


def _note(raw: Json, index: int, problems: list[Problem]) -> Note:
    form = Form.of(raw, Spot(prefix=f"notes.{index}"), problems, ("key", "text", "at", "size"))
    if isinstance(raw, Mapping):
        form.need("key")
    return Note(
        key=form.key("key"),
        text=form.text("text"),
        at=form.pair("at", (0.0, 0.0)),
        size=form.pair("size", (200.0, 100.0)),
    )
