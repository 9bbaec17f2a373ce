"""Values on their way into the rows: small ones inline, large ones as payloads."""

from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.json_text import check_json
from orchestrator.core.json_types import Json
from orchestrator.engine.identity import uuid7

#: Bytes of JSON that still live in the hot row.
INLINE = 2_000


@dataclass(slots=True)
class Packed:
    """An item under construction with the payload rows it needs."""

    item: dict[str, Any]
    payloads: list[dict[str, Any]] = field(default_factory=list)

    def put(self, value: Json, name: str, reference: str) -> None:
        """Store a value inline under `name`, or as a payload under `reference`. Raises `JsonInvalid`."""
        if value is None:
            return
        if isinstance(value, ItemOutputs):
            # A row of its own each time it is stored: whether another one is committed yet does not matter.
            self._refer({"body": value.as_json(), "block": value.block}, reference)
        elif len(check_json(value)) <= INLINE:
            self.item[name] = value
        else:
            self._refer({"body": value}, reference)

    def _refer(self, payload: dict[str, Any], reference: str) -> None:
        identity = str(uuid7())
        self.payloads.append({"id": identity, **payload})
        self.item[reference] = identity

    def finished(self) -> dict[str, Any]:
        """The item, payloads included."""
        if self.payloads:
            self.item["pay"] = self.payloads
        return self.item
