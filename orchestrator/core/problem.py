"""One thing wrong with a document: what, where, and the way out."""

from dataclasses import dataclass
from typing import Literal

from orchestrator.core.json_types import Json

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """An offered repair: a JSON Patch (add, remove, replace) on the document."""

    label: str
    patch: tuple[dict[str, Json], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding. `step` is a key, `edge` is (source, port, target), `field` is dotted ("config.url")."""

    code: str
    message: str
    severity: Severity = "error"
    step: str | None = None
    edge: tuple[str, str, str] | None = None
    field: str | None = None
    fix: Fix | None = None

    def as_json(self) -> dict[str, Json]:
        """The form that the API and the canvas read."""
        edge: Json = None if self.edge is None else dict(zip(("from", "port", "to"), self.edge, strict=True))
        fix: Json = None if self.fix is None else {"label": self.fix.label, "patch": list(self.fix.patch)}
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "step": self.step,
            "edge": edge,
            "field": self.field,
            "fix": fix,
        }
