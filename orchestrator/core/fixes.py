"""The repairs that problems offer, as JSON Patches on the document (RFC 6902)."""

from orchestrator.core.json_types import Json
from orchestrator.core.problem import Fix


def removal(label: str, path: str) -> Fix:
    """Take away what stands at `path`."""
    return Fix(label=label, patch=({"op": "remove", "path": path},))


def setting(label: str, path: str, value: Json) -> Fix:
    """Put `value` at the member `path`. "add" works whether or not it is there: defaults are left out."""
    return Fix(label=label, patch=({"op": "add", "path": path, "value": value},))
