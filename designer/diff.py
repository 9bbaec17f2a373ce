"""What differs between two documents, by step key. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.api import Json

#: Fields of the document itself that are compared as a whole.
WHOLE = ("name", "input", "output", "settings", "regions", "notes")
_PLACE = "at"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedStep:
    """A step that both documents hold, and the fields that differ: whole ones, but those of `config` one by one."""

    key: str
    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """From an older document to a newer one."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[ChangedStep, ...] = ()
    #: Steps that only stand elsewhere on the canvas: nothing runs differently.
    moved: tuple[str, ...] = ()
    edges_added: tuple[tuple[str, str, str], ...] = ()
    edges_removed: tuple[tuple[str, str, str], ...] = ()
    workflow: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Json]:
        """The form the API answers."""
        return {
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": [{"key": step.key, "name": step.name, "fields": list(step.fields)} for step in self.changed],
            "moved": list(self.moved),
            "edges_added": [_edge_json(edge) for edge in self.edges_added],
            "edges_removed": [_edge_json(edge) for edge in self.edges_removed],
            "workflow": list(self.workflow),
        }


def difference(older: Mapping[str, Any], newer: Mapping[str, Any]) -> Difference:
    """What happened between two documents in canonical spelling."""
    before = {step["key"]: step for step in older["steps"]}
    after = {step["key"]: step for step in newer["steps"]}
    both = [(before[key], step) for key, step in after.items() if key in before]
    edges_before, edges_after = _edges(older), _edges(newer)
    return Difference(
        added=tuple(key for key in after if key not in before),
        removed=tuple(key for key in before if key not in after),
        changed=tuple(
            ChangedStep(key=new["key"], name=new["name"], fields=fields)
            for old, new in both
            if (fields := _changed_fields(old, new))
        ),
        moved=tuple(new["key"] for old, new in both if old[_PLACE] != new[_PLACE] and not _changed_fields(old, new)),
        edges_added=tuple(edge for edge in edges_after if edge not in edges_before),
        edges_removed=tuple(edge for edge in edges_before if edge not in edges_after),
        workflow=tuple(field for field in WHOLE if not _same(older.get(field), newer.get(field))),
    )


def _changed_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    found = [name for name in _names(old, new) if name not in {_PLACE, "config"} and not _same_in(name, old, new)]
    config = [name for name in _names(old["config"], new["config"]) if not _same_in(name, old["config"], new["config"])]
    return (*found, *(f"config.{name}" for name in config))


def _names(old: Mapping[str, Any], new: Mapping[str, Any]) -> Sequence[str]:
    return [*new, *(name for name in old if name not in new)]


def _same_in(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    if name not in old or name not in new:
        return False
    return _same(old[name], new[name])


def _same(old: Json, new: Json) -> bool:
    # As texts: Python holds True == 1 and 1 == 1.0, JSON does not. The order of keys means nothing here.
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def _edges(document: Mapping[str, Any]) -> dict[tuple[str, str, str], None]:
    return {(edge["from"], edge.get("port", "out"), edge["to"]): None for edge in document["edges"]}


def _edge_json(edge: tuple[str, str, str]) -> Json:
    return dict(zip(("from", "port", "to"), edge, strict=True))


def in_words(found: Difference) -> list[str]:
    """The difference as short sentences, most important first. One sentence when there is none."""
    said = [
        _count(found.added, "added", "step"),
        _count(found.removed, "removed", "step"),
        *(
            f"{step.name}: {', '.join(_field_words(name) for name in step.fields)} changed"
            for step in found.changed[:8]
        ),
        f"{len(found.changed) - 8} more steps changed" if len(found.changed) > 8 else "",
        _edges_words(found),
        f"{', '.join(_WORKFLOW_WORDS[name] for name in found.workflow)} changed" if found.workflow else "",
        f"{_plural(len(found.moved), 'step')} moved on the canvas" if found.moved else "",
    ]
    words = [sentence[0].upper() + sentence[1:] for sentence in said if sentence]
    return words or ["Nothing changed"]


_WORKFLOW_WORDS = {
    "name": "the name",
    "input": "the input",
    "output": "the output",
    "settings": "the run settings",
    "regions": "the regions",
    "notes": "the notes",
}


def _count(keys: Sequence[str], verb: str, noun: str) -> str:
    if not keys:
        return ""
    shown = ", ".join(keys[:6]) + (f" and {len(keys) - 6} more" if len(keys) > 6 else "")
    return f"{verb} {_plural(len(keys), noun)}: {shown}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _field_words(name: str) -> str:
    return name.removeprefix("config.").replace("_", " ")


def _edges_words(found: Difference) -> str:
    added, removed = len(found.edges_added), len(found.edges_removed)
    parts = [
        f"{_plural(added, 'arrow')} drawn" if added else "",
        f"{_plural(removed, 'arrow')} removed" if removed else "",
    ]
    return ", ".join(part for part in parts if part)
