"""`Document` -> raw JSON, in one canonical spelling: what is stored, exported, hashed and compared."""

from dataclasses import replace

from orchestrator.core.document import DEFAULT_PORT, FORMAT, Document, Edge, Join, Note, Region, Retry, Settings, Step
from orchestrator.core.durations import format_duration
from orchestrator.core.json_types import Json, JsonObject


def document_as_json(document: Document) -> dict[str, Json]:
    """The canonical raw form: fields in DESIGN's order, defaults left out. `parse_document` of it gives it back."""
    optional: dict[str, Json] = {}
    if document.has_output:
        optional["output"] = document.output
    if document.settings != Settings():
        optional["settings"] = _settings_as_json(document.settings)
    if document.regions:
        optional["regions"] = [_region_as_json(region) for region in document.regions]
    return {
        "format": FORMAT,
        "name": document.name,
        "input": document.input_schema,
        **optional,
        "steps": [_step_as_json(step) for step in document.steps],
        "edges": [_edge_as_json(edge) for edge in document.edges],
        "notes": [
            {"key": note.key, "text": note.text, "at": _pair(note.at), "size": _pair(note.size)}
            for note in document.notes
        ],
    }


def _settings_as_json(settings: Settings) -> dict[str, Json]:
    raw = _set_fields({"deadline": settings.deadline, "on_failure": settings.on_failure}, {"on_failure": "fail"})
    limit = settings.concurrency
    if limit is not None:
        fields: JsonObject = {"limit": limit.limit, "key": limit.key, "on_limit": limit.on_limit}
        raw["concurrency"] = _set_fields(fields, {"on_limit": "queue"})
    return raw | _set_fields({"priority": settings.priority}, {"priority": 0})


_DURATIONS = frozenset({"deadline", "first", "cap", "budget", "timeout"})


def _set_fields(fields: JsonObject, defaults: JsonObject) -> dict[str, Json]:
    """The fields that differ from their defaults, durations as text."""
    kept = {name: value for name, value in fields.items() if value is not None and value != defaults.get(name)}
    return {
        name: format_duration(float(value)) if name in _DURATIONS else value  # type: ignore[arg-type]
        for name, value in kept.items()
    }


def _record(value: Retry | Join, default: Retry | Join) -> dict[str, Json]:
    names = type(value).__dataclass_fields__
    return _set_fields({n: getattr(value, n) for n in names}, {n: getattr(default, n) for n in names})


def _join_as_json(join: Join) -> dict[str, Json]:
    record = _record(replace(join, tolerate=None), Join())
    if join.tolerate is None:
        return record
    percent = join.tolerate.percent
    # 20.0 reads as 20 in the browser's JSON; written so, the document keeps its hash on a round trip.
    whole = int(percent) if percent is not None and percent.is_integer() else percent
    return record | {"tolerate": _set_fields({"count": join.tolerate.count, "percent": whole}, {})}


def _step_as_json(step: Step) -> dict[str, Json]:
    raw: dict[str, Json] = {"key": step.key, "name": step.name, "kind": step.kind, "at": _pair(step.at)}
    raw |= {"config": step.config}
    raw |= _set_fields({"parent": step.parent, "disabled": step.disabled}, {"disabled": False})
    if step.retry is not None:
        raw["retry"] = _record(step.retry, Retry())
    raw |= _set_fields({"timeout": step.timeout, "queue": step.queue}, {"queue": "default"})
    if step.undo is not None:
        tolerant: dict[str, Json] = {"tolerant": True} if step.undo.tolerant else {}
        raw["undo"] = {"kind": step.undo.kind, "config": step.undo.config, **tolerant}
    if step.join is not None:
        raw["join"] = _join_as_json(step.join)
    return raw | _set_fields({"note": step.note}, {"note": ""})


def _edge_as_json(edge: Edge) -> dict[str, Json]:
    port: dict[str, Json] = {} if edge.port == DEFAULT_PORT else {"port": edge.port}
    return {"from": edge.source, **port, "to": edge.target}


def _region_as_json(region: Region) -> dict[str, Json]:
    name: dict[str, Json] = {"name": region.name} if region.name else {}
    return {"key": region.key, **name, "pattern": region.pattern, "steps": list(region.steps)}


def _note_as_json(note: Note) -> dict[str, Json]:
    return {"key": note.key, "text": note.text, "at": _pair(note.at), "size": _pair(note.size)}


def _pair(pair: tuple[float, float]) -> list[Json]:
    # 600.0 reads as 600 in the browser's JSON; written so, that a document keeps its hash on a round trip.
    return [int(part) if part.is_integer() else part for part in pair]
