"""Taking out of a foreign document what would reach into this workspace: secrets and people. Pure.

The names in it were chosen elsewhere: here they could stand for another secret and for other people.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.api import Json

#: Of `assignees`: roles stay, they name nobody.
PEOPLE = ("users", "groups")


@dataclass(slots=True)
class Unlinked:
    """A document that is safe to keep as a draft, and what was taken out of it."""

    document: dict[str, Any]
    changes: list[dict[str, Json]] = field(default_factory=list)


def unlink(document: Mapping[str, Any]) -> Unlinked:
    """The document (in canonical spelling) without names of secrets, users and groups."""
    found = Unlinked(document=dict(document))
    found.document["steps"] = [_step(step, found) for step in document["steps"]]
    if "output" in document:
        found.document["output"] = _without_secrets(document["output"], found, None, "output")
    if "settings" in document:
        found.document["settings"] = _without_secrets(document["settings"], found, None, "settings")
    return found


def _step(step: Mapping[str, Any], found: Unlinked) -> dict[str, Any]:
    clean = dict(step)
    key = str(step["key"])
    clean["config"] = _without_secrets(step["config"], found, key, "config")
    if step["kind"] == "human_task":
        clean["config"] = _without_people(clean["config"], found, key)
    if "undo" in step:
        undo = _without_secrets(step["undo"]["config"], found, key, "undo.config")
        clean["undo"] = step["undo"] | {"config": undo}
    return clean


def _without_people(config: Mapping[str, Any], found: Unlinked, step: str) -> dict[str, Any]:
    assignees = config.get("assignees")
    if not isinstance(assignees, Mapping):
        return dict(config)
    gone = [name for name in PEOPLE if assignees.get(name)]
    if "$" in assignees:
        gone, assignees = ["$"], {}
    for name in gone:
        message = "The people who decide were named elsewhere. Name them anew."
        found.changes.append(
            {"code": "people_removed", "step": step, "field": f"config.assignees.{name}", "message": message}
        )
    return {**config, "assignees": {name: value for name, value in assignees.items() if name not in gone}}


def _without_secrets(value: Any, found: Unlinked, step: str | None, path: str) -> Any:
    """The value with every `{"$secret": name}` emptied. Depth is bounded by the parser (64)."""
    if isinstance(value, Mapping):
        if set(value) == {"$secret"}:
            name = str(value["$secret"])[:80]
            message = f'The secret "{name}" belongs elsewhere. Choose one of this workspace.'
            found.changes.append({"code": "secret_unlinked", "step": step, "field": path, "message": message})
            return {"$secret": ""}
        return {name: _without_secrets(item, found, step, f"{path}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [_without_secrets(item, found, step, f"{path}.{index}") for index, item in enumerate(value)]
    return value
